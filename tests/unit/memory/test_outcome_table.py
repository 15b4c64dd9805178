from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.memory.outcomes.table import UNIT, OutcomeTable

OUTCOMES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=60
)


def filled(outcomes):
    table = OutcomeTable(10)
    table.widen(4)
    table.reserve(10)
    for slot, column, quality in outcomes:
        table.add(np.array([slot]), np.array([column]), np.array([quality]))
    return table


def at_once(outcomes):
    table = OutcomeTable(10)
    table.widen(4)
    table.reserve(10)
    slots, columns, qualities = zip(*outcomes, strict=True)
    table.add(np.array(slots), np.array(columns), np.array(qualities))
    return table


def everything(table):
    return [part.tolist() for part in (*table.rows(np.arange(10)), *table.totals())]


@given(OUTCOMES)
def test_sums_are_those_of_the_outcomes(outcomes):
    sums, counts = filled(outcomes).rows(np.arange(10))
    for slot in range(10):
        for column in range(4):
            own = [q for s, c, q in outcomes if (s, c) == (slot, column)]
            assert counts[slot, column] == len(own)
            error = abs(Fraction(sums[slot, column]) - sum(map(Fraction, own)))
            assert error <= len(own) * Fraction(float(UNIT)) / 2


@given(OUTCOMES, st.randoms())
def test_the_order_makes_no_difference_at_all(outcomes, random):
    shuffled = random.sample(outcomes, len(outcomes))
    assert everything(filled(outcomes)) == everything(filled(shuffled))
    assert everything(filled(outcomes)) == everything(at_once(shuffled))


@given(OUTCOMES, st.sets(st.integers(0, 9)))
def test_what_is_cleared_leaves_no_trace(outcomes, cleared):
    table = filled(outcomes)
    for slot in cleared:
        table.clear(slot)
    assert everything(table) == everything(filled([o for o in outcomes if o[0] not in cleared]))


@given(OUTCOMES)
def test_the_totals_are_the_sums_of_the_rows(outcomes):
    table = filled(outcomes)
    sums, counts = table.rows(np.arange(10))
    totals, total_counts = table.totals()
    assert totals.tolist() == sums.sum(axis=0).tolist()  # few terms: exact in float64 too
    assert total_counts.tolist() == counts.sum(axis=0).tolist()


def test_it_grows_by_subjects_and_models_and_keeps_what_it_has():
    table = OutcomeTable(500)
    table.widen(1)
    table.reserve(1)
    table.add(np.array([0]), np.array([0]), np.array([0.5]))
    table.widen(3)
    table.reserve(400)
    table.add(np.array([399]), np.array([2]), np.array([0.25]))
    sums, counts = table.rows(np.array([0, 399, 1]))
    assert sums.tolist() == [[0.5, 0, 0], [0, 0, 0.25], [0, 0, 0]]
    assert counts.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_it_begins_empty_with_shapes():
    table = OutcomeTable(5)
    sums, counts = table.rows(np.zeros(0, np.int64))
    assert (sums.shape, sums.dtype) == ((0, 0), np.float64)
    assert (counts.shape, counts.dtype) == ((0, 0), np.int64)
    assert [part.shape for part in table.totals()] == [(0,), (0,)]
