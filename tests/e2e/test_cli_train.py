import dataclasses
import errno
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from typer.testing import CliRunner

from encoders import Artefact
from encoders.training.data import split
from encoders.training.workspace import held
from server.cli import app, train_router
from tests.unit.training.tiny_encoder import MODELS, toy_data, write_jsonl, write_tiny_encoder

FAST = {
    "max-tokens": 12,
    "steps": 40,
    "batch": 16,
    "temperature": 0.2,
    "encoder-learning-rate": 3e-3,
    "embedding-learning-rate": 3e-2,
    "groups": 4,
    "evaluate-every": 10,
    "precision": "fp32",
    "validation-share": 0.25,
}

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def one_small_process():
    """Small networks gain nothing from threads; a process has one precision for life."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("data") / "toy.jsonl", toy_data())


def arguments(method, data, encoder, out, *flags, **changes):
    options = FAST | {name.replace("_", "-"): value for name, value in changes.items()}
    pairs = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    paths = ["--data", str(data), "--encoder", str(encoder), "--out", str(out)]
    return ["train", method, *paths, *pairs, *flags]


def accuracy_of(artefact, judged):
    vectors = artefact.load_encoder(threads=1).encode(judged.prompts).vectors
    models = artefact.arrays["llm_embeddings"]
    cosines = vectors @ (models / np.linalg.norm(models, axis=1, keepdims=True)).T
    return judged.scores[np.arange(len(cosines)), cosines.argmax(axis=1)].mean()


@pytest.mark.parametrize("method", ["routerdc", "zooter", "cosine-classifier", "multi-label"])
def test_a_router_is_trained_exported_and_says_what_it_is(method, data, encoder, tmp_path):
    out = tmp_path / "router"
    result = CliRunner().invoke(
        app, arguments(method, data, encoder, out, "--count-positive", "even", pooling="cls")
    )
    assert result.exit_code == 0, result.output
    artefact = Artefact.load(out)
    assert artefact.models == MODELS
    _, judged = split(toy_data(), 0.25, 0)
    assert accuracy_of(artefact, judged) > 0.95
    manifest = artefact.manifest
    assert manifest.kind == method
    assert manifest.method["pooling"] == "cls"
    assert manifest.validation.rows == len(judged.prompts)
    assert manifest.validation.average > 0.95 > manifest.validation.best_single_average
    assert f"{manifest.validation.average:.4f}" in result.stdout
    assert manifest.calibration.nll_after < manifest.calibration.nll_before
    assert manifest.export.largest_difference < 1e-5
    assert (out / "curve.png").is_file()
    assert (out / "metrics.jsonl").is_file()
    assert not out.with_name("router.training").exists()
    assert result.stderr.count("step ") == 5


def test_validation_files_take_the_place_of_a_share(data, encoder, tmp_path):
    held_out = toy_data(20, seed=9)
    assert sum(prompt in held_out.prompts for prompt in toy_data().prompts) == 3
    other = write_jsonl(tmp_path / "other.jsonl", held_out)
    arguments_ = arguments(
        "multi-label", data, encoder, tmp_path / "r", "--keep-work", validation=other, steps=1
    )
    result = CliRunner().invoke(app, arguments_)
    assert result.exit_code == 0, result.output
    manifest = Artefact.load(tmp_path / "r").manifest
    assert (manifest.data.rows, manifest.validation.rows) == (93, 20)
    assert (tmp_path / "r.training/encoder/model.safetensors").is_file()


def test_epochs_become_steps(data, encoder, tmp_path):
    command = arguments("multi-label", data, encoder, tmp_path / "r", "--epochs", "2")
    place = command.index("--steps")
    result = CliRunner().invoke(app, command[:place] + command[place + 2 :])
    assert result.exit_code == 0, result.output
    assert Artefact.load(tmp_path / "r").manifest.method["steps"] == 2 * (72 // 16)


def test_restart_forgets_what_was_learnt_by_another_command(data, encoder, tmp_path):
    def run(*flags, **changes):
        command = arguments("multi-label", data, encoder, tmp_path / "r", *flags, **changes)
        return CliRunner().invoke(app, command)

    assert run("--keep-work", steps=1).exit_code == 0
    refused = run(steps=2)
    assert refused.exit_code == 1
    assert "--restart" in refused.stderr
    assert run("--restart", steps=2).exit_code == 0


@pytest.mark.parametrize(
    ("code", "flags", "message"),
    [
        (2, ["--batch", "0"], "batch is 0"),
        (2, ["--epochs", "1"], "and not both"),
        (2, ["--validation-share", "1.5"], "--validation-share is 1.5"),
        (2, ["--seed", "5000000000"], "or equal to 4294967295"),
        (2, ["--split-seed", "-1"], "or equal to 0"),
        (2, ["--work", "r"], "must not lie in one another"),
        (2, ["--work", "r/work"], "must not lie in one another"),
        (2, ["--work", "."], "must not lie in one another"),
        (1, ["--out", "file/r"], "can't be written, as"),
        (1, ["--count-positive", "chess"], "the data's tasks are even, odd"),
        (1, ["--prompt-field", "question"], "the data hold no rows"),
        (1, ["--max-tokens", "17"], "only 16 positions"),
        (1, ["--freeze-layers", "9"], "the encoder has 2 layers"),
        (1, ["--precision", "fp16"], "needs a GPU"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence(code, flags, message, data, encoder, tmp_path):
    if flags[-1] == "fp16" and torch.cuda.is_available():
        pytest.skip("a GPU has fp16")
    (tmp_path / "file").touch()
    if flags[0] in ("--work", "--out"):
        flags = [flags[0], tmp_path / flags[1]]
    command = arguments("routerdc", data, encoder, tmp_path / "r", *map(str, flags))
    result = CliRunner().invoke(app, command)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "r").exists()
    assert code == 1 or not (tmp_path / "r.training").exists()


@pytest.mark.parametrize("epochs", ["inf", "nan", "0"])
def test_epochs_that_are_no_number_of_steps_are_refused(epochs, data, encoder, tmp_path):
    command = arguments("multi-label", data, encoder, tmp_path / "r", "--epochs", epochs)
    place = command.index("--steps")
    result = CliRunner().invoke(app, command[:place] + command[place + 2 :])
    assert result.exit_code == 2
    assert "--epochs above 0" in result.stderr


def test_what_is_validated_on_is_not_learnt_from(data, encoder, tmp_path):
    held = toy_data()
    other = write_jsonl(tmp_path / "other.jsonl", held.rows(np.arange(10)))
    shared = sum(prompt in held.prompts[:10] for prompt in held.prompts)
    command = arguments("multi-label", data, encoder, tmp_path / "r", validation=other, steps=1)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert f"{shared} rows of --data are not learnt from" in result.stderr
    assert Artefact.load(tmp_path / "r").manifest.data.rows == 96 - shared
    command = arguments("multi-label", data, encoder, tmp_path / "r", validation=data, steps=1)
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "every prompt of --data" in result.stderr) == (1, True)


def test_what_was_read_is_said_by_whatever_name_it_has(encoder, tmp_path):
    rows = [
        {"q": prompt, "kind": "a [/odd] task", "scores": {"[/x]": row[0], "y": 1 - row[0]}}
        for prompt, row in zip(toy_data().prompts, toy_data().scores.tolist(), strict=True)
    ]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{}\n")
    flags = ["--prompt-field", "q", "--task-field", "kind"]
    command = arguments("zooter", data, encoder, tmp_path / "r", *flags, steps=1)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "1 bad rows were left out." in result.stderr
    said = re.search(r"(\d+) rows to learn from \((.*) (\d+)\), (\d+) to validate", result.stderr)
    assert int(said[1]) + int(said[4]) == 96
    assert (said[2], said[3]) == ("a [/odd] task", said[1])
    assert "2 models: [/x], y\n" in result.stderr
    assert "a [/odd] task" in result.stdout
    strict = CliRunner().invoke(app, [*command, "--strict"])
    assert (strict.exit_code, "has no q" in strict.stderr) == (1, True)


def test_a_folder_in_use_is_refused(data, encoder, tmp_path):
    command = arguments("zooter", data, encoder, tmp_path / "r", "--restart", steps=1)
    with held(tmp_path / "r.training"):
        result = CliRunner().invoke(app, command)
    assert (result.exit_code, "another training uses" in result.stderr) == (1, True)
    assert CliRunner().invoke(app, command).exit_code == 0


def test_a_restart_with_a_mistake_forgets_nothing(data, encoder, tmp_path):
    def run(*flags, **changes):
        command = arguments("multi-label", data, encoder, tmp_path / "r", *flags, **changes)
        return CliRunner().invoke(app, command)

    assert run("--keep-work", steps=1).exit_code == 0
    for flags in (["--batch", "0"], ["--count-positive", "chess"]):
        assert run("--restart", *flags, steps=1).exit_code in (1, 2)
        assert (tmp_path / "r.training/checkpoint.safetensors").is_file()


def test_a_router_is_written_into_the_folder_where_one_stands(data, encoder, tmp_path, monkeypatch):
    (tmp_path / "r").mkdir()
    monkeypatch.chdir(tmp_path / "r")
    command = arguments("multi-label", data, encoder, ".", "--keep-work", steps=1)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert Artefact.load(tmp_path / "r").models == MODELS
    assert (tmp_path / "r.training/training.json").is_file()


def test_the_proof_is_spread_over_validation_and_then_training(monkeypatch):
    monkeypatch.setattr(train_router, "_PROOF_PROMPTS", 6)
    many = dataclasses.replace(toy_data(8), prompts=tuple("aabcdefg"))
    few = dataclasses.replace(toy_data(3), prompts=tuple("xay"))
    assert train_router.proof_texts(many, few) == tuple("abcdef")
    assert train_router.proof_texts(few, many) == tuple("xaybdf")
    alone = few.rows(np.array([0]))
    assert train_router.proof_texts(alone, alone) == ("x",)


def test_a_full_disk_is_one_sentence(data, encoder, tmp_path, monkeypatch):
    def full(*_given, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.onnx")

    monkeypatch.setattr("server.cli.train_router.write_router", full)
    command = arguments("multi-label", data, encoder, tmp_path / "r", steps=1)
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, "No space left" in result.stderr) == (1, True)
    assert "the same command goes on" in result.stderr


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([{"prompt": "a", "scores": {"only": 1.0}}] * 4, "one model only"),
        ([{"prompt": "a", "scores": {"x": 1.0, "y": 1.0}}] * 4, "tells two models apart"),
        ([{"prompt": "a", "scores": {"x": 1.0, "y": 0.0}}] * 4, "too few prompts"),
    ],
)
def test_data_that_teach_nothing_are_refused(rows, message, encoder, tmp_path):
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = CliRunner().invoke(app, arguments("zooter", data, encoder, tmp_path / "r"))
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_folder_that_is_no_router_is_not_overwritten(data, encoder, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/thesis.tex").touch()
    result = CliRunner().invoke(app, arguments("zooter", data, encoder, tmp_path / "r"))
    assert result.exit_code == 1
    assert "no router" in result.stderr
    (tmp_path / "r.training").mkdir()
    (tmp_path / "r.training/thesis.tex").touch()
    (tmp_path / "r/thesis.tex").unlink()
    command = arguments("zooter", data, encoder, tmp_path / "r", "--restart")
    assert "holds no training" in CliRunner().invoke(app, command).stderr
    assert (tmp_path / "r.training/thesis.tex").exists()


def test_an_encoder_without_safetensors_is_refused(data, tmp_path):
    folder = write_tiny_encoder(tmp_path / "e")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    result = CliRunner().invoke(app, arguments("zooter", data, folder, tmp_path / "r"))
    assert result.exit_code == 1
    assert "model.safetensors is missing" in result.stderr


def test_a_missing_extra_is_named(data, encoder, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else real(name)
    )
    result = CliRunner().invoke(app, arguments("zooter", data, encoder, tmp_path / "r"))
    assert result.exit_code == 1
    assert "pip install '.[train]'" in result.stderr


def test_a_killed_training_goes_on_by_the_same_command(data, encoder, tmp_path):
    def command(name):
        out = tmp_path / name
        given = arguments("routerdc", data, encoder, out, steps=60, evaluate_every=5)
        return [sys.executable, "-m", "server.cli", *given]

    process = subprocess.Popen(command("killed"), env=ONE_THREAD)
    metrics = tmp_path / "killed.training/metrics.jsonl"
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    for name in ("killed", "whole"):
        subprocess.run(command(name), check=True, capture_output=True, env=ONE_THREAD)
    killed, whole = Artefact.load(tmp_path / "killed"), Artefact.load(tmp_path / "whole")
    assert (killed.arrays["llm_embeddings"] == whole.arrays["llm_embeddings"]).all()
    model = "encoder/model.onnx"
    assert killed.manifest.files[model] == whole.manifest.files[model]


def test_two_processes_share_a_training(data, encoder, tmp_path):
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    given = arguments("routerdc", data, encoder, tmp_path / "r", accumulate=2, batch=4)
    done = subprocess.run(
        [sys.executable, *launch, "-m", "server.cli", *given],
        capture_output=True,
        text=True,
        check=False,
        env=ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("step 40 ") == 1
    assert done.stdout.count("average") == 1
    _, judged = split(toy_data(), 0.25, 0)
    assert accuracy_of(Artefact.load(tmp_path / "r"), judged) > 0.9


def test_an_interruption_says_how_to_go_on(data, encoder, tmp_path, monkeypatch):
    def interrupted(*_given, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("encoders.training.trainer.train", interrupted)
    result = CliRunner().invoke(app, arguments("zooter", data, encoder, tmp_path / "r"))
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr
