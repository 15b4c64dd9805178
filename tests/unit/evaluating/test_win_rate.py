import numpy as np
import pytest

from evaluation.win_rate import (
    best_single,
    choice_outcomes,
    longest_choice,
    oracle_outcomes,
    random_outcomes,
    win_rate,
)

NAN = np.nan
WINS = np.array([[0.0, 1.0, 0.5], [0.25, NAN, 0.75], [NAN, NAN, NAN]])


def test_outcomes_of_a_choice():
    outcomes = choice_outcomes(WINS, np.array([1, 2, 0]))
    np.testing.assert_array_equal(outcomes, [1.0, 0.75, NAN])


def test_random_choice_is_the_mean_of_the_judged():
    np.testing.assert_array_equal(random_outcomes(WINS), [0.5, 0.5, NAN])


def test_the_oracle_takes_the_best_of_the_judged():
    np.testing.assert_array_equal(oracle_outcomes(WINS), [1.0, 0.75, NAN])


def test_the_longest_answer_is_the_first_of_equals():
    assert longest_choice([("a", "bbb", "ccc"), ("", "", "")]).tolist() == [1, 0]


def test_the_best_single_voter_is_over_its_own_judged_prompts():
    wins = np.array([[0.6, NAN, NAN], [0.6, 0.9, NAN], [0.6, 0.2, NAN]])
    assert best_single(wins) == 0
    assert best_single(wins[:, 1:]) == 0


def test_a_win_rate_leaves_out_what_was_not_judged():
    rate = win_rate(np.array([0.0, 1.0, NAN]))
    assert (rate.mean, rate.prompts) == (0.5, 2)


def test_a_constant_outcome_has_an_interval_of_no_width():
    rate = win_rate(np.full(7, 0.25))
    assert (rate.low, rate.mean, rate.high) == (0.25, 0.25, 0.25)


def test_the_interval_is_that_of_the_mean():
    outcomes = np.random.default_rng(1).normal(0.5, 0.2, 400)
    rate = win_rate(outcomes, resamples=1999)
    half = 1.96 * outcomes.std() / np.sqrt(400)
    assert rate.low == pytest.approx(rate.mean - half, abs=0.002)
    assert rate.high == pytest.approx(rate.mean + half, abs=0.002)


def test_the_same_seed_gives_the_same_interval():
    outcomes = np.random.default_rng(1).random(50)
    assert win_rate(outcomes, seed=3) == win_rate(outcomes, seed=3)
    assert win_rate(outcomes, seed=3) != win_rate(outcomes, seed=4)


def test_nothing_judged_has_no_rate():
    rate = win_rate(np.array([NAN]))
    assert np.isnan([rate.mean, rate.low, rate.high]).all()
    assert rate.prompts == 0
