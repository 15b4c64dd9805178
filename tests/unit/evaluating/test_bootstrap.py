import numpy as np
import pytest

from evaluation.bootstrap import Interval, ratio, resampled_means

ALL = [np.arange(6)]


def test_draws_stay_within_their_stratum():
    # Drawn over all rows, the averages would vary; within each stratum nothing can.
    outcomes = np.array([[0.0], [0.0], [1.0], [1.0]])
    drawn = resampled_means(outcomes, [np.array([0, 1]), np.array([2, 3])], resamples=50)
    assert drawn.shape == (50, 2, 1)
    np.testing.assert_array_equal(drawn[:, :, 0], np.tile([0.0, 1.0], (50, 1)))


def test_the_spread_is_that_of_a_mean():
    outcomes = (np.arange(400) % 4 == 0).astype(float)[:, None]
    drawn = resampled_means(outcomes, [np.arange(400)], resamples=4000)[:, 0, 0]
    assert drawn.mean() == pytest.approx(0.25, abs=0.002)
    assert drawn.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 400), rel=0.05)
    interval = Interval.of(0.25, drawn)
    assert interval.low == pytest.approx(0.25 - 1.96 * 0.02165, abs=0.004)
    assert interval.high == pytest.approx(0.25 + 1.96 * 0.02165, abs=0.004)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_spread_is_unbiased_in_small_strata(size):
    """Over all data sets of zeros and ones, the mean variance of draws is p (1 - p) / n."""
    data = np.array([[bits >> row & 1 for row in range(size)] for bits in range(2**size)], float)
    drawn = resampled_means(data.T, [np.arange(size)], resamples=8000)[:, 0]
    assert drawn.var(axis=0).mean() == pytest.approx(0.25 / size, rel=0.03)


def test_strata_of_one_row_are_drawn_together():
    outcomes = np.array([0.0, 1.0, 5.0, 5.0])[:, None]
    strata = [np.array([0]), np.array([2, 3]), np.array([1])]
    drawn = resampled_means(outcomes, strata, resamples=200)[:, :, 0]
    assert set(drawn[:, 0]) == set(drawn[:, 2]) == {0.0, 1.0}
    assert set(drawn[:, 1]) == {5.0}


def test_a_lone_stratum_of_one_row_is_drawn_with_the_smallest():
    outcomes = np.array([0.0, 1.0, 1.0, 5.0, 5.0, 5.0])[:, None]
    strata = [np.array([3, 4, 5]), np.array([0]), np.array([1, 2])]
    drawn = resampled_means(outcomes, strata, resamples=200)[:, :, 0]
    assert set(drawn[:, 1]) == {0.0, 1.0}


def test_one_row_in_all_tells_nothing():
    assert np.isnan(resampled_means(np.ones((1, 2)), [np.arange(1)], resamples=5)).all()


def test_columns_see_the_same_draws():
    first = np.random.default_rng(1).random(6)
    drawn = resampled_means(np.stack([first, first + 0.5], axis=1), ALL, resamples=20)
    np.testing.assert_allclose(drawn[:, :, 1] - drawn[:, :, 0], 0.5)
    assert drawn[:, 0, 0].std() > 0


def test_the_seed_decides():
    outcomes = np.random.default_rng(1).random((6, 1))
    same, again = (resampled_means(outcomes, ALL, seed=3, resamples=20) for _ in range(2))
    other = resampled_means(outcomes, ALL, seed=4, resamples=20)
    np.testing.assert_array_equal(same, again)
    assert (same != other).any()


def test_blocks_draw_as_often_as_was_asked(monkeypatch):
    monkeypatch.setattr("evaluation.bootstrap._MOST_DRAWN", 15)
    outcomes = np.arange(6.0)[:, None]
    drawn = resampled_means(outcomes, ALL, resamples=7)
    assert drawn.shape == (7, 1, 1)
    assert ((drawn >= 0) & (drawn <= 5)).all()


def test_what_is_not_known_is_not_counted():
    outcomes = np.array([[np.nan, np.nan], [1.0, np.nan], [1.0, np.nan]])
    drawn = resampled_means(outcomes, [np.arange(3)], resamples=200)
    known = drawn[:, 0, 0]
    assert set(known[~np.isnan(known)]) == {1.0}
    assert np.isnan(drawn[:, 0, 1]).all()


def test_an_interval_of_nothing_is_nothing():
    nothing = Interval.of(np.nan, np.array([0.5]))
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()
    unknown = Interval.of(0.5, np.array([np.nan]))
    assert (unknown.mean, np.isnan(unknown.low)) == (0.5, True)


def test_a_ratio_to_nothing_is_nan():
    np.testing.assert_array_equal(ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])), [0.5, np.nan])
