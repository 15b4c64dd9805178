import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.routers.contenders import penalised_choices
from evaluation.routers.curve import curves_of, hull_of, mean_height, penalties_of
from evaluation.routers.reference import reference_area, reference_choice, reference_height
from evaluation.ways import TaskRows
from tests.unit.evaluating.routing_tables_by_hand import contender, table

NAN = math.nan
numbers = st.floats(0, 4).map(lambda number: round(number, 2))
points = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8)


def hull(*corners):
    costs, qualities = np.array(corners, float).T
    return hull_of(costs, qualities)


def test_a_hull_by_hand():
    # (2, 1) lies under the line from (1, 1) to (4, 4); (5, 3) costs more for less.
    corners = hull((4, 4), (1, 1), (2, 1.5), (5, 3), (1, 0.5))
    np.testing.assert_array_equal(corners, [[1, 1], [4, 4]])
    np.testing.assert_array_equal(hull((1, 1), (2, 3), (4, 4)), [[1, 1], [2, 3], [4, 4]])
    np.testing.assert_array_equal(hull((3, 2)), [[3, 2]])


def test_an_area_by_hand():
    corners = hull((1, 1), (3, 5))
    # From 1 to 3 it rises from 1 to 5, mean 3; from 3 to 5 it stays at 5.
    assert mean_height(corners, 1, 5) == pytest.approx((2 * 3 + 2 * 5) / 4)
    assert mean_height(corners, 2, 2) == 3.0


@given(points, numbers, numbers)
@settings(max_examples=200, deadline=None)
def test_the_hull_is_what_mixtures_of_two_points_reach(corners, low, width):
    least = min(cost for cost, _ in corners)
    low, high = least + low, least + low + width
    made = hull(*corners)
    for cost in np.linspace(low, high, 5):
        expected = reference_height(corners, float(cost))
        assert np.interp(cost, made[:, 0], made[:, 1]) == pytest.approx(expected, abs=1e-9)
    if width > 0:
        expected = reference_area(corners, low, high)
        assert mean_height(made, low, high) == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5),
    st.lists(numbers, min_size=3, max_size=3),
    st.lists(numbers, min_size=1, max_size=4),
)
@settings(max_examples=100, deadline=None)
def test_many_penalties_at_once_choose_as_the_policy_does(scores, costs, penalties):
    made = penalised_choices(np.array(scores), np.array(costs), np.array(penalties))
    expected = [[reference_choice(row, costs, each) for each in penalties] for row in scores]
    np.testing.assert_array_equal(made, expected)


def test_a_model_without_a_score_is_not_chosen_at_any_penalty():
    made = penalised_choices(np.array([[0.1, NAN]]), np.array([9.0, 1.0]), np.array([0.0, 5.0]))
    np.testing.assert_array_equal(made, [[0, 0]])


def test_penalties_reach_from_the_first_change_of_a_choice_to_the_last():
    # The second model overtakes at (0.9 - 0.5) / (4 - 1) and at (0.8 - 0.2) / 3.
    scores, costs = np.array([[0.9, 0.5], [0.8, 0.2], [0.1, 0.3]]), np.array([4.0, 1.0])
    penalties = penalties_of(scores, costs)
    assert penalties[0] == 0
    assert penalties[1] == pytest.approx(0.4 / 3, rel=0.02)
    assert penalties[-1] == pytest.approx(0.6 / 3, rel=0.02)
    assert (np.diff(penalties) > 0).all()


def test_nothing_is_swept_where_the_best_is_always_the_cheapest():
    np.testing.assert_array_equal(penalties_of(np.array([[0.1, 0.3]]), np.array([4.0, 1.0])), [0])


def test_the_curve_of_a_perfect_router_by_hand():
    rows = TaskRows.of(table(), ())
    zero, curve = curves_of(rows, (contender(),))
    # Alone: ant costs 4 and reaches 3/4, bee costs 1 and reaches 1/2; the mean between is 5/8.
    np.testing.assert_array_equal(zero.hull, [[1, 0.5], [4, 0.75]])
    assert zero.area.mean == pytest.approx(0.625)
    assert math.isnan(zero.lead.mean)
    # The router: at no penalty 2.5 and 1; the cheapest model alone is its other end.
    np.testing.assert_allclose(curve.hull, [[1, 0.5], [2.5, 1.0]])
    expected = (1.5 * 0.75 + 1.5 * 1.0) / 3
    assert curve.area.mean == pytest.approx(expected)
    assert curve.lead.mean == pytest.approx(expected - 0.625)
    assert curve.penalties[0] == 0
    assert curve.penalties[-1] == math.inf
    assert curve.cheapest_reaching(0.75) == 2.5
    assert math.isnan(curve.cheapest_reaching(1.1))


def test_there_is_no_curve_without_all_costs():
    rows = TaskRows.of(table(costs=[[1.0, NAN]] * 4), ())
    assert curves_of(rows, (contender(),)) == ()
    whole = TaskRows.of(table(), ())
    assert [each.name for each in curves_of(whole, (contender(costs=[1.0, NAN]),))] == [
        "zero router"
    ]


def test_intervals_hold_their_means_and_are_repeatable():
    rows = TaskRows.of(table(), ())
    one, other = (curves_of(rows, (contender(),), seed=3)[1] for _ in range(2))
    assert one.area == other.area
    assert one.area.low <= one.area.mean <= one.area.high
