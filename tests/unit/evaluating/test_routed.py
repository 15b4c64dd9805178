import json

import pytest

from evaluation.routed import RankedModel, RoutedPrompt, routed_lines


def routed(**changes):
    values = {
        "prompt": "Wíe?",
        "task": "x",
        "model": "b",
        "ranking": (
            RankedModel("a", 0.123456, 0.75, 4.0),
            RankedModel("b", -0.00001, 0.25, None),
            RankedModel("c", float("nan"), None, None),
        ),
        "margin": 0.123466,
        "entropy": 0.5623351,
    }
    return RoutedPrompt(**(values | changes))


def record(*arguments, **changes):
    (line,) = routed_lines([routed(**changes)], *arguments)
    assert line.endswith("}\n")
    return json.loads(line, parse_constant=pytest.fail)


def test_a_line_says_all_there_is():
    assert record() == {
        "prompt": "Wíe?",
        "task": "x",
        "model": "b",
        "ranking": [
            {"model": "a", "score": 0.123456, "probability": 0.75, "cost": 4.0},
            {"model": "b", "score": -0.00001, "probability": 0.25, "cost": None},
            {"model": "c", "score": None, "probability": None, "cost": None},
        ],
        "margin": 0.123466,
        "entropy": 0.5623351,
    }


def test_what_is_not_said_is_absent_or_null():
    said = record(task="", margin=None, entropy=None, ranking=())
    assert said == {"prompt": "Wíe?", "model": "b", "ranking": [], "margin": None, "entropy": None}


def test_abstention_and_fallback_are_said():
    said = record(abstained=True, reason="LOW_MARGIN")
    assert (said["abstained"], said["fallback"]) == (True, "LOW_MARGIN")


def test_digits_round_all_but_costs():
    said = record(3, ranking=(RankedModel("a", -0.00001, 0.12345, 0.0001),))
    assert said["ranking"] == [{"model": "a", "score": 0.0, "probability": 0.123, "cost": 0.0001}]
    assert (said["margin"], said["entropy"]) == (0.123, 0.562)
    (line,) = routed_lines([routed()], 3)
    assert "-0.0" not in line
