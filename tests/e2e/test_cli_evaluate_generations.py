import csv
import importlib
import itertools
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from encoders import EncoderNotFoundError
from encoders.pairwise import PairRanker
from tests.bag_of_words import BagOfWords
from tests.unit.encoding.tiny_ranker import write_ranker

command = importlib.import_module("server.cli.evaluate_generations")

VOTERS = ("plain", "wordy", "twin", "clever")
QUALITY = {"plain": 0.3, "wordy": 0.4, "twin": 0.3, "clever": 0.9}


@pytest.fixture
def encoder(monkeypatch):
    encoder = BagOfWords()
    monkeypatch.setattr(command, "load_encoder", lambda *_: encoder)
    return encoder


def answer(voter, number):
    words = {
        "plain": f"it is the number {number}",
        "wordy": f"it is of course the number {number} as anybody knows who ever counted",
        "twin": f"it is number {number}",
        "clever": f"take {number} and think",
    }
    return words[voter]


def records(count=30):
    generator = np.random.default_rng(0)
    for number in range(count):
        yield {
            "prompt": f"which number follows {number} ?",
            "generations": [
                {
                    "voter": voter,
                    "text": answer(voter, number + 1),
                    "quality": float(np.clip(QUALITY[voter] + generator.normal(0, 0.15), 0, 1)),
                }
                for voter in VOTERS
            ],
        }


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in records()))
    return file


def run(*arguments):
    app = typer.Typer()
    app.command("generations")(command.generations)
    return CliRunner().invoke(app, [*map(str, arguments)])


SMALL = ("--labels", 10, "--label-neighbours", 3, "--repeats", 1, "--pools", 2, "--pool-size", 3)


@pytest.mark.usefixtures("encoder")
def test_the_first_line_answers_and_the_folder_holds_the_rest(data, tmp_path):
    out = tmp_path / "report"
    result = run("--data", data, *SMALL, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        ("No: the best way of choosing, “", "Not shown: the best way of choosing, “")
    )
    record = json.loads((out / "report.json").read_text(), parse_constant=pytest.fail)
    assert record["best_single"] == "clever"
    ways = {each["name"]: each for each in record["ways"]}
    alone = np.mean([each["generations"][3]["quality"] for each in records()])
    assert ways["best single"]["rate"]["mean"] == pytest.approx(alone)
    assert ways["Smoothie global"]["rate"]["mean"] < ways["best of 10 labelled"]["rate"]["mean"]
    assert record["pools"]["size"] == 3
    with (out / "ways.csv").open(newline="") as file:
        assert {each["way"] for each in csv.DictReader(file)} == set(ways)
    page = (out / "report.html").read_text()
    assert "clever" in page
    assert "<svg" in page


@pytest.mark.usefixtures("encoder")
def test_the_same_seed_says_the_same(data):
    first, again, other = (
        json.loads(run("--data", data, *SMALL, "--json", "--seed", seed).stdout)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_voters_limit_and_fields_are_kept_to(tmp_path, encoder):
    file = tmp_path / "long.jsonl"
    lines = [
        {"q": each["prompt"], "m": item["voter"], "a": item["text"], "s": item["quality"]}
        for each in records(6)
        for item in each["generations"]
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    fields = ["--prompt-field", "q", "--voter-field", "m", "--text-field", "a"]
    kept = ["--voter", "plain", "--voter", "clever", "--limit", 4, "--labels", 0]
    result = run("--data", file, *fields, "--quality-field", "s", *kept, "--json")
    record = json.loads(result.stdout)
    assert (record["voters"], record["prompts"]) == (["plain", "clever"], 4)
    assert record["pools"] is None
    assert len(set(encoder.calls)) == 4 + 8


class Judge:
    """Likes the answers of `clever`."""

    def __init__(self, endpoint, model):
        assert (endpoint.url, endpoint.key, model) == ("http://judge/v1", "secret", "solomon")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    concurrency = 1

    def compare(self, _, answers):
        liked = np.array(["think" in each for each in answers], float)
        return 0.5 + 0.5 * (liked[:, None] - liked[None, :])


@pytest.mark.usefixtures("encoder")
def test_a_judge_is_a_way_like_the_others(data, monkeypatch):
    monkeypatch.setattr("evaluation.judge.JudgeRanker", Judge)
    monkeypatch.setenv("JUDGE_KEY", "secret")
    flags = ["--judge-url", "http://judge/v1", "--judge-model", "solomon"]
    flags += ["--judge-key-variable", "JUDGE_KEY", "--labels", 0, "--pools", 0]
    result = run("--data", data, *flags, "--json")
    assert result.exit_code == 0, result.output
    ways = {each["name"]: each for each in json.loads(result.stdout)["ways"]}
    assert ways["judge solomon"]["found"] == 1


@pytest.mark.usefixtures("encoder")
def test_a_ranker_is_loaded_from_its_directory(data, tmp_path):
    directory = write_ranker(tmp_path / "ranker")
    given = ["--pair-ranker", directory, "--labels", 0, "--pools", 0, "--limit", 4, "--json"]
    result = run("--data", data, *given)
    assert result.exit_code == 0, result.output
    ranker = PairRanker.load(directory)
    chosen = []
    for each in itertools.islice(records(), 4):
        answers = [item["text"] for item in each["generations"]]
        wins = ranker.compare(each["prompt"], answers)
        np.fill_diagonal(wins, np.nan)
        chosen.append(each["generations"][np.nanmean(wins, axis=1).argmax()]["quality"])
    ways = {each["name"]: each for each in json.loads(result.stdout)["ways"]}
    assert ways["pairwise ranker"]["rate"]["mean"] == pytest.approx(np.mean(chosen))


@pytest.mark.usefixtures("encoder")
def test_a_directory_without_a_ranker_is_said(data, tmp_path):
    result = run("--data", data, "--pair-ranker", tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in "".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ([], 2, "Name judged answers"),
        (["--data", "DATA", "--judge-url", "http://judge/v1"], 2, "both --judge-url"),
        (["--data", "DATA", "--voter", "nobody"], 2, "No answer is by nobody"),
        (["--data", "DATA", "--voter", "plain"], 1, "one voter only"),
        (["--data", "DATA", "--quality-field", "stars"], 1, "No answer has a quality"),
        (["--data", "DATA", "--text-field", "words"], 1, "has no words"),
    ],
)
@pytest.mark.usefixtures("encoder")
def test_failures_are_one_sentence(data, flags, code, said):
    result = run(*[data if each == "DATA" else each for each in flags])
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_a_missing_encoder_is_said(data, monkeypatch):
    def missing(*_):
        raise EncoderNotFoundError("There is no encoder here; install one.")

    monkeypatch.setattr(command, "load_encoder", missing)
    result = run("--data", data)
    assert result.exit_code == 1
    assert "There is no encoder here" in result.stderr


@pytest.mark.usefixtures("encoder")
def test_an_unjudged_rest_is_said(tmp_path):
    file = tmp_path / "data.jsonl"
    first, second = records(2)
    for item in first["generations"]:
        item["quality"] = None
    file.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    result = run("--data", file, "--limit", 1)
    assert result.exit_code == 1
    assert "is judged" in result.stderr
