import importlib
import json

import pytest
import typer
from typer.testing import CliRunner

from encoders import EncoderNotFoundError
from tests.bag_of_words import BagOfWords

command = importlib.import_module("server.cli.score")

PROMPTS = {
    "Name a primary colour.": {
        "plain": "Red is a primary colour.",
        "wordy": "Red is a primary colour, as painters say.",
        "lost": "Bananas ripen fast.",
    },
    "What is two and two?": {
        "plain": "Two and two make four.",
        "wordy": "Two and two make four, always.",
        "lost": "Purple.",
    },
    "Where does rain come from?": {"plain": "Rain falls from clouds.", "lost": "A hat."},
}


@pytest.fixture
def encoder(monkeypatch):
    encoder = BagOfWords()
    monkeypatch.setattr(command, "load_encoder", lambda *_: encoder)
    return encoder


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    records = [{"prompt": prompt, "generations": each} for prompt, each in PROMPTS.items()]
    file.write_text("".join(json.dumps(each) + "\n" for each in records))
    return file


def run(*arguments):
    app = typer.Typer()
    app.command("score")(command.score)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def ranked(text):
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("estimator", ["global", "local", "single", "samples"])
def test_every_estimator_ranks_every_prompt(data, tmp_path, estimator):
    out = tmp_path / "ranked.jsonl"
    result = run(data, "--estimator", estimator, "--neighbours", 2, "--out", out)
    assert result.exit_code == 0, result.output
    records = ranked(out.read_text())
    assert [each["prompt"] for each in records] == list(PROMPTS)
    assert "lost" not in {each["best"]["voter"] for each in records[:2]}
    assert "Voters" in result.stdout
    assert "plain" in result.stdout


@pytest.mark.usefixtures("encoder")
def test_a_dash_writes_json_alone_to_standard_output(data):
    result = run(data, "--out", "-")
    assert len(ranked(result.stdout)) == len(PROMPTS)
    assert "Voters" in result.stderr


@pytest.mark.usefixtures("encoder")
def test_fields_voters_and_limit(tmp_path):
    file = tmp_path / "model_outputs.json"
    records = [
        {"instruction": prompt, "generator": voter, "output": text}
        for prompt, answers in PROMPTS.items()
        for voter, text in answers.items()
    ]
    file.write_text(json.dumps(records))
    fields = ["--prompt-field", "instruction", "--voter-field", "generator"]
    result = run(
        file,
        *fields,
        "--text-field",
        "output",
        "--voter",
        "plain",
        "--voter",
        "lost",
        "--limit",
        2,
        "--out",
        "-",
    )
    assert [[each["voter"] for each in record["scores"]] for record in ranked(result.stdout)] == [
        ["plain", "lost"]
    ] * 2


def test_prompt_and_generation_are_embedded_together(encoder, data):
    assert run(data, "--embedding", "prompt-and-generation", "--limit", 1).exit_code == 0
    assert encoder.calls[0] == "Name a primary colour.\nRed is a primary colour."


@pytest.mark.usefixtures("encoder")
def test_the_reference_formula_runs(data):
    result = run(data, "--formula", "reference", "--out", "-")
    assert [each["margin"] for each in ranked(result.stdout)] == [None] * 3


@pytest.mark.usefixtures("encoder")
def test_bad_rows_are_named_counted_and_left_out(data):
    with data.open("a") as stream:
        stream.write("{\n" * 12)
    result = run(data, "--out", "-")
    assert result.exit_code == 0
    assert "data.jsonl, line 4: is not JSON" in result.stderr
    assert "line 14:" not in result.stderr
    assert "12 bad rows were left out." in result.stderr
    assert len(ranked(result.stdout)) == len(PROMPTS)


def test_strict_fails_at_the_first_bad_row(data):
    with data.open("a") as stream:
        stream.write("{}\n{}\n")
    result = run(data, "--strict")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "data.jsonl, line 4: has no prompt." in result.stderr


def test_nothing_readable_is_exit_1(tmp_path):
    (tmp_path / "empty").touch()
    result = run(tmp_path / "empty")
    assert result.exit_code == 1
    assert "Nothing is readable" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--neighbours", "0"],
        ["--limit", "0"],
        ["--estimator", "best"],
        ["--voter", "nobody"],
        ["--out", "missing/folder/ranked.jsonl"],
        ["--encoder", "missing"],
    ],
)
def test_usage_errors_are_exit_2(data, arguments):
    assert run(data, *arguments).exit_code == 2


def test_a_missing_file_and_an_input_as_output_are_usage_errors(data, tmp_path):
    before = data.read_text()
    assert run(tmp_path / "none").exit_code == 2
    assert run(data, "--out", data).exit_code == 2
    assert data.read_text() == before


def test_an_encoder_that_is_missing_is_one_sentence(data, monkeypatch):
    def load(*_):
        raise EncoderNotFoundError("No encoder is here; install one.")

    monkeypatch.setattr(command, "load_encoder", load)
    result = run(data)
    assert (result.exit_code, result.stderr) == (1, "No encoder is here; install one.\n")
