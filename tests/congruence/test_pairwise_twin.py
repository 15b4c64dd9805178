"""Rankings from pairwise wins equal their definitions, and keep what they promise."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scoring.pairwise
from scoring.errors import InvalidArrayError
from scoring.pairwise import Strength, rank_pairwise
from scoring.reference import pairwise_strengths

# Sixteenths: sums are exact, and ties occur.
PROBABILITIES = st.integers(0, 16).map(lambda value: value / 16)


@st.composite
def matrices(draw, probabilities=PROBABILITIES, least=1):
    size = draw(st.integers(least, 6))
    wins = np.full((size, size), 0.5)
    for i in range(size):
        for j in range(i):
            wins[i, j] = draw(probabilities)
            wins[j, i] = 1 - wins[i, j]
    return wins


@given(matrices())
@settings(max_examples=200)
def test_strengths_and_order_equal_their_definition(wins):
    ranking = rank_pairwise(wins)
    expected = pairwise_strengths(wins.tolist())
    np.testing.assert_allclose(ranking.strengths, expected, atol=1e-12)
    rounded = [round(strength, 9) for strength in expected]
    assert ranking.order.tolist() == sorted(range(len(wins)), key=lambda i: (-rounded[i], i))
    assert ranking.best == ranking.order[0]
    assert ranking.order.dtype == np.int64


@given(matrices(st.integers(1, 15).map(lambda value: value / 16)))
@settings(max_examples=100)
def test_strengths_by_logits_are_pairrms_max_logits(wins):
    logits = np.log(wins / (1 - wins))
    ranking = rank_pairwise(wins, Strength.LOGITS)
    # LLM-Blender sums logits less their transpose; the factor moves no order.
    sums = (logits - logits.T).sum(axis=1) / 2
    np.testing.assert_allclose(ranking.strengths * max(1, len(wins) - 1), sums, atol=1e-9)


@given(matrices(st.integers(1, 15).map(lambda value: value / 16), least=2))
@settings(max_examples=60, deadline=None)
def test_the_order_is_that_of_bradley_and_terry(wins):
    size = len(wins)
    worth = np.ones(size)
    for _ in range(3000):  # Hunter's MM iterations, 2004
        rates = 1 / (worth[:, None] + worth[None, :])
        np.fill_diagonal(rates, 0)
        worth = (wins.sum(axis=1) - 0.5) / rates.sum(axis=1)
        worth /= worth.sum()
    ranking = rank_pairwise(wins)
    for i in range(size):
        for j in range(size):
            if ranking.strengths[i] > ranking.strengths[j] + 1e-6:
                assert worth[i] > worth[j]


@given(matrices(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_answers_moves_with_them(wins, random):
    places = list(range(len(wins)))
    random.shuffle(places)
    moved = rank_pairwise(wins[np.ix_(places, places)])
    np.testing.assert_allclose(moved.strengths, rank_pairwise(wins).strengths[places], atol=1e-12)


def test_sure_wins_have_finite_logits():
    ranking = rank_pairwise([[0.5, 1, 1], [0, 0.5, 1], [0, 0, 0.5]], Strength.LOGITS)
    assert np.isfinite(ranking.strengths).all()
    assert ranking.order.tolist() == [0, 1, 2]


def test_a_lone_answer_is_neither_strong_nor_weak():
    assert rank_pairwise([[0.5]]).strengths.tolist() == [0.5]
    assert rank_pairwise([[0.5]], Strength.LOGITS).strengths.tolist() == [0.0]


def test_ties_keep_their_order_though_their_sums_differ_in_the_last_bits():
    wins = np.full((3, 3), 0.5)
    wins[0, 1], wins[1, 0] = 0.1 + 0.2 + 0.2, 1 - (0.1 + 0.2 + 0.2)
    wins[2] += [1e-16, 0, 0]
    assert rank_pairwise(wins).order.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("wins", "message"),
    [
        ([], r"shape \(0,\)"),
        ([[0.5, 0.5]], r"shape \(1, 2\)"),
        ([[0.5, 1.5], [-0.5, 0.5]], "from 0 to 1"),
        ([[0.5, np.nan], [0.5, 0.5]], "from 0 to 1"),
        ([[0.5, 0.75], [0.5, 0.5]], "average both orders first"),
        ([[0.0]], "average both orders first"),
    ],
)
def test_what_is_no_matrix_of_wins_is_refused(wins, message):
    with pytest.raises(InvalidArrayError, match=message) as caught:
        rank_pairwise(wins)
    assert caught.value.field == "wins"


def test_the_example_runs():
    failed, attempted = doctest.testmod(scoring.pairwise)
    assert (failed, attempted > 1) == (0, True)
