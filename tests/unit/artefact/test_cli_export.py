import importlib
import json
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from encoders import Artefact, Provider, SentenceEncoder, write_artefact
from encoders.artefact.manifest import Precision
from tests.unit.artefact.tiny_router import (
    MODELS,
    edit_manifest,
    forge_arrays,
    tiny_draft,
    tiny_encoder,
)

command = importlib.import_module("server.cli.export")

PROMPTS = ["the cat sat", "the dog", "a b c", "d e f g", "你好", "the mat!", "h i j", "dogs, cats"]


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder = tmp_path_factory.mktemp("routers")
    encoder = tiny_encoder(folder / "source")
    (folder / "curve.png").write_bytes(b"picture")
    judged = {"rows": 9, "average": 0.7, "best_single_model": "a", "best_single_average": 0.6}
    draft = tiny_draft(
        calibration={"temperature": 0.25, "nll_after": 1.0}, method={"steps": 7}, validation=judged
    )
    vectors = SentenceEncoder.load(encoder, provider=Provider.CPU).encode(PROMPTS).vectors
    # What is common to all prompts says nothing, and would send all of them to one model.
    arrays = {"llm_embeddings": (vectors - vectors.mean(axis=0))[[0, 2, 4]]}
    return write_artefact(folder / "router", draft, arrays, encoder, [folder / "curve.png"])


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(2)
    rows = [
        {
            "prompt": prompt,
            "task": "odd" if index % 2 else "even",
            "scores": dict(zip((*MODELS, "other"), random.random(4).round(2), strict=True)),
        }
        for index, prompt in enumerate(PROMPTS)
    ]
    file = tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*arguments):
    app = typer.Typer()
    app.command("export")(command.export)
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})


def choices(artefact, encoder):
    vectors = encoder.encode(PROMPTS).vectors
    embeddings = artefact.arrays["llm_embeddings"]
    return (vectors @ (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).T).argmax(1)


def test_the_new_router_differs_in_its_encoder_alone(router, tmp_path):
    result = run(router.directory, "--out", tmp_path / "small")
    assert result.exit_code == 0, result.output
    written = Artefact.load(tmp_path / "small")
    assert written.manifest.encoder.precision is Precision.INT8_DYNAMIC
    assert written.revision != router.revision
    assert written.manifest.encoder.revision != router.manifest.encoder.revision
    for name in ("kind", "models", "method", "data"):
        assert getattr(written.manifest, name) == getattr(router.manifest, name)
    assert written.manifest.calibration.temperature == 0.25
    assert "fp32" in written.manifest.calibration.note
    before, after = router.manifest.validation, written.manifest.validation
    assert (before.note, "fp32" in after.note) == ("", True)
    assert after.model_copy(update={"note": ""}) == before
    np.testing.assert_array_equal(written.arrays["llm_embeddings"], router.arrays["llm_embeddings"])
    assert (tmp_path / "small/curve.png").read_bytes() == b"picture"
    assert Artefact.load(router.directory).revision == router.revision


def test_the_difference_is_what_it_says(router, data, tmp_path):
    run(router.directory, "--out", tmp_path / "small", "--data", data)
    entry = Artefact.load(tmp_path / "small").manifest.export
    before, after = (
        SentenceEncoder.load(directory / "encoder", provider=Provider.CPU).encode(PROMPTS).vectors
        for directory in (router.directory, tmp_path / "small")
    )
    assert entry.prompts == len(PROMPTS)
    assert entry.largest_difference == pytest.approx(np.abs(before - after).max(), abs=1e-6)
    assert entry.largest_difference > 0


@pytest.mark.parametrize("positive", [[], ["even"]])
def test_the_accuracy_is_that_of_the_data(router, data, tmp_path, positive):
    flags = [flag for task in positive for flag in ("--count-positive", task)]
    result = run(router.directory, "--out", tmp_path / "small", "--data", data, *flags)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in data.read_text().splitlines()]

    def average(chosen):
        won = [row["scores"][MODELS[model]] for row, model in zip(rows, chosen, strict=True)]
        even = [float(score > 0) for score in won[::2]] if positive else won[::2]
        return (np.mean(even) + np.mean(won[1::2])) / 2

    written = Artefact.load(tmp_path / "small")
    before = average(choices(router, router.load_encoder(Provider.CPU)))
    after = average(choices(router, written.load_encoder(Provider.CPU)))
    assert f"{100 * before:.2f}" in result.stdout
    assert f"{100 * after:.2f}" in result.stdout
    assert f"{100 * (after - before):+.2f}" in result.stdout
    assert written.manifest.export.accuracy_change == pytest.approx(after - before)


def test_data_may_be_a_folder_whose_parts_have_other_names(router, data, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    text = data.read_text().replace('"prompt"', '"q"').replace('"task"', '"kind"')
    (folder / "scores.jsonl").write_text(text + "{}\n")
    flags = ["--data", folder, "--prompt-field", "q", "--task-field", "kind"]
    given = (router.directory, "--out", tmp_path / "small", *flags, "--count-positive", "even")
    result = run(*given)
    assert result.exit_code == 0, result.output
    assert "1 bad rows were left out." in result.stderr
    assert "Accuracy" in result.stdout
    strict = run(*given, "--strict")
    assert (strict.exit_code, "has no q" in strict.stderr) == (1, True)


def test_an_encoder_that_points_elsewhere_shows_in_the_figures(router, data, tmp_path, monkeypatch):
    def spoil(_, out):
        tiny_encoder(out, seed=9)

    monkeypatch.setattr("encoders.quantise.quantise_encoder", spoil)
    result = run(router.directory, "--out", tmp_path / "small", "--data", data)
    written = Artefact.load(tmp_path / "small")
    before = choices(router, router.load_encoder(Provider.CPU))
    after = choices(router, written.load_encoder(Provider.CPU))
    assert (before != after).any()
    assert f"{(before != after).mean():.2%}" in result.stdout
    assert written.manifest.export.largest_difference > 0.1


def test_without_data_there_is_no_accuracy(router, tmp_path):
    result = run(router.directory, "--out", tmp_path / "small")
    assert "Accuracy" not in result.stdout
    assert Artefact.load(tmp_path / "small").manifest.export.accuracy_change is None


def test_what_it_refuses(router, data, tmp_path):
    def refused(*arguments):
        result = run(*arguments)
        assert result.exit_code in (1, 2)
        return " ".join(result.output.replace("│", " ").split())

    assert "is the router itself" in refused(router.directory, "--out", router.directory)
    small = tmp_path / "small"
    assert "choose another precision" in refused(
        router.directory, "--out", small, "--precision", "fp32"
    )
    run(router.directory, "--out", small)
    assert "export one in fp32" in refused(small, "--out", tmp_path / "smaller")
    (tmp_path / "work").mkdir()
    assert "no manifest.json" in refused(tmp_path / "work", "--out", small)
    (tmp_path / "work/thesis.tex").touch()
    assert "is no router" in refused(router.directory, "--out", tmp_path / "work")
    assert "which is missing" in refused(
        router.directory, "--out", small, "--count-positive", "even"
    )
    given = (router.directory, "--out", small, "--data", data)
    assert "nonsense" in refused(*given, "--count-positive", "nonsense")
    data.write_text('{"prompt": "p", "scores": {"small": 1, "large": 0}}\n')
    assert "tuned" in refused(*given)


def test_arrays_that_are_of_no_router_are_refused(router, data, tmp_path):
    copy = shutil.copytree(router.directory, tmp_path / "copy")
    forge_arrays(copy, {"others": np.zeros(1, np.float32)})
    result = run(copy, "--out", tmp_path / "small", "--data", data)
    assert (result.exit_code, "llm_embeddings" in result.stderr) == (1, True)
    assert not (tmp_path / "small").exists()


def test_a_damaged_router_is_refused_and_the_old_output_kept(router, tmp_path):
    copy = shutil.copytree(router.directory, tmp_path / "copy")
    run(copy, "--out", tmp_path / "small")
    kept = Artefact.load(tmp_path / "small").revision
    edit_manifest(copy, lambda values: values["encoder"].update(revision="0" * 16))
    result = run(copy, "--out", tmp_path / "small")
    assert result.exit_code == 1
    assert "manifest.json says" in result.stderr
    assert Artefact.load(tmp_path / "small").revision == kept
