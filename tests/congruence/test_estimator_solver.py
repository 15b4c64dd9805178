"""The solver equals singular values, the closed form and the triplet loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import pair_column, pair_count
from scoring.kernels.contrasts import contrast_row
from scoring.kernels.solve import solve_noise
from scoring.reference import closed_form_noise, least_squares_noise


def solved(means, counts, voters):
    counts = np.asarray(counts, np.int64)
    return solve_noise(np.where(counts > 0, means, 0.0) * counts, counts, voters)


@st.composite
def problems(draw):
    voters = draw(st.integers(1, 9))
    pairs = pair_count(voters)
    counts = draw(st.lists(st.sampled_from([0, 0, 1, 2, 50, 3000]), min_size=pairs, max_size=pairs))
    means = draw(st.lists(st.floats(0, 4), min_size=pairs, max_size=pairs))
    return voters, np.array(counts, np.int64), np.array(means)


@given(problems())
@settings(max_examples=200)
def test_partial_ensembles_equal_least_squares_by_singular_values(problem):
    voters, counts, means = problem
    expected = least_squares_noise(means, counts, voters)
    np.testing.assert_allclose(solved(means, counts, voters), expected, atol=1e-9, rtol=1e-9)


@given(st.integers(3, 12), st.integers(1, 10**6), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_equal_counts_equal_the_closed_form(voters, count, seed):
    means = np.random.default_rng(seed).uniform(0, 3, pair_count(voters))
    expected = closed_form_noise(means, voters)
    found = solved(means, np.full(means.shape, count), voters)
    np.testing.assert_allclose(found, expected, atol=1e-10 * means.mean(), rtol=0)


@pytest.mark.parametrize("exponent", [-30, 30])
def test_the_scale_of_distances_does_not_matter(exponent):
    means = np.random.default_rng(0).uniform(0, 3, pair_count(6))
    counts = np.array([1, 7, 0, 90000, 3, 1, 0, 2, 5, 1, 1, 0, 4, 1, 8])
    scaled = solved(means * 10.0**exponent, counts, 6) / 10.0**exponent
    np.testing.assert_allclose(scaled, solved(means, counts, 6), rtol=1e-9)


@pytest.mark.parametrize(
    ("edges", "known"),
    [
        ([(0, 1), (1, 2), (2, 3)], []),
        ([(0, 1), (1, 2), (2, 3), (0, 3)], []),
        ([(0, 1), (1, 2), (0, 2)], [0, 1, 2]),
        ([(0, 1), (1, 2), (0, 2), (2, 3), (3, 4)], [0, 1, 2, 3, 4]),
        ([(0, 1), (1, 2), (0, 2), (3, 4)], [0, 1, 2]),
        ([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)], [0, 1, 2, 3, 4]),
        ([(0, 1), (3, 4)], []),
    ],
)
def test_a_component_is_identified_by_an_odd_cycle(edges, known):
    counts = np.zeros(pair_count(5), np.int64)
    for edge in edges:
        counts[pair_column(*edge)] = 1
    assert np.flatnonzero(~np.isnan(solved(np.ones(10), counts, 5))).tolist() == known


@given(st.integers(1, 7), st.integers(0, 2**7 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_contrasts_are_differences_of_single_sample_noise(voters, mask, seed):
    present = [voter for voter in range(voters) if mask >> voter & 1]
    row = np.full(pair_count(voters), np.nan, np.float32)
    expected = np.full(row.shape, np.nan)
    for b, j in enumerate(present):
        for i in present[:b]:
            row[pair_column(i, j)] = np.random.default_rng([seed, i, j]).uniform(0, 3)
    kept = row[[pair_column(i, j) for b, j in enumerate(present) for i in present[:b]]]
    if len(present) > 2:
        noise = closed_form_noise(kept.astype(np.float64), len(present))
        for b, j in enumerate(present):
            for a, i in enumerate(present[:b]):
                expected[pair_column(i, j)] = noise[a] - noise[b]
    np.testing.assert_allclose(contrast_row(row, voters), expected, atol=1e-12)


def test_a_row_that_lacks_a_pair_of_present_voters_has_no_contrast():
    row = np.arange(1, 7, dtype=np.float32)
    row[pair_column(1, 3)] = np.nan
    assert np.isnan(contrast_row(row, 4)).all()
