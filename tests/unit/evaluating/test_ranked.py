import json
import math

from rich.console import Console

from evaluation.generations import Ensemble, Generation
from evaluation.method import Estimator, Formula, Method
from evaluation.offline import score_ensembles
from evaluation.ranked import ranked_lines, summarise_voters
from evaluation.tables import scoring_tables
from tests.bag_of_words import BagOfWords


def ensemble(prompt, **answers):
    return Ensemble(prompt, tuple(Generation(voter, text) for voter, text in answers.items()))


AGREED = [
    ensemble("one", good="red fox runs", fair="red fox ran", odd="blue"),
    ensemble("two", good="cold rain", fair="cold rain today", odd="sand"),
    ensemble("three", good="old map"),
]


def records(ensembles, method=None):
    return [
        json.loads(line, parse_constant=lambda name: f"not JSON: {name}")
        for line in ranked_lines(score_ensembles(ensembles, BagOfWords(), method).ensembles)
    ]


def test_a_record_names_the_best_answer_and_scores_them_all():
    record = records(AGREED)[0]
    assert list(record) == ["prompt", "best", "scores", "estimator", "neighbours_used", "margin"]
    assert record["prompt"] == "one"
    best = record["best"]
    assert AGREED[0].generations[best["index"]] == Generation(best["voter"], best["text"])
    assert record["scores"][best["index"]]["rank"] == 1
    assert [each["voter"] for each in record["scores"]] == ["good", "fair", "odd"]
    assert sorted(each["rank"] for each in record["scores"]) == [1, 2, 3]
    assert math.isclose(sum(each["weight"] for each in record["scores"]), 1)
    assert record["estimator"] == "global"
    assert record["neighbours_used"] == 3


def test_what_is_not_defined_is_null():
    record = records([ensemble("p", a="x", b="y")])[0]
    assert [each["noise_variance"] for each in record["scores"]] == [None, None]


def test_the_reference_formula_of_equal_answers_is_null():
    same = ensemble("p", a="x", b="x", c="x")
    record = records([same], Method(Estimator.SINGLE, formula=Formula.REFERENCE))[0]
    assert [each["weight"] for each in record["scores"]] == [None, None, None]
    assert record["margin"] is None


def test_lines_keep_other_scripts_and_line_feeds_apart():
    scored = score_ensembles([ensemble("茶\n", a="é\u2028")], BagOfWords()).ensembles
    (line,) = ranked_lines(scored)
    assert line.count("\n") == 1
    assert "茶" in line


def test_voters_are_summarised_most_often_best_first():
    summaries = summarise_voters(score_ensembles(AGREED, BagOfWords()).ensembles)
    by_name = {each.voter: each for each in summaries}
    assert by_name["good"].prompts == 3
    assert by_name["odd"].prompts == 2
    assert sum(each.best for each in summaries) == 3
    assert [each.best for each in summaries] == sorted((e.best for e in summaries), reverse=True)
    assert by_name["odd"].noise_variance > by_name["good"].noise_variance
    assert by_name["good"].share == by_name["good"].best / 3


def shown(ensembles, **encoder):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(scoring_tables(score_ensembles(ensembles, BagOfWords(**encoder))))
    return capture.get()


def test_tables_show_what_no_terminal_obeys():
    wild = ensemble("[red]p[/red]", a="\x1b[2Jx", b="y" * 300)
    text = shown([wild])
    assert "[red]p[/red]" in text
    assert "\x1b" not in text
    assert "undefined" in text


def test_tables_say_what_was_cut_short():
    assert "3 of 7 texts were longer than the encoder reads." in shown(AGREED, reads=2)
    assert "longer" not in shown(AGREED)
