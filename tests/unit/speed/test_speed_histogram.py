"""The histogram of latencies against NumPy, which keeps every one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed.histogram import Histogram, bucket_of, middle_of

latencies = st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=200)


@given(latencies, st.floats(0, 100))
def test_percentiles_are_those_of_numpy_to_three_digits(values, percent):
    found = Histogram.of(values).percentile(percent)
    exact = np.percentile(values, percent, method="inverted_cdf")
    assert found == pytest.approx(exact, rel=1e-3, abs=1e-7)


@given(latencies, latencies)
def test_merging_is_counting_both(one, other):
    merged, whole = Histogram.of(one).merged(Histogram.of(other)), Histogram.of([*one, *other])
    assert np.array_equal(merged.counts, whole.counts)
    assert merged.mean == pytest.approx(np.mean([*one, *other]))
    assert merged.count == len(one) + len(other)


@given(latencies)
def test_json_keeps_everything(values):
    histogram = Histogram.of(values)
    read = Histogram.from_json(histogram.to_json())
    assert np.array_equal(read.counts, histogram.counts)
    assert read.total == histogram.total


def test_every_bucket_holds_its_own_middle():
    buckets = np.arange(Histogram.of([0.0]).counts.size)
    inside = buckets[middle_of(buckets) <= 100]
    assert np.array_equal(bucket_of(middle_of(inside)), inside)


def test_above_counts_the_longer_ones():
    assert Histogram.of([0.001, 0.010, 0.100, 0.2]).above(0.05) == 2


def test_longer_than_the_longest_counts_as_the_longest():
    assert Histogram.of([1e6]).percentile(100) == pytest.approx(100, rel=1e-3)


def test_of_nothing_there_is_no_percentile():
    empty = Histogram.of(())
    assert (empty.count, np.isnan(empty.mean), np.isnan(empty.percentile(50))) == (0, True, True)


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_what_is_no_latency_is_refused(bad):
    with pytest.raises(ValueError, match="negative"):
        Histogram.of([bad])
