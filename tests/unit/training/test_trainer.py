import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from encoders.training import loop
from encoders.training.data import split
from encoders.training.errors import TrainingError
from encoders.training.history import Silence
from encoders.training.hyperparameters import Hyperparameters, Method, Precision
from encoders.training.trainer import train
from tests.unit.training.tiny_encoder import MODELS, toy_data, write_tiny_encoder

COMMON = {
    "steps": 40,
    "batch": 16,
    "max_tokens": 12,
    "encoder_learning_rate": 3e-3,
    "embedding_learning_rate": 3e-2,
    "evaluate_every": 10,
    "temperature": 0.2,
    "groups": 4,
    "precision": Precision.FP32,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def parts():
    return split(toy_data(), 0.25, 0)


def parameters(method=Method.ROUTERDC, **changes):
    return Hyperparameters.of_method(method, **COMMON | changes)


class Interrupting(Silence):
    """Kills the training after so many steps."""

    def __init__(self, step):
        self.at = step

    def step(self, step, steps, losses):
        if step >= self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", list(Method))
def test_every_method_learns_what_can_be_learnt(method, tiny, parts, tmp_path):
    trained = train(*parts, tiny, parameters(method), tmp_path / "w")
    assert trained.accuracy.average > 0.95
    assert trained.single_accuracy.average < 0.6
    assert trained.single_model in MODELS
    assert trained.best.average == pytest.approx(trained.accuracy.average, abs=1e-6)
    assert [one.step for one in trained.history] == [0, 10, 20, 30, 40]
    assert trained.history[-1].losses.total < trained.history[1].losses.total
    assert trained.curve.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in trained.metrics.read_text().splitlines()]
    assert [line["average"] for line in lines] == [one.average for one in trained.history]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "batch": 8, "warm_start": 5, "start": "data"},
        {"precision": "bf16", "sample_weight": 0.0},
    ],
)
def test_a_killed_training_ends_in_the_same_weights(changes, tiny, parts, tmp_path):
    chosen = parameters(**changes)
    whole = train(*parts, tiny, chosen, tmp_path / "whole")
    for step in (15, 25):
        with pytest.raises(KeyboardInterrupt):
            train(*parts, tiny, chosen, tmp_path / "killed", watcher=Interrupting(step))
    resumed = train(*parts, tiny, chosen, tmp_path / "killed")
    assert (resumed.llm_embeddings == whole.llm_embeddings).all()
    left = load_file(whole.encoder / "model.safetensors")
    right = load_file(resumed.encoder / "model.safetensors")
    assert all((left[name] == right[name]).all() for name in left)
    timeless = [dataclasses.replace(one, seconds=0) for one in whole.history]
    assert [dataclasses.replace(one, seconds=0) for one in resumed.history] == timeless


def test_a_training_that_is_done_is_not_done_again(tiny, parts, tmp_path):
    first = train(*parts, tiny, parameters(steps=10), tmp_path)
    again = train(*parts, tiny, parameters(steps=10), tmp_path, watcher=Interrupting(0))
    assert (again.llm_embeddings == first.llm_embeddings).all()


def test_the_seed_decides(tiny, parts, tmp_path):
    def learnt(name, seed):
        chosen = parameters(steps=5, seed=seed, sample_weight=0.0)
        return train(*parts, tiny, chosen, tmp_path / name).llm_embeddings

    assert (learnt("a", 1) == learnt("b", 1)).all()
    assert (learnt("a2", 1) != learnt("c", 2)).any()


def test_what_is_frozen_does_not_change(tiny, parts, tmp_path):
    chosen = parameters(steps=5, freeze_layers=1, warm_up=0.0, schedule="constant")
    # The best of two evaluations could be the first, of step 0.
    loopless = train(*parts, tiny, dataclasses.replace(chosen, evaluate_every=5), tmp_path)
    before = load_file(tiny / "model.safetensors")
    after = load_file(tmp_path / "checkpoint.safetensors")
    assert loopless.history[-1].step == 5
    for name, array in before.items():
        if name.startswith(("embeddings", "encoder.layer.0")):
            assert (after[f"network.encoder.{name}"] == array).all()
    moved = "encoder.layer.1.output.dense.weight"
    assert (after[f"network.encoder.{moved}"] != before[moved]).any()


def test_accumulated_batches_make_one_step_of_the_optimiser(tiny, parts, tmp_path):
    plain = {"sample_weight": 0.0, "dropout": 0.0, "steps": 1, "warm_up": 0.0}
    # Of one score per row no tie is broken at random, so both see the same mean loss.
    method = Method.COSINE_CLASSIFIER
    rows = len(parts[0].prompts)
    one = parameters(method, batch=rows, gradient_norm=0.0, **plain)
    many = parameters(method, batch=rows // 4, accumulate=4, gradient_norm=0.0, **plain)
    train(*parts, tiny, one, tmp_path / "one")
    train(*parts, tiny, many, tmp_path / "many")
    left = load_file(tmp_path / "one/checkpoint.safetensors")
    right = load_file(tmp_path / "many/checkpoint.safetensors")
    moment = next(name for name in left if name.endswith(".exp_avg"))
    assert rows % 4 == 0
    np.testing.assert_allclose(left[moment], right[moment], rtol=1e-3, atol=1e-7)


def test_training_stops_when_nothing_gets_better(tiny, parts, tmp_path):
    chosen = parameters(
        encoder_learning_rate=0.0, embedding_learning_rate=0.0, evaluate_every=2, patience=3
    )
    trained = train(*parts, tiny, chosen, tmp_path)
    assert [one.step for one in trained.history] == [0, 2, 4, 6]
    assert trained.best.step == 0


def test_the_best_weights_are_kept_and_not_the_last(tiny, parts, tmp_path, monkeypatch):
    averages = iter([0.1, 0.9, 0.3])
    real = loop.accuracy

    def judged(*given):
        return dataclasses.replace(real(*given), average=next(averages))

    monkeypatch.setattr(loop, "accuracy", judged)
    trained = train(*parts, tiny, parameters(steps=4, evaluate_every=2), tmp_path)
    assert trained.best.step == 2
    last = load_file(tmp_path / "checkpoint.safetensors")["network.llm_embeddings"]
    assert (trained.llm_embeddings != last).any()
    assert (
        trained.llm_embeddings == load_file(tmp_path / "best.safetensors")["llm_embeddings"]
    ).all()


def test_another_training_s_folder_is_refused(tiny, parts, tmp_path):
    train(*parts, tiny, parameters(steps=1), tmp_path)
    with pytest.raises(TrainingError, match="--restart"):
        train(*parts, tiny, parameters(steps=2), tmp_path)


def test_a_training_that_explodes_says_so(tiny, parts, tmp_path):
    wild = parameters(encoder_learning_rate=1e30, gradient_norm=0.0, warm_up=0.0)
    with pytest.raises(TrainingError, match="lower learning rates"):
        train(*parts, tiny, wild, tmp_path)


def test_missing_scores_are_no_obstacle(tiny, parts, tmp_path):
    learnt, judged = parts
    scores = learnt.scores.copy()
    scores[np.arange(len(scores)), np.arange(len(scores)) % 3] = np.nan
    gaps = dataclasses.replace(learnt, scores=scores)
    trained = train(gaps, judged, tiny, parameters(steps=100, sample_weight=0.0), tmp_path)
    assert trained.accuracy.average > 0.9
