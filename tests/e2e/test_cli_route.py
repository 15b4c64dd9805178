import asyncio
import importlib
import json
from collections import Counter

import grpc
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from encoders import SentenceEncoder, write_artefact
from encoders.artefact.manifest import CalibrationEntry
from pointsman.client import PointsmanError, SamplePolicy
from scoring.policies import Sample, fit_nearest
from server.cli.remote_router import RemoteRouter
from server.cli.wanted import Wanted
from tests.server_process import ServerProcess
from tests.unit.artefact.tiny_router import MODELS, tiny_draft, tiny_encoder

SMALL, LARGE, TUNED = MODELS
WORDS = ("the", "cat", "sat", "mat", "dog", *"abcdefghij")
PROMPTS = [
    f"{one} {other} {third}!" for one in WORDS[:5] for other in WORDS[5:9] for third in WORDS[9:12]
]


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    folder = tmp_path_factory.mktemp("router")
    draft = tiny_draft(calibration=CalibrationEntry(temperature=0.5))
    encoder = tiny_encoder(folder / "e")
    arrays = {"llm_embeddings": apart(SentenceEncoder.load(encoder).encode(PROMPTS).vectors)}
    return write_artefact(folder / "r", draft, arrays, encoder).directory


def apart(vectors):
    """Three embeddings, each of which is the nearest to some of the vectors."""
    mean = vectors.mean(axis=0)
    others = vectors - np.outer(vectors @ mean, mean) / (mean @ mean)
    _, _, (first, second, *_) = np.linalg.svd(others)
    return np.ascontiguousarray([first, -first, second], np.float32)


@pytest.fixture
def data(tmp_path):
    """Prompts of two tasks, on which the model in their place by turns is right."""
    file = tmp_path / "data.jsonl"
    records = [
        {
            "prompt": prompt,
            "task": "even" if row % 2 == 0 else "odd",
            "scores": {model: float(place == row % 3) for place, model in enumerate(MODELS)},
        }
        for row, prompt in enumerate(PROMPTS)
    ]
    file.write_text("".join(json.dumps(each) + "\n" for each in records))
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory, router):
    setting = f"routers={{tiny: {{directory: {router}}}}}"
    with ServerProcess(tmp_path_factory.mktemp("routing"), "--set", setting) as process:
        yield process


def run(*arguments):
    app = typer.Typer()
    for name in ("route", "calibrate"):
        app.command(name)(getattr(importlib.import_module(f"server.cli.{name}"), name))
    return CliRunner().invoke(app, [str(each) for each in arguments])


def routed(*arguments):
    result = run("route", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line, parse_constant=pytest.fail) for line in result.stdout.splitlines()]


def test_one_prompt_is_ranked(router):
    (record,) = routed("--router", router, "--prompt", "the cat sat")
    assert set(record) == {"prompt", "model", "ranking", "margin", "entropy"}
    scores = [each["score"] for each in record["ranking"]]
    assert scores == sorted(scores, reverse=True)
    assert record["model"] == record["ranking"][0]["model"]
    assert {each["model"] for each in record["ranking"]} == set(MODELS)
    assert record["margin"] == pytest.approx(scores[0] - scores[1])
    probabilities = np.array([each["probability"] for each in record["ranking"]])
    np.testing.assert_allclose(probabilities, np.exp(scores) ** 2 / (np.exp(scores) ** 2).sum())
    assert record["entropy"] == pytest.approx(-(probabilities * np.log(probabilities)).sum())
    costs = {each["model"]: each["cost"] for each in record["ranking"]}
    assert costs == {SMALL: 1.0, LARGE: 4.5, TUNED: None}


def test_every_prompt_of_a_file_has_a_line_and_the_accuracy_is_told(router, data, tmp_path):
    out, report = tmp_path / "out.jsonl", tmp_path / "report.json"
    result = run("route", "--router", router, "--data", data, "--out", out, "--report", report)
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [each["prompt"] for each in records] == PROMPTS
    assert [each["task"] for each in records[:2]] == ["even", "odd"]
    right = [each["model"] == MODELS[row % 3] for row, each in enumerate(records)]
    by_task = [np.mean(right[0::2]), np.mean(right[1::2])]
    said = json.loads(report.read_text())
    assert said["router"]["average"]["mean"] == pytest.approx(np.mean(by_task))
    assert f"{100 * np.mean(by_task):.2f}" in result.stdout
    assert len({each["model"] for each in records}) > 1


def test_a_dash_keeps_the_tables_off_standard_output(router, data):
    result = run("route", "--router", router, "--data", data)
    assert len([json.loads(line) for line in result.stdout.splitlines()]) == len(PROMPTS)
    assert "Accuracy in %" in result.stderr


def test_positive_tasks_and_training_rows_reach_the_report(router, data, tmp_path):
    report = tmp_path / "report.json"
    flags = ["--count-positive", "odd", "--training", data, "--report", report]
    assert run("route", "--router", router, "--data", data, *flags).exit_code == 0
    said = json.loads(report.read_text())
    assert [task["positive"] for task in said["tasks"]] == [False, True]
    assert said["baselines_found_on"] == "training rows"


def test_training_rows_have_the_fields_of_the_data(router, data, tmp_path):
    renamed, report = tmp_path / "renamed.jsonl", tmp_path / "report.json"
    renamed.write_text(data.read_text().replace('"prompt"', '"instruction"'))
    flags = ["--prompt-field", "instruction", "--training", renamed, "--report", report]
    assert run("route", "--router", router, "--data", renamed, *flags).exit_code == 0
    assert json.loads(report.read_text())["baselines_found_on"] == "training rows"


@pytest.mark.parametrize(
    ("name", "content"), [("p.txt", "a b\n\nc d\n"), ("p.csv", "q,n\na b,1\n")]
)
def test_prompts_without_scores_are_counted(router, tmp_path, name, content):
    file = tmp_path / name
    file.write_text(content)
    result = run("route", "--router", router, "--data", file, "--prompt-field", "q")
    assert result.exit_code == 0
    prompts = [json.loads(line)["prompt"] for line in result.stdout.splitlines()]
    assert prompts == ["a b", "c d"][: len(prompts)]
    assert ("Share of calls" in result.stderr) == (len(prompts) > 1)


def test_policies_choose(router, data):
    flags = ["--router", router, "--data", data]
    free = [each["model"] for each in routed(*flags)]
    cheap = routed(*flags, "--policy", "budget", "--max-cost", 2)
    assert {each["model"] for each in cheap} == {SMALL}
    assert len(cheap[0]["ranking"]) == 3
    strong = routed(*flags, "--policy", "threshold", "--strong", LARGE, "--weak", SMALL,
                    "--threshold", "-9")  # fmt: skip
    assert {each["model"] for each in strong} == {LARGE}
    dear = routed(*flags, "--policy", "cost-penalty", "--penalty", 100)
    assert {each["model"] for each in dear} == {SMALL}
    confident = ["--policy", "first-confident", "--confidence", "-9"]
    preferred = routed(*flags, *confident, "--prefer", TUNED, "--prefer", SMALL)
    assert {each["model"] for each in preferred} == {TUNED}
    assert {each["model"] for each in routed(*flags, *confident)} == {SMALL}  # the cheapest
    unsure = routed(*flags, "--policy", "random-confident", "--confidence", "9")
    assert [each["model"] for each in unsure] == free
    assert {each["fallback"] for each in unsure} == {"NOT_CONFIDENT"}
    drawn = routed(*flags, "--policy", "random-confident", "--confidence", "-9")
    assert len({each["model"] for each in drawn}) > 1
    sampled, again, other = (
        [each["model"] for each in routed(*flags, "--policy", "sample", "--temperature", 9,
                                          "--seed", seed)]
        for seed in (1, 1, 500)
    )  # fmt: skip
    assert sampled == again
    assert sampled != other
    assert len(set(sampled)) == 3
    assert len(set(free)) > 1


def test_candidates_and_denied_models_are_kept_out(router):
    flags = ["--router", router, "--prompt", "the cat"]
    (only,) = routed(*flags, "--candidates", SMALL, "--candidates", TUNED)
    (denied,) = routed(*flags, "--deny", LARGE)
    assert only == denied
    assert {each["model"] for each in only["ranking"]} == {SMALL, TUNED}


def test_digits_round(router):
    (record,) = routed("--router", router, "--prompt", "the cat", "--digits", 2)
    assert all(each["score"] == round(each["score"], 2) for each in record["ranking"])


def test_limit_and_strict(router, data):
    assert len(routed("--router", router, "--data", data, "--limit", 2)) == 2
    with data.open("a") as stream:
        stream.write("{}\n")
    result = run("route", "--router", router, "--data", data, "--limit", 2)
    assert "has no prompt" in result.stderr
    assert "1 bad rows were left out." in result.stderr
    assert run("route", "--router", router, "--data", data, "--strict").exit_code == 1


def test_long_prompts_are_counted(router):
    result = run("route", "--router", router, "--prompt", "cat " * 50)
    assert "1 prompts were longer than the encoder reads." in result.stderr


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--router", "r"],
        ["--router", "r", "--prompt", "p", "--data", "d"],
        ["--router", "r", "--prompt", "p", "--policy", "budget"],
        ["--router", "r", "--prompt", "p", "--max-cost", "1"],
        ["--router", "r", "--prompt", "p", "--policy", "budget", "--max-cost", "-1"],
        ["--router", "r", "--prompt", "p", "--policy", "sample", "--temperature", "0"],
        ["--router", "r", "--prompt", "p", "--policy", "other"],
        ["--router", "r", "--prompt", "p", "--policy", "first-confident"],
        [
            "--router",
            "r",
            "--prompt",
            "p",
            "--policy",
            "budget",
            "--max-cost",
            "1",
            "--prefer",
            "x",
        ],
        ["--router", "r", "--prompt", "p", "--policy", "nearest-confidence", "--prediction", "no"],
        ["--router", "r", "--prompt", "p", "--policy", "first-confident", "--confidence", "nan"],
        ["--router", "r", "--prompt", "p", "--out", "missing/folder/file"],
        ["--router", "r", "--prompt", "p", "--concurrency", "0"],
    ],
)
def test_usage_errors_are_exit_2(flags):
    assert run("route", *flags).exit_code == 2


def test_failures_are_one_sentence_and_exit_1(router, data, tmp_path):
    cases = {
        "router": ["--router", tmp_path, "--prompt", "p"],
        "huge": ["--router", router, "--prompt", "p", "--candidates", "huge"],
        "deny": ["--router", router, "--prompt", "p", *(f"--deny={each}" for each in MODELS)],
        "readable": ["--router", router, "--data", tmp_path / "none.txt"],
        "no scores": ["--router", router, "--prompt", "p", "--report", tmp_path / "r.json"],
        "task z": ["--router", router, "--data", data, "--count-positive", "z"],
        "training rows": ["--router", router, "--data", data, "--training", tmp_path / "none.csv"],
    }
    for word, flags in cases.items():
        result = run("route", *flags)
        assert (result.exit_code, word in result.stderr) == (1, True), (word, result.output)
        assert "Traceback" not in result.output


def test_what_does_not_fit_the_data_is_refused_before_anything_is_encoded(
    router, data, tmp_path, monkeypatch
):
    def encoded(*_):
        pytest.fail("it was encoded")

    monkeypatch.setattr("server.cli.offline_router.encode", encoded)
    scoreless = tmp_path / "p.txt"
    scoreless.write_text("a\nb\n")
    pair = ["--strong", LARGE, "--weak", SMALL, "--share", 0.5]
    route = ["route", "--router", router]
    for arguments in (
        [*route, "--data", scoreless, "--report", tmp_path / "r.json"],
        [*route, "--data", data, "--count-positive", "z"],
        [*route, "--data", data, "--training", tmp_path / "none.csv"],
        ["calibrate", router, "--data", data, *pair, "--count-positive", "z"],
        ["calibrate", router, "--data", data, *pair, "--strong", "huge"],
        ["calibrate", router, "--data", scoreless, *pair, "--strong", "huge"],
    ):
        result = run(*arguments)
        assert (result.exit_code, "Traceback" in result.output) == (1, False), result.output


def test_lines_are_written_even_where_choices_can_t_be_measured(router, tmp_path):
    data, out = tmp_path / "d.jsonl", tmp_path / "out.jsonl"
    rows = [{"prompt": each, "scores": {SMALL: 1}} for each in PROMPTS]
    data.write_text("".join(json.dumps(each) + "\n" for each in rows))
    result = run("route", "--router", router, "--data", data, "--out", out)
    assert (result.exit_code, "has no score of" in result.stderr) == (1, True)
    assert len(out.read_text().splitlines()) == len(PROMPTS)


def test_lines_that_a_quote_swallows_are_counted(router, tmp_path):
    data = tmp_path / "d.csv"
    data.write_text('prompt,n\nthe cat,1\n"the dog,1\nthe mat,1\na b,1\n')
    result = run("route", "--router", router, "--data", data)
    assert "lines 3 to 5 are lost" in result.stderr
    assert "With them 2 further lines were lost" in result.stderr


def test_the_server_chooses_as_we_do_offline(router, data, server):
    flags = ["--data", data, "--digits", 4]
    for policy in ([], ["--policy", "sample", "--temperature", 1], ["--deny", LARGE]):
        offline = routed("--router", router, *flags, *policy)
        served = routed("--address", server.target, "--router", "tiny", *flags, *policy)
        assert [each["model"] for each in served] == [each["model"] for each in offline]
        assert [set(each) for each in served] == [set(each) for each in offline]
        for one, other in zip(served, offline, strict=True):
            assert one["prompt"] == other["prompt"]
            assert one["margin"] == pytest.approx(other["margin"], abs=2e-4)
            assert one["entropy"] == pytest.approx(other["entropy"], abs=2e-4)


def test_every_policy_reaches_the_server(router, server, tmp_path):
    prediction = tmp_path / "prediction.json"
    prediction.write_text(json.dumps({"weights": {SMALL: 1.0}, "intercept": 0.0}))
    asked = ["--prompt", "the cat sat"]
    for policy in (
        ["--policy", "budget", "--max-cost", 1],
        ["--policy", "cost-penalty", "--penalty", 100],
        ["--policy", "threshold", "--strong", LARGE, "--weak", SMALL, "--threshold", "-9"],
        ["--policy", "threshold", "--strong", LARGE, "--weak", SMALL, "--threshold", "9"],
        ["--policy", "random-confident", "--confidence", "-9", "--seed", 3],
        ["--policy", "random-confident", "--confidence", "9", "--among", 2, "--seed", 3],
        ["--policy", "first-confident", "--confidence", "-9", "--prefer", TUNED],
        ["--policy", "nearest-confidence", "--prediction", prediction],
        ["--candidates", TUNED],
    ):
        (offline,) = routed("--router", router, *asked, *policy)
        (served,) = routed("--address", server.target, *asked, *policy)
        assert served["model"] == offline["model"]


def test_a_refusal_of_the_server_is_one_sentence(server):
    result = run("route", "--address", server.target, "--router", "none", "--prompt", "p")
    assert result.exit_code == 1
    assert "NOT_FOUND" in result.stderr
    result = run("route", "--address", "http://nowhere", "--prompt", "p")
    assert (result.exit_code, "host:port" in result.stderr) == (1, True)


class BusyClient:
    """A client of a server that refuses every first attempt, and one prompt for ever."""

    def __init__(self, bad="", busy_for=1):
        self.bad, self.busy_for = bad, busy_for
        self.seen, self.now, self.most = [], 0, 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def route(self, prompt, *, router, candidates, denied, policy):
        assert (router, candidates, denied) == ("r", ("x",), ["y"])
        self.seen.append((prompt, policy))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001 * (int(prompt) % 3))
        self.now -= 1
        if prompt == self.bad:
            raise PointsmanError("No.", code=grpc.StatusCode.INVALID_ARGUMENT, reason="NO")
        if sum(each == prompt for each, _ in self.seen) <= self.busy_for:
            raise PointsmanError("Busy.", code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after=0.0)
        return prompt


def route_busily(monkeypatch, client):
    monkeypatch.setattr("server.cli.remote_router.AsyncClient", lambda *_, **__: client)
    wanted = Wanted(Sample(1.0, 7), ("x",), frozenset(["y"]))
    return RemoteRouter("a", "r", concurrency=3).route([str(each) for each in range(10)], wanted)


async def test_a_busy_server_is_asked_again_and_replies_keep_their_order(monkeypatch):
    client = BusyClient()
    assert await route_busily(monkeypatch, client) == [str(each) for each in range(10)]
    assert len(client.seen) == 20
    assert client.most == 3
    assert all(policy == SamplePolicy(1.0, 7 + int(prompt)) for prompt, policy in client.seen)


async def test_a_server_that_is_always_busy_is_given_up(monkeypatch):
    monkeypatch.setattr("server.cli.remote_router._MOST_ATTEMPTS", 4)
    client = BusyClient(busy_for=99)
    with pytest.raises(PointsmanError, match="Busy"):
        await route_busily(monkeypatch, client)
    assert max(Counter(prompt for prompt, _ in client.seen).values()) == 4


async def test_a_prompt_that_is_refused_is_named_and_ends_it(monkeypatch):
    client = BusyClient(bad="4")
    with pytest.raises(PointsmanError, match="Prompt 5: No") as refused:
        await route_busily(monkeypatch, client)
    assert refused.value.reason == "NO"
    assert "9" not in {prompt for prompt, _ in client.seen}


def calibrated(*arguments):
    result = run("calibrate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)


def test_the_threshold_gives_the_share_when_it_is_used(router, data):
    pair = ["--strong", LARGE, "--weak", SMALL]
    found = calibrated(router, *pair, "--share", 0.3, "--data", data)
    records = routed("--router", router, "--data", data, "--policy", "threshold", *pair,
                     f"--threshold={found['threshold']!r}")  # fmt: skip
    share = np.mean([each["model"] == LARGE for each in records])
    assert share == pytest.approx(found["share"])
    assert 0.2 < share <= 0.3
    assert found["mean_cost"] == pytest.approx(share * 4.5 + (1 - share) * 1.0)
    averages = [np.mean([[row % 3 == place for row in rows] for place in (0, 1)], axis=1)
                for rows in (range(0, 60, 2), range(1, 60, 2))]  # fmt: skip
    weak, strong = np.mean(averages, axis=0)
    assert found["accuracy"]["always_weak"]["mean"] == pytest.approx(weak)
    assert found["accuracy"]["always_strong"]["mean"] == pytest.approx(strong)


def test_calibration_needs_no_scores_and_prints_a_table(router, tmp_path, data):
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS))
    flags = ["--strong", LARGE, "--weak", SMALL, "--share", 0.5]
    assert calibrated(router, *flags, "--data", file)["accuracy"] is None
    result = run("calibrate", router, *flags, "--data", data, "--count-positive", "odd")
    assert result.exit_code == 0
    assert "threshold" in result.stdout
    assert "the same share at random" in result.stdout


def predicting(router, data, *flags):
    policy = ["--policy", "nearest-confidence"]
    result = run("calibrate", router, *policy, "--data", data, *flags)
    assert result.exit_code == 0, result.output
    return result


def test_a_prediction_that_calibrate_writes_is_what_route_reads(router, data, tmp_path):
    file = tmp_path / "prediction.json"
    preference = [TUNED, LARGE, SMALL]
    named = [flag for model in preference for flag in ("--prefer", model)]
    result = predicting(router, data, *named, "--out", file)
    assert (result.stdout, f"{len(PROMPTS)} prompts" in result.stderr) == ("", True)
    rankings = [each["ranking"] for each in routed("--router", router, "--data", data)]
    scores = [{each["model"]: each["score"] for each in ranking} for ranking in rankings]
    table = [[each[model] for model in MODELS] for each in scores]
    right = np.arange(len(PROMPTS))[:, None] % 3 == np.arange(3)
    rule = fit_nearest(MODELS, table, right, preference=preference)
    written = json.loads(file.read_text())
    assert written["weights"] == pytest.approx(dict(rule.weights))
    assert written["intercept"] == pytest.approx(rule.intercept)
    flags = ["--policy", "nearest-confidence", "--prediction", file]
    for each, record in zip(table, routed("--router", router, "--data", data, *flags), strict=True):
        aim = rule.intercept + np.dot([weight for _, weight in rule.weights], each)
        assert record["model"] == MODELS[np.abs(np.array(each) - aim).argmin()]


def test_a_prediction_goes_by_what_is_preferred(router, data, tmp_path):
    file = tmp_path / "prediction.json"
    data.write_text(data.read_text().replace("0.0", "1.0"))  # now every model is right
    for model, flags in ((SMALL, []), (LARGE, [LARGE, SMALL, TUNED])):
        named = [flag for each in flags for flag in ("--prefer", each)]
        file.write_text(predicting(router, data, *named).stdout)
        policy = ["--policy", "nearest-confidence", "--prediction", file]
        records = routed("--router", router, "--data", data, *policy)
        assert {each["model"] for each in records} == {model}


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--prefer", "huge"], 1, "huge"),
        (["--prefer", SMALL], 1, "every model"),
        (["--count-positive", "none"], 1, "none"),
        (["--share", 0.5], 2, "takes no --share"),
        (["--json"], 2, "takes no --json"),
        (["--policy", "threshold"], 2, "needs --strong"),
        (["--policy", "threshold", "--strong", LARGE, "--weak", SMALL, "--share", 0.5,
          "--prefer", SMALL], 2, "takes no --prefer"),
        (["--policy", "arg-max"], 2, "arg-max"),
        (["--out", "missing/folder/file"], 2, "can't be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_from_is_refused(router, data, flags, code, said):
    result = run("calibrate", router, "--policy", "nearest-confidence", "--data", data, *flags)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"weights": {"a": 1e999}, "intercept": 0}', '{"weights": {}}',
                '{"weights": {"a": 1' + "0" * 400 + '}, "intercept": 0}']
)  # fmt: skip
def test_a_file_that_is_no_prediction_is_refused(router, tmp_path, content):
    file = tmp_path / "prediction.json"
    file.write_text(content)
    policy = ["--policy", "nearest-confidence", "--prediction", file]
    result = run("route", "--router", router, "--prompt", "p", *policy)
    assert result.exit_code == 2, result.output


def test_prompts_without_scores_predict_nothing(router, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(PROMPTS))
    result = run("calibrate", router, "--policy", "nearest-confidence", "--data", file)
    assert (result.exit_code, "no scores" in result.stderr) == (1, True)


def test_what_calibrate_is_refused(router, data, tmp_path):
    flags = ["--data", data, "--share", 0.5]
    unknown = run("calibrate", router, *flags, "--strong", "huge", "--weak", SMALL)
    assert (unknown.exit_code, "huge" in unknown.stderr) == (1, True)
    absent = run("calibrate", tmp_path, *flags, "--strong", LARGE, "--weak", SMALL)
    assert (absent.exit_code, "manifest" in absent.stderr) == (1, True)
    same = run("calibrate", router, *flags, "--strong", LARGE, "--weak", LARGE)
    assert (same.exit_code, "name two models" in same.stderr) == (2, True)
    beyond = ["--data", data, "--share", 1.5, "--strong", LARGE, "--weak", SMALL]
    assert run("calibrate", router, *beyond).exit_code == 2
    (tmp_path / "empty.txt").touch()
    empty = ["--data", tmp_path / "empty.txt", "--share", 0.5, "--strong", LARGE, "--weak", SMALL]
    assert run("calibrate", router, *empty).exit_code == 1
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    strict = ["--data", bad, "--strict", "--share", 0.5, "--strong", LARGE, "--weak", SMALL]
    result = run("calibrate", router, *strict)
    assert (result.exit_code, "line 1: has no prompt" in result.stderr) == (1, True)
