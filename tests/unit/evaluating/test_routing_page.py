import csv
import io
import json

import pytest
from rich.console import Console

from evaluation.report import json_value, print_report, render_html, write_csv
from evaluation.routers import (
    Applied,
    evaluate_routers,
    evaluation_record,
    headline_of,
    routing_page,
    sheets_of,
)
from scoring.policies import CostPenalty, Policy
from tests.server_process import ROOT
from tests.unit.evaluating.routing_tables_by_hand import (
    ARG_MAX,
    COSTS,
    SCORES,
    contender,
    latency,
    table,
)

PENALISED = Applied("cost-penalty:penalty=1", lambda _: lambda _: Policy(CostPenalty(1.0)))
HOSTILE = '<b>m</b>, "model"\n'


@pytest.fixture(scope="module")
def evaluation():
    rows = table(SCORES * 8, ("x", "x", "y", "y") * 8, COSTS * 8, models=(HOSTILE, "bee"))
    routers = [
        contender("good", SCORES * 8, temperature=0.5, latency=latency(), training_seconds=2.0),
        contender("plain", [[1.0, 0.0]] * 32, note="knows little."),
    ]
    return evaluate_routers(rows, routers, [ARG_MAX, PENALISED], ["x"])


def test_the_headline_is_the_same_everywhere(evaluation):
    sentence = headline_of(evaluation).sentence
    page = routing_page(evaluation)
    assert page.headline == sentence
    assert evaluation_record(evaluation)["headline"] == sentence
    stream = io.StringIO()
    print_report(page, Console(file=stream))
    first, *rest = stream.getvalue().splitlines()
    assert first.split() == sentence.split()
    assert max(map(len, rest)) <= 100


def test_the_record_round_trips(evaluation):
    record = evaluation_record(evaluation)
    assert json.loads(json.dumps(record, allow_nan=False)) == record == json_value(record)
    assert record["schema"] == "pointsman-evaluate-routing/1"
    assert record["verdict"] == "yes"
    assert record["best_router"] == "good, arg-max"
    assert record["tasks"][0] == {"task": "x", "rows": 16, "positive": True}
    good = next(each for each in record["ways"] if each["name"] == "good, arg-max")
    assert good["average"]["mean"] == 1.0
    assert good["lead_over_best_single"]["mean"] == pytest.approx(0.25)
    assert good["share_of_calls"] == {HOSTILE: 0.5, "bee": 0.5}
    random = next(each for each in record["ways"] if each["key"] == "random")
    assert (random["router"], random["share_of_calls"]) == (None, None)
    router, plain = record["routers"]
    assert router["latency_seconds"]["prompts"] == 3
    assert router["training_seconds"] == 2.0
    assert router["upper_bounds"]["top"] == [1.0, 1.0, 1.0]
    assert router["reliability"]["bins"]
    assert router["curve"]["points"][-1]["penalty"] is None
    assert (plain["latency_seconds"], plain["reliability"]) == (None, None)
    assert record["zero_router"]["area"]["mean"] == pytest.approx(0.625)


def test_every_field_of_the_record_is_documented(evaluation):
    described = (ROOT / "docs" / "evaluate.md").read_text()
    record = evaluation_record(evaluation)
    for part in (record, record["ways"][0], record["routers"][0], record["zero_router"]):
        for field in part:
            assert f"`{field}`" in described, field


def test_the_page_has_every_part(evaluation):
    page = render_html(routing_page(evaluation, [("Data", "test.jsonl")]))
    for words in (
        "Every way to choose a model", "Cost and quality", "Tasks", "Who gets the calls",
        "Latency, training", "Does it know how sure it is?", "How to read this", "test.jsonl",
        "&lt;b&gt;m&lt;/b&gt;", "knows little.", "A call costs",
    ):  # fmt: skip
        assert words in page, words
    assert "<b>m</b>" not in page
    assert page.count("<svg") == 5


def test_what_is_not_known_has_no_part():
    cosines = contender(scores=[[1.0, -1.0]] * 4)
    page = routing_page(evaluate_routers(table(costs=None), [cosines], [ARG_MAX]))
    titles = [section.title for section in page.sections]
    assert "Cost and quality" not in titles
    assert "Does it know how sure it is?" not in titles
    empty = routing_page(evaluate_routers(table(costs=None), [], [ARG_MAX]))
    assert [section.title for section in empty.sections] == ["Every way to choose a model", "Tasks"]
    assert render_html(empty)


def test_it_says_where_the_best_single_model_was_found():
    here = routing_page(evaluate_routers(table(), [contender()], [ARG_MAX]))
    assert any("flatters it" in sentence for sentence in here.summary)
    training = table([[0, 1], [0, 1]], ("x", "y"))
    there = routing_page(evaluate_routers(table(), [contender()], [ARG_MAX], training=training))
    assert any("ant turned out best, with 75.0 %" in sentence for sentence in there.summary)


def test_the_sheets_can_be_read_again(evaluation, tmp_path):
    read = {}
    for name, (header, rows) in sheets_of(evaluation).items():
        write_csv(tmp_path / name, header, rows)
        with (tmp_path / name).open(newline="") as stream:
            read[name] = list(csv.DictReader(stream))
    assert list(read) == ["routers.csv", "per_task.csv", "curve.csv", "choices.csv"]
    first = read["routers.csv"][0]
    assert (first["name"], first["role"], float(first["average"])) == ("good, arg-max", "router", 1)
    assert len(read["per_task.csv"]) == 2 * len(read["routers.csv"])
    assert {each["name"] for each in read["curve.csv"]} == {"zero router", "good", "plain"}
    assert len(read["choices.csv"]) == 32
    assert read["choices.csv"][2]["good, arg-max"] == "bee"
    assert "prompt" not in read["choices.csv"][0]
