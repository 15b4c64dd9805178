import math

import numpy as np
import pytest

from scoring.errors import InvalidArrayError
from scoring.routers import (
    TemperatureCalibration,
    entropy,
    expected_calibration_error,
    fit_temperature,
)

NAN = math.nan


def test_probabilities_are_a_softmax_and_unknown_is_zero():
    found = TemperatureCalibration(0.5).probabilities(
        [[0, math.log(3) / 2, NAN], [NAN, NAN, NAN], [1e300, -1e300, NAN]]
    )
    np.testing.assert_allclose(found, [[0.25, 0.75, 0], [0, 0, 0], [1, 0, 0]])


def test_two_thirds_of_two_models():
    """The first is best twice of three times at a lead of 1: e^(1/T) = 2."""
    fit = fit_temperature([[1, 0]] * 3, [[1, 0], [1, 0], [0, 1]])
    assert fit.temperature == pytest.approx(1 / math.log(2))
    assert fit.prompts == 3
    expected = -(2 * math.log(2 / 3) + math.log(1 / 3)) / 3
    assert fit.nll_after == pytest.approx(expected)
    assert fit.nll_before > fit.nll_after
    assert fit.ece_after == pytest.approx(0, abs=1e-9)
    assert fit.ece_before == pytest.approx(math.e / (1 + math.e) - 2 / 3)


def test_several_best_share_the_target():
    """With x = e^(1/T) the slope is 2 x / (x + 2) - 5 / (2 x + 1), which is 0 at x = 2."""
    fit = fit_temperature([[1, 1, 0]] * 5 + [[0, 0, 1]] * 2, [[1, 1, 0]] * 7)
    assert fit.temperature == pytest.approx(1 / math.log(2))
    assert fit.nll_after == pytest.approx((5 * math.log(5 / 2) + 2 * math.log(4)) / 7)


@pytest.mark.parametrize(
    ("scores", "qualities"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3))),
        ([[1, 2]], [[0.5, 0.5]]),
        ([[1, 2]], [[0.5, NAN]]),
        ([[1, NAN]], [[0.5, 1]]),
        ([[1, NAN, NAN]], [[0.5, 1, NAN]]),
        ([[NAN, NAN]], [[NAN, NAN]]),
        ([[1]], [[1]]),
    ],
)
def test_where_no_prompt_tells_the_temperature_stays_1(scores, qualities):
    fit = fit_temperature(scores, qualities)
    assert (fit.temperature, fit.prompts) == (1.0, 0)
    figures = (fit.nll_before, fit.nll_after, fit.ece_before, fit.ece_after)
    assert all(map(math.isnan, figures))


def test_prompts_that_tell_nothing_change_nothing():
    scores = [[1.0, 0.0, 0.5], [0.25, 0.5, 0.0], [0.0, 0.5, 1.0]]
    qualities = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.0, 1.0]]
    idle = [[9.0, 0.0, 1.0], [5.0, 1.0, NAN], [NAN, NAN, 2.0]]
    flat = [[1.0, 1.0, 1.0], [0.5, NAN, 0.0], [0.0, 1.0, 1.0]]
    assert fit_temperature(scores + idle, qualities + flat) == fit_temperature(scores, qualities)


def test_scores_that_are_all_equal_leave_the_temperature_at_1():
    fit = fit_temperature([[2.0, 2.0]] * 4, [[1, 0], [1, 0], [0, 1], [1, 0]])
    assert (fit.temperature, fit.prompts) == (1.0, 4)
    assert fit.nll_before == fit.nll_after == pytest.approx(math.log(2))


@pytest.mark.parametrize(("sign", "bound"), [(1, 1e-4), (-1, 1e4)])
def test_scores_that_are_always_right_or_wrong_reach_a_bound(sign, bound):
    fit = fit_temperature([[sign, 0.0], [0.0, sign]], [[1, 0], [0, 1]])
    assert fit.temperature == pytest.approx(bound, rel=1e-6)
    assert fit.nll_after <= fit.nll_before


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1e8, 1e200])
def test_the_temperature_follows_the_unit_of_the_scores(scale):
    rng = np.random.default_rng(5)
    scores, qualities = rng.normal(size=(50, 3)), rng.random((50, 3))
    qualities += scores
    plain, scaled = (fit_temperature(scores * unit, qualities) for unit in (1.0, scale))
    assert scaled.temperature / scale == pytest.approx(plain.temperature, rel=1e-6)
    assert scaled.nll_after == pytest.approx(plain.nll_after)


def test_the_calibration_error_of_three_bins():
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]
    qualities = [[1, 0], [0, 1], [1, 0], [0, 1]]
    # (2/3, 1]: 0.9 against 1 of 2; (1/3, 2/3]: 0.6 and 0.5 against 1 of 2.
    expected = (2 * abs(0.5 - 0.9) + 2 * abs(0.5 - 0.55)) / 4
    assert expected_calibration_error(probabilities, qualities, bins=3) == pytest.approx(expected)


def test_a_probability_at_an_edge_belongs_to_the_bin_below():
    def error(first, second):
        tables = [[first, 1 - first], [second, 1 - second]], [[1, 0], [0, 1]]
        return expected_calibration_error(*tables, bins=4)

    # Together: |1 - (0.75 + 0.6)| / 2; apart: (|1 - 0.76| + |0 - 0.6|) / 2.
    assert error(0.75, 0.6) == pytest.approx(0.175)
    assert error(0.76, 0.6) == pytest.approx(0.42)


def test_any_of_several_best_is_right_and_an_unknown_quality_is_not():
    assert expected_calibration_error([[1.0, 0.0]], [[0.5, 0.5]]) == 0.0
    assert expected_calibration_error([[1.0, 0.0]], [[NAN, 0.5]]) == 1.0
    assert expected_calibration_error([[0.0, 0.0]], [[NAN, NAN]]) == 0.0


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([1.0, 0.0], 0.0), ([0.5, 0.5], math.log(2)), ([0.25] * 4, math.log(4)), ([0.0, 0.0], 0.0)],
)
def test_entropy_is_in_nats(shares, expected):
    assert entropy([shares, shares]).tolist() == pytest.approx([expected] * 2)
    assert math.copysign(1, float(entropy(shares))) == 1


@pytest.mark.parametrize("temperature", [0.0, -1.0, NAN, math.inf])
def test_a_temperature_is_above_0(temperature):
    with pytest.raises(InvalidArrayError, match="temperature must be a finite number above 0"):
        TemperatureCalibration(temperature)


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (lambda: fit_temperature([[1, 2]], [[1, 2], [1, 2]]), "qualities"),
        (lambda: fit_temperature([1, 2], [1, 2]), "scores"),
        (lambda: fit_temperature([[1, math.inf]], [[1, 2]]), "scores"),
        (lambda: fit_temperature([[1, 2]], [[1, math.inf]]), "qualities"),
        (lambda: TemperatureCalibration(1).probabilities(np.zeros((2, 0))), "scores"),
        (lambda: expected_calibration_error(np.zeros((0, 2)), np.zeros((0, 2))), "probabilities"),
        (lambda: expected_calibration_error([[1.5, 0]], [[1, 0]]), "probabilities"),
        (lambda: expected_calibration_error([[NAN, 0]], [[1, 0]]), "probabilities"),
    ],
)
def test_tables_that_do_not_fit_are_refused(act, field):
    with pytest.raises(InvalidArrayError, match=field) as error:
        act()
    assert error.value.field == field
