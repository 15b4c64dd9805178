"""Vectors that are kept by a digest: which go first, and how much they take."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.recent_vectors import RecentVector, RecentVectors


def vector(number, dimension=4):
    return RecentVector(np.full(dimension, number, np.float32).tobytes(), truncated=False)


def digest(number):
    return number.to_bytes(16, "big")


def taken(dimension=4):
    recent = RecentVectors(10**6)
    recent.keep(digest(0), vector(0, dimension))
    return recent.bytes


def kept(recent, numbers):
    """Which of some numbers are kept, asked behind the cache's back."""
    return [number for number in numbers if digest(number) in recent._vectors]


def test_the_one_used_longest_ago_goes_first():
    recent = RecentVectors(3 * taken())
    for number in range(3):
        recent.keep(digest(number), vector(number))
    assert recent.find([digest(0)]) == {digest(0): vector(0)}
    recent.keep(digest(3), vector(3))
    recent.keep(digest(4), vector(4))
    assert kept(recent, range(5)) == [0, 3, 4]
    assert (recent.evictions, len(recent), recent.bytes) == (2, 3, 3 * taken())


def test_what_is_kept_again_takes_its_place_once():
    recent = RecentVectors(2 * taken())
    for number in (0, 1, 0, 2):
        recent.keep(digest(number), vector(number))
    assert kept(recent, range(3)) == [0, 2]
    assert recent.bytes == 2 * taken()


def test_a_vector_larger_than_the_bound_is_not_kept_and_costs_nobody_a_place():
    recent = RecentVectors(2 * taken())
    recent.keep(digest(0), vector(0))
    recent.keep(digest(1), vector(1, dimension=1000))
    assert kept(recent, range(2)) == [0]
    assert recent.evictions == 0


def test_a_large_vector_takes_the_place_of_several():
    recent = RecentVectors(taken(500))
    for number in range(3):
        recent.keep(digest(number), vector(number))
    recent.keep(digest(3), vector(3, dimension=500))
    assert kept(recent, range(4)) == [3]
    assert recent.evictions == 3


def test_room_for_nothing_keeps_nothing():
    recent = RecentVectors(0)
    recent.keep(digest(0), vector(0))
    assert (len(recent), recent.bytes, recent.find([digest(0)])) == (0, 0, {})


def test_every_text_that_is_found_is_a_hit():
    recent = RecentVectors(10**6)
    recent.keep(digest(0), vector(0))
    assert recent.find([digest(0), digest(1), digest(0)]) == {digest(0): vector(0)}
    assert recent.hits == 2


@given(
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1, 4, 200]), st.booleans())),
)
def test_it_is_what_a_list_in_the_order_of_use_would_be(most, steps):
    recent, model = RecentVectors(most), []
    for number, dimension, keep in steps:
        before = [pair for pair in model if pair[0] == number]
        if keep and taken(dimension) <= most:
            model = [*(pair for pair in model if pair not in before), (number, dimension)]
            while sum(taken(size) for _, size in model) > most:
                model.pop(0)
        elif not keep:
            assert bool(recent.find([digest(number)])) == bool(before)
            model = [*(pair for pair in model if pair not in before), *before]
        if keep:
            recent.keep(digest(number), vector(number, dimension))
        assert list(recent._vectors) == [digest(number) for number, _ in model]
        assert recent.bytes == sum(taken(size) for _, size in model) <= most


@pytest.mark.parametrize("count", [1000, 11_000])
def test_it_takes_no_more_than_it_says(count):
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        recent = RecentVectors(10**9)
        for number in range(count):
            recent.keep(digest(number), vector(number, dimension=384))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.9 * recent.bytes < after - before <= recent.bytes
