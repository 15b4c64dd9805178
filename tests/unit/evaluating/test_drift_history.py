"""Noise by windows: sums as they come, against the whole data at once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.drift import (
    MOST_WINDOWS,
    ModelQuality,
    OutcomeHistory,
    PoolHistory,
    WindowPlan,
    parse_duration,
)
from evaluation.drift.noise import GROUPS, Evidence, estimate_noise
from evaluation.drift.student import student_quantile, two_sided
from evaluation.errors import UnreadableDataError
from scoring.pairs import pair_column, pair_count
from scoring.reference import least_squares_noise

DAY = 86_400.0


def squared(vectors):
    """Distances of the answers to one prompt, in the order of pairs."""
    count = len(vectors)
    return np.array(
        [np.sum((vectors[i] - vectors[j]) ** 2) for j in range(count) for i in range(j)],
        np.float32,
    )


def drawn(generator, noise, dimension=8):
    spread = np.sqrt(np.asarray(noise) / dimension)[:, None]
    return squared(generator.standard_normal((len(noise), dimension)) * spread)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1d", DAY), ("90s", 90), ("1.5h", 5400), ("2 w", 14 * DAY), ("30m", 1800)],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "d", "-1d", "0h", "1y", "1d2h", "nan d", "9" * 400 + "w"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UnreadableDataError, match="no duration"):
        parse_duration(text)


def test_days_begin_at_midnight():
    plan = WindowPlan.of_width(1.5 * DAY, 3.2 * DAY, DAY)
    assert plan.bounds(0) == (DAY, 2 * DAY)
    assert [plan.index(each * DAY) for each in (1.0, 1.99, 2.0, 3.2, 5.0)] == [0, 0, 1, 2, 4]


def test_so_many_windows_hold_all_samples():
    plan = WindowPlan.of_count(10.0, 20.0, 5)
    assert [plan.index(each) for each in (10.0, 11.9, 12.0, 20.0, 99.0, 1.0)] == [0, 0, 1, 4, 4, 0]
    assert WindowPlan.of_count(10.0, 10.0, 3).index(10.0) == 0


def test_too_many_windows_are_refused():
    with pytest.raises(UnreadableDataError, match="longer --window"):
        WindowPlan.of_width(0, MOST_WINDOWS * 60, 60)
    with pytest.raises(UnreadableDataError, match="give 1 to"):
        WindowPlan.of_count(0, 1, MOST_WINDOWS + 1)
    history = PoolHistory(WindowPlan(0.0, 1.0))
    history.add(0.0, ("a", "b"), np.ones(1, np.float32))
    with pytest.raises(UnreadableDataError, match="longer --window"):
        history.add(MOST_WINDOWS, ("a", "b"), np.ones(1, np.float32))


@given(st.integers(0, 10_000))
def test_windows_are_what_the_samples_of_each_say(seed):
    generator = np.random.default_rng(seed)
    names = tuple("abcde")
    history = PoolHistory(WindowPlan(0.0, 10.0))
    rows = {}
    for _ in range(int(generator.integers(1, 60))):
        time = float(generator.integers(0, 30))
        who = np.flatnonzero(generator.random(5) < 0.7)
        who = generator.permutation(who)
        distances = generator.random(pair_count(len(who))).astype(np.float32)
        history.add(time, tuple(names[each] for each in who), distances)
        rows.setdefault(int(time // 10), []).append((who, distances))
    windows = history.windows()
    assert [each.start for each in windows] == [
        10.0 * index for index in range(min(rows), max(rows) + 1)
    ]
    order = [names.index(each) for each in history.voters]
    for index, window in enumerate(windows, start=min(rows)):
        sums, counts = np.zeros(10), np.zeros(10, np.int64)
        answered = np.zeros(5, np.int64)
        for who, distances in rows.get(index, []):
            answered[who] += 1
            for j in range(len(who)):
                for i in range(j):
                    column = pair_column(int(who[i]), int(who[j]))
                    sums[column] += distances[pair_column(i, j)]
                    counts[column] += 1
        assert window.samples == len(rows.get(index, []))
        np.testing.assert_array_equal(window.answered, answered[order])
        expected = least_squares_noise(sums / np.maximum(counts, 1), counts.tolist(), 5)[order]
        np.testing.assert_allclose(window.noise.variance, expected, atol=1e-6)


def test_a_rank_is_among_those_whose_noise_is_known():
    history = PoolHistory(WindowPlan(0.0, 1.0))
    # d is seen with nobody twice: its noise isn't known.
    history.add(0, ("a", "b", "c"), np.array([3.0, 4.0, 5.0], np.float32))
    history.add(0, ("d",), np.zeros(0, np.float32))
    (window,) = history.windows()
    np.testing.assert_allclose(window.noise.variance, [1, 2, 3, np.nan])
    assert window.rank.tolist() == [1, 2, 3, 0]
    assert window.answered.tolist() == [1, 1, 1, 1]


def test_with_everyone_present_the_error_is_that_of_a_mean():
    """The noise of complete samples is the mean of what each alone says."""
    generator = np.random.default_rng(0)
    history = PoolHistory(WindowPlan(0.0, 1.0))
    alone = []
    for _ in range(40 * GROUPS):
        distances = drawn(generator, [1.0, 1.0, 2.0])
        history.add(0.0, ("a", "b", "c"), distances)
        ab, ac, bc = distances
        alone.append([(ab + ac - bc) / 2, (ab + bc - ac) / 2, (ac + bc - ab) / 2])
    (window,) = history.windows()
    np.testing.assert_allclose(window.noise.variance, np.mean(alone, axis=0), rtol=1e-6)
    expected = np.std(alone, axis=0, ddof=1) / math.sqrt(len(alone))
    np.testing.assert_allclose(window.noise.error, expected, rtol=0.5)
    assert window.noise.freedom.tolist() == [GROUPS - 1] * 3


def test_the_jackknife_is_that_of_its_definition():
    generator = np.random.default_rng(1)
    counts = generator.integers(0, 4, (GROUPS, 6))
    sums = counts * generator.random((GROUPS, 6))
    found = estimate_noise(Evidence(4, sums, counts))
    without = []
    for group in range(GROUPS):
        left = np.delete(counts, group, axis=0).sum(axis=0)
        means = np.delete(sums, group, axis=0).sum(axis=0) / left
        without.append(least_squares_noise(means, left.tolist(), 4))
    deviations = np.array(without) - np.mean(without, axis=0)
    expected = np.sqrt((GROUPS - 1) / GROUPS * np.sum(deviations**2, axis=0))
    np.testing.assert_allclose(found.error, expected, rtol=1e-6)


def test_few_samples_have_no_error():
    history = PoolHistory(WindowPlan(0.0, 1.0))
    for _ in range(4):
        history.add(0.0, ("a", "b", "c"), np.ones(3, np.float32))
    (window,) = history.windows()
    assert np.isfinite(window.noise.variance).all()
    assert np.isnan(window.noise.error).all()


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.3027),
        (0.95, 19, 2.0930),
        (0.99, 5, 4.0321),
        (0.999, 38, 3.5657),
    ],
)
def test_quantiles_are_those_of_the_tables(probability, freedom, expected):
    assert student_quantile(probability, freedom) == pytest.approx(expected, abs=1e-4)
    assert two_sided(expected, freedom) == pytest.approx(probability, abs=1e-5)


def test_many_degrees_of_freedom_are_nearly_normal():
    assert student_quantile(0.95, 2_000) == pytest.approx(1.96115, abs=1e-4)


def test_outcomes_are_averaged_by_model():
    history = OutcomeHistory()
    for quality in (0.0, 1.0, 1.0, 1.0):
        history.add("a", quality)
    history.add("b", 0.9)
    best, other = history.models()
    assert (best.model, best.outcomes, best.quality.mean) == ("b", 1, 0.9)
    assert math.isnan(best.quality.low)
    assert isinstance(other, ModelQuality)
    assert other.quality.mean == 0.75
    assert other.quality.low == pytest.approx(0.75 - 1.96 * 0.25, abs=1e-3)
    assert other.quality.high == 1.0
    assert history.count == 5
