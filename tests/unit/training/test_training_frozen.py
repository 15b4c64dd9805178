import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.numpy import load_file

from encoders.pooling import Pooling
from encoders.training import frozen
from encoders.training.data import split
from encoders.training.encoding import compute, tokenise
from encoders.training.frozen import FrozenStates, keep_frozen
from encoders.training.hyperparameters import Hyperparameters, Method, Targets
from encoders.training.network import RouterNetwork
from encoders.training.source import Source
from encoders.training.trainer import train
from tests.unit.training.tiny_encoder import toy_data, write_tiny_encoder

PROMPTS = ("a", "the cat sat", "a b c d e f g h", "", "b c")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def parameters(**changes):
    fast = {"steps": 6, "batch": 16, "max_tokens": 12, "evaluate_every": 3, "precision": "fp32"}
    same = {"freeze_layers": 1, "dropout": 0.0, "sample_weight": 0.0, "gradient_norm": 0.0}
    rates = {"encoder_learning_rate": 1e-3, "embedding_learning_rate": 1e-2}
    return Hyperparameters.of_method(Method.ROUTERDC, **fast | same | rates | changes)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_kept_states_lead_to_the_same_vectors(layers, tiny):
    source = Source.read(tiny)
    network = RouterNetwork(source.load(None), torch.randn(3, 32), Pooling.MEAN, layers)
    tokens = tokenise(PROMPTS, source, 12)
    states = keep_frozen(network.encoder, layers, tokens, Accelerator(cpu=True))
    assert isinstance(states, FrozenStates)
    kept, whole = compute(network, states), compute(network, tokens)
    np.testing.assert_allclose(kept.vectors, whole.vectors, atol=1e-5)
    np.testing.assert_allclose(kept.cosines, whole.cosines, atol=1e-5)


def test_a_step_above_kept_states_is_the_same_step(tiny, tmp_path, monkeypatch):
    parts = split(toy_data(), 0.25, 0)
    train(*parts, tiny, parameters(), tmp_path / "kept")
    monkeypatch.setattr(frozen, "MOST_BYTES", 0)
    train(*parts, tiny, parameters(), tmp_path / "computed")
    kept = load_file(tmp_path / "kept/checkpoint.safetensors")
    computed = load_file(tmp_path / "computed/checkpoint.safetensors")
    for name, array in kept.items():
        if name.startswith("network."):
            np.testing.assert_allclose(array, computed[name], atol=2e-4, err_msg=name)


def test_all_sets_and_processes_share_one_budget(tiny, monkeypatch):
    encoder = Source.read(tiny).load(None)
    tokens = tokenise(PROMPTS, Source.read(tiny), 12)
    alone = Accelerator(cpu=True)

    def kept(budget, processes=1, beside=None):
        monkeypatch.setattr(frozen, "MOST_BYTES", budget)
        several = SimpleNamespace(
            num_processes=processes,
            mixed_precision="no",
            device=alone.device,
            autocast=alone.autocast,
        )
        return keep_frozen(encoder, 1, tokens, several, beside=beside)

    states = kept(10**6)
    assert states.size == int(tokens.lengths.sum()) * 32 * 4
    assert isinstance(kept(2 * states.size, beside=states), FrozenStates)
    assert kept(2 * states.size - 1, beside=states) is tokens
    assert isinstance(kept(2 * states.size, beside=tokens), FrozenStates)
    assert isinstance(kept(2 * states.size, processes=2), FrozenStates)
    assert kept(2 * states.size, processes=3) is tokens


def test_counted_targets_are_what_the_validation_counts(tiny, tmp_path):
    learnt, judged = split(toy_data(), 0.25, 0)
    unsure = dataclasses.replace(learnt, scores=learnt.scores * 0.3)
    counted = parameters(targets=Targets.COUNTED)
    tasks = ("even", "odd")
    first = train(unsure, judged, tiny, counted, tmp_path / "a", positive_tasks=tasks)
    scored = parameters(targets=Targets.SCORES)
    second = train(learnt, judged, tiny, scored, tmp_path / "b", positive_tasks=tasks)
    assert (first.llm_embeddings == second.llm_embeddings).all()
