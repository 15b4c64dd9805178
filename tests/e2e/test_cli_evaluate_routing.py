import csv
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from encoders import SentenceEncoder, write_artefact
from encoders.artefact.manifest import CalibrationEntry
from scoring.fitting import choose_parameters
from server.cli import app
from tests.unit.artefact.tiny_router import MODELS, tiny_draft, tiny_encoder

WORDS = ("the", "cat", "sat", "mat", "dog", *"abcdefghij")
PROMPTS = [
    f"{one} {other} {third}!" for one in WORDS[:5] for other in WORDS[5:9] for third in WORDS[9:12]
]
HOMES = {word: MODELS[place % 3] for place, word in enumerate(WORDS[:5])}
COSTS = dict(zip(MODELS, (1.0, 3.0, 9.0), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny encoder, a router for it, and prompts on which the first word decides."""
    made = tmp_path_factory.mktemp("evaluated")
    encoder = tiny_encoder(made / "encoder")
    vectors = SentenceEncoder.load(encoder).encode(list(WORDS[:3])).vectors
    draft = tiny_draft(calibration=CalibrationEntry(temperature=0.5))
    write_artefact(made / "router", draft, {"llm_embeddings": vectors}, encoder)
    for name, prompts in (("train", PROMPTS[::2]), ("test", PROMPTS[1::2])):
        lines = [json.dumps(record(row, prompt)) for row, prompt in enumerate(prompts)]
        (made / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return made


def record(row, prompt):
    right = HOMES[prompt.split()[0]]
    return {
        "prompt": prompt,
        "task": "even" if row % 2 == 0 else "odd",
        "scores": {model: float(model == right) for model in MODELS},
        "costs": COSTS,
    }


def evaluated(folder, *arguments):
    given = ("evaluate", "routing", "--data", folder / "test.jsonl", "--no-cache", *arguments)
    return CliRunner().invoke(app, [str(each) for each in given])


def test_routers_and_methods_are_compared(folder, tmp_path):
    out = tmp_path / "deep" / "report"
    result = evaluated(
        folder, "--training", folder / "train.jsonl", "--router", f"tiny={folder / 'router'}",
        "--method", "logistic", "--encoder", folder / "encoder", "--out", out,
        "--policy", "arg-max", "--policy", "random-confident:confidence=0.5,among=2",
        "--policy", "sorted-prediction",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    first, *rest = result.stdout.splitlines()
    assert first.startswith(("Yes: ", "No: ", "We can't tell "))
    assert max(len(line) for line in rest) <= 100
    record = json.loads((out / "report.json").read_text(), parse_constant=pytest.fail)
    assert record["headline"] == first.strip()
    assert record["best_single_found_on"] == "training rows"
    assert [each["kind"] for each in record["routers"]] == ["routerdc", "logistic"]
    tiny, logistic = record["routers"]
    assert tiny["training_seconds"] is None
    assert logistic["training_seconds"] > 0
    assert logistic["latency_seconds"]["p99"] >= logistic["latency_seconds"]["p50"] > 0
    assert tiny["reliability"]["bins"]
    assert logistic["curve"]["area"]["mean"] > 0
    routers = [each["name"] for each in record["ways"] if each["role"] == "router"]
    assert len(routers) == 6
    assert "logistic, sorted-prediction" in routers
    page = (out / "report.html").read_text()
    assert re.search(r"<h1>(Yes|No|We can&#39;t tell)", page)
    with (out / "choices.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(PROMPTS[1::2])
    assert {row["tiny, arg-max"] for row in rows} <= set(MODELS)
    assert not any(prompt in (out / "choices.csv").read_text() for prompt in PROMPTS)


def test_what_is_measured_is_what_route_chooses(folder, tmp_path):
    router = folder / "router"
    result = evaluated(folder, "--router", router, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    given = ["route", "--router", router, "--data", folder / "test.jsonl"]
    routed = CliRunner().invoke(app, [str(each) for each in given])
    served = [json.loads(line)["model"] for line in routed.stdout.splitlines()]
    with (tmp_path / "choices.csv").open(newline="") as stream:
        assert [row["router"] for row in csv.DictReader(stream)] == served


def test_figures_can_be_had_as_json_and_cached(folder, tmp_path):
    given = ("--router", folder / "router", "--json", "--limit", 6, "--cost", f"{MODELS[0]}=2")
    first = evaluated(folder, *given)
    record = json.loads(first.stdout, parse_constant=pytest.fail)
    assert sum(each["rows"] for each in record["tasks"]) == 6
    cached = [
        str(each) for each in ("evaluate", "routing", "--data", folder / "test.jsonl", *given)
    ]
    for _ in range(2):
        again = CliRunner().invoke(app, [*cached, "--cache", str(tmp_path / "cache")])
        assert again.exit_code == 0, again.output
    assert list((tmp_path / "cache").rglob("*.vectors"))
    assert json.loads(again.stdout)["ways"] == record["ways"]


def test_a_table_alone_says_what_could_be_gained(folder):
    result = evaluated(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("No router was measured")


def test_costs_per_model_make_a_curve(folder, tmp_path):
    file = tmp_path / "free.jsonl"
    records = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    file.write_text("".join(json.dumps({**r, "costs": {}}) + "\n" for r in records))
    given = ["evaluate", "routing", "--data", file, "--no-cache", "--json"]
    given += ["--router", folder / "router"]
    for model, cost in COSTS.items():
        given += ["--cost", f"{model}={cost}"]
    result = CliRunner().invoke(app, [str(each) for each in given])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["routers"][0]["curve"]["area"]["mean"] > 0
    alone = {each["name"]: each["mean_cost"] for each in record["ways"] if each["role"] == "model"}
    assert alone == pytest.approx(COSTS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--router", "nowhere"], 2, "is no directory"),
        (["--router", "ROUTER", "--router", "ROUTER"], 2, "router is given twice"),
        (["--method", "logistic"], 2, "name them by --training"),
        (["--method", "fixed"], 2, "can't be learned on the spot"),
        (["--method", "logistic", "--method", "logistic", "--training", "DATA"], 2, "twice"),
        (["--policy", "best"], 2, "there is none such"),
        (["--policy", "sample"], 2, "needs --temperature"),
        (["--policy", "sample:temperature"], 2, "write it as NAME:KEY=VALUE"),
        (["--policy", "arg-max", "--policy", "arg-max"], 2, "is given twice"),
        (["--policy", "prediction"], 2, "needs --training"),
        (["--cost", "large"], 2, "write it as MODEL=NUMBER"),
        (["--cost", "large=-1"], 2, "write it as MODEL=NUMBER"),
        (["--main", "other", "--router", "ROUTER"], 2, "the routers are router"),
        (["--count-positive", "sums"], 1, "No row is of the task sums"),
        (["--out", "DATA"], 2, "can't be a folder"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(folder, arguments, code, message):
    places = {"ROUTER": str(folder / "router"), "DATA": str(folder / "train.jsonl")}
    result = evaluated(folder, *(places.get(each, each) for each in arguments))
    assert result.exit_code == code, result.output
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())


def test_a_router_of_other_models_is_refused(folder, tmp_path):
    file = tmp_path / "other.jsonl"
    file.write_text('{"prompt": "the cat", "scores": {"other": 1}}\n')
    given = ["evaluate", "routing", "--data", file, "--router", folder / "router", "--no-cache"]
    result = CliRunner().invoke(app, [str(each) for each in given])
    assert result.exit_code == 1
    assert "none of the router's models" in result.output


def test_latency_is_taken_of_few_prompts_one_at_a_time():
    from server.cli.evaluate_contenders import latency_of

    class Counting:
        calls = 0

        def encode(self, texts):
            self.calls += 1
            assert len(texts) == 1
            return type("Encoded", (), {"vectors": np.zeros((1, 2), np.float32)})()

        def score(self, vectors):
            assert vectors.shape == (1, 2)

    ticks = iter(range(10_000))
    counted = Counting()
    latency = latency_of(counted, counted, [str(each) for each in range(500)], lambda: next(ticks))
    assert counted.calls == 51
    np.testing.assert_array_equal(latency.encode, np.ones(50))
    np.testing.assert_array_equal(latency.score, np.ones(50))


def test_the_kind_may_be_chosen_too(folder, monkeypatch):
    tried = []

    def choose_router(rows, **given):
        tried.append(len(rows.models))
        return choose_parameters("best-single", rows, **given)

    monkeypatch.setattr("server.cli.evaluate_methods.choose_router", choose_router)
    given = ("--training", folder / "train.jsonl", "--encoder", folder / "encoder", "--json")
    result = evaluated(folder, "--method", "auto", *given)
    assert result.exit_code == 0, result.output
    (router,) = json.loads(result.stdout)["routers"]
    assert (router["name"], router["kind"]) == ("auto", "best-single")
    assert tried == [len(MODELS)]
