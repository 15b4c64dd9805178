import math

import numpy as np
import pytest

from evaluation.bootstrap import Interval
from evaluation.measured import measure
from evaluation.routers.bounds import upper_bounds
from evaluation.routers.contenders import Contender
from evaluation.routers.reliability import Bin, quality_reliability_of, reliability_of
from evaluation.ways import Chosen, TaskRows
from scoring.routers import TemperatureCalibration, expected_calibration_error
from tests.unit.evaluating.routing_tables_by_hand import COSTS, contender, latency, table

NAN = math.nan


def test_upper_bounds_by_hand():
    models = ("a", "b", "c")
    rows = TaskRows.of(table([[0, 0, 1], [0, 1, 0]], ("x", "x"), None, models), ())
    scores = np.array([[0.9, 0.2, 0.6], [0.3, 0.2, 0.1]])
    bounds = upper_bounds(rows, contender(scores=scores))
    # Rankings: a, c, b and a, b, c. Confident: a and c; then none, so a.
    assert bounds.top == (0.0, 1.0, 1.0)
    assert bounds.confident == 0.5
    assert bounds.confident_models == 1.0
    assert upper_bounds(rows, contender(scores=scores), threshold=0.2).confident == 1.0


def test_scores_that_are_no_probabilities_are_confident_of_nothing():
    rows = TaskRows.of(table([[0, 1]], ("x",), None), ())
    bounds = upper_bounds(rows, contender(scores=[[-0.5, 0.9]]))
    assert bounds.top == (1.0, 1.0, 1.0)
    assert math.isnan(bounds.confident)


def test_a_model_that_the_router_does_not_know_bounds_nothing():
    rows = TaskRows.of(table([[0, 1]], ("x",), None), ())
    assert upper_bounds(rows, contender(scores=[[0.5, NAN]])).top == (0.0, 0.0, 0.0)


def test_bins_are_those_of_the_calibration_error():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(300, 4))
    outcomes = np.eye(4)[generator.integers(4, size=300)]
    found = reliability_of(contender(scores=scores, temperature=0.7), outcomes)
    probabilities = TemperatureCalibration(0.7).probabilities(scores)
    assert found.error == pytest.approx(expected_calibration_error(probabilities, outcomes))
    assert sum(each.prompts for each in found.bins) == found.prompts == 300


def test_models_that_tie_for_the_best_share_the_probability():
    # The first two tie, so that the first is the best with a probability of a half.
    scores, outcomes = [[1.0, 1.0, -99.0]], np.array([[1.0, 1.0, 0.0]])
    found = reliability_of(contender(scores=scores, temperature=1.0), outcomes)
    assert found.bins == (Bin(1, 0.5, 0.5),)
    assert found.error == 0.0


def test_prompts_on_which_all_models_are_equal_tell_nothing():
    outcomes = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [NAN, 1.0]])
    scores = [[1.0, -1.0]] * 4
    found = reliability_of(contender(scores=scores, temperature=1.0), outcomes)
    sure = 1 / (1 + math.exp(-2))
    assert found.prompts == 1
    assert found.error == pytest.approx(1 - sure)
    (only,) = found.bins
    assert (only.prompts, only.came) == (1, 1.0)
    assert reliability_of(contender(scores=scores), outcomes) is None
    nothing = reliability_of(contender(scores=scores, temperature=1.0), np.ones((4, 2)))
    assert (nothing.prompts, nothing.bins) == (0, ())
    assert math.isnan(nothing.error)


def test_expected_qualities_are_held_against_what_came():
    outcomes = np.array([[1.0, 0.0], [0.0, 1.0], [NAN, 1.0], [0.5, 1.0]])
    scores = [[0.9, 0.1], [0.9, 0.2], [0.7, 0.1], [0.1, 0.3]]
    found = quality_reliability_of(contender(scores=scores), outcomes)
    # Two expect 0.9 and get 1 and 0; one has no score; one expects 0.3 and gets 1.
    assert found.prompts == 3
    assert [(each.prompts, each.came) for each in found.bins] == [(1, 1.0), (2, 0.5)]
    assert found.error == pytest.approx((0.7 + 2 * 0.4) / 3)
    assert quality_reliability_of(contender(scores=[[1.5, 0.0]] * 4), outcomes) is None
    cosine = Contender("r", "routerdc", np.array(scores), np.full(2, NAN))
    assert quality_reliability_of(cosine, outcomes) is None


def test_latency_is_encoding_and_scoring_together():
    assert latency().quantile(0.5) == pytest.approx(0.021)
    assert latency().quantile(1.0) == pytest.approx(0.031)
    assert latency().median_score() == pytest.approx(0.001)


def measured(columns):
    scores = np.array(columns, float).T.tolist()
    tasks = ["x"] * len(scores)
    rows = TaskRows.of(table(scores, tasks, [COSTS[0][:1] * len(columns)] * len(scores),
                             tuple(f"m{each}" for each in range(len(columns)))), ())  # fmt: skip
    ways = {
        name: Chosen.of(name, rows, np.full(len(scores), place))
        for place, name in enumerate(rows.models)
    }
    return measure(ways, rows, resamples=300)


def test_a_share_of_a_gap_that_is_none_is_undefined():
    found = measured([[1, 0, 1, 0], [1, 0, 1, 0]])
    assert math.isnan(found.closed("m0", "m1", "m1").mean)


def test_intervals_that_hold_at_once_cover_the_best_of_many_that_are_equal():
    """Of 20 ways that are truly equal, the best looks better; only one in twenty may seem sure."""
    generator = np.random.default_rng(8)
    plain = together = 0
    for _ in range(40):
        columns = generator.random((21, 60)) < 0.5
        found = measured(columns)
        names = [f"m{each}" for each in range(1, 21)]
        leads = found.surely_all(names, "m0")
        plain += any(found.difference(name, "m0").low > 0 for name in names)
        together += any(each.low > 0 for each in leads)
    assert together <= 5 < plain


def test_a_way_that_never_differs_has_an_interval_of_nothing():
    found = measured([[1, 0, 1, 1], [1, 0, 1, 1], [0, 1, 1, 1]])
    same, other = found.surely_all(["m1", "m2"], "m0")
    assert same == Interval(0.0, 0.0, 0.0)
    assert other.low < 0 < other.high or other.mean != 0
