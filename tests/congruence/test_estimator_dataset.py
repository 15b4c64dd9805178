"""Data set kernels equal their twins in float64 NumPy."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import fit_global, fit_local, nearest_prompts, pair_column, pair_count
from scoring.reference import least_squares_noise, pair_means, triplet_noise


@given(st.integers(1, 200), st.integers(3, 7), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_one_pass_equals_the_triplet_loop(samples, voters, dimension, seed):
    embeddings = np.random.default_rng(seed).normal(size=(samples, voters, dimension)) + 5
    embeddings = embeddings.astype(np.float32)
    scale = pair_means(embeddings).mean()
    found = fit_global(embeddings).noise_variance
    np.testing.assert_allclose(found, triplet_noise(embeddings), atol=1e-10 * scale, rtol=0)


def masked_twin(embeddings, present):
    voters = embeddings.shape[1]
    means, counts = np.zeros(pair_count(voters)), np.zeros(pair_count(voters), np.int64)
    for j in range(voters):
        for i in range(j):
            both = present[:, i] & present[:, j]
            cell = pair_column(i, j)
            counts[cell] = both.sum()
            if both.any():
                means[cell] = pair_means(embeddings[both][:, [i, j]])[0]
    return least_squares_noise(means, counts, voters)


@given(st.integers(1, 12), st.integers(1, 6), st.floats(0.2, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_missing_voters_are_fitted_on_the_pairs_that_exist(samples, voters, share, seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(samples, voters, 4)).astype(np.float32)
    present = rng.random((samples, voters)) < share
    np.testing.assert_allclose(
        fit_global(embeddings, present).noise_variance,
        masked_twin(embeddings, present),
        atol=1e-5,
        rtol=1e-5,
    )
    neighbours = rng.integers(0, samples, (samples, 3))
    local = fit_local(embeddings, neighbours, present).noise_variance
    for sample in range(samples):
        these = neighbours[sample]
        expected = masked_twin(embeddings[these], present[these])
        np.testing.assert_allclose(local[sample], expected, atol=1e-5, rtol=1e-5)


def test_local_equals_the_triplet_loop_over_each_neighbourhood():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(80, 5, 16)).astype(np.float32)
    neighbours = nearest_prompts(rng.normal(size=(80, 3)), 7)
    expected = [triplet_noise(embeddings[these]) for these in neighbours]
    fit = fit_local(embeddings, neighbours)
    np.testing.assert_allclose(fit.noise_variance, expected, atol=1e-5)
    assert (fit.order == np.argsort(fit.noise_variance, axis=1)).all()


def set_tiles(patch, side, rows):
    patch.setattr("scoring.dataset._TILE", side)
    patch.setattr("scoring.dataset._ROWS_AT_ONCE", rows)


@pytest.mark.parametrize(("side", "rows"), [(5_792, 512), (300, 64), (70, 9)])
@pytest.mark.parametrize("count", [1, 255, 256, 257, 600])
def test_nearest_prompts_equal_a_full_sort(count, side, rows, monkeypatch):
    set_tiles(monkeypatch, side, rows)
    vectors = np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)
    distances = np.square(vectors[:, None].astype(np.float64) - vectors).sum(axis=2)
    expected = np.argsort(distances, axis=1, kind="stable")[:, :9]
    assert (nearest_prompts(vectors, 9) == expected).all()


CROWD = """
import threading
import numpy as np
import scoring
embeddings = np.random.default_rng(0).normal(size=(2000, 5, 32)).astype(np.float32)
fits = []
fit = lambda: scoring.fit_global(embeddings).noise_variance.tobytes()
work = lambda: fits.extend(fit() for _ in range(50))
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert scoring.check_threading_layer() == "workqueue"
assert len(fits) == 200 and len(set(fits)) == 1
"""


def test_many_threads_may_fit_at_once_on_the_layer_that_forbids_it():
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", CROWD], env=environment, check=True)


@given(
    st.integers(1, 60),
    st.integers(1, 70),
    st.integers(1, 3),
    st.integers(1, 64),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=100)
def test_nearest_prompts_are_as_near_as_those_of_a_full_sort(count, k, dimension, side, seed):
    # Few places, so that most prompts are equal to others; some lie apart by less than the
    # rounding of float32 products.
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 3, (count, dimension))
    vectors = (places * rng.choice([1, 1e-4, 300])).astype(np.float32)
    vectors += np.float32(rng.choice([0, 1000]))
    distances = np.square(vectors[:, None].astype(np.float64) - vectors).sum(axis=2)
    with pytest.MonkeyPatch.context() as patch:
        set_tiles(patch, side, 5)
        nearest = nearest_prompts(vectors, k)
    found = np.take_along_axis(distances, nearest, axis=1)
    np.testing.assert_allclose(found, np.sort(distances, axis=1)[:, :k], atol=1e-8)
    assert nearest[:, 0].tolist() == list(range(count))
    assert all(len(set(row)) == len(row) for row in nearest.tolist())
