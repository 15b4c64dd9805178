"""Smoothie over whole data sets, with every core."""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numba import threading_layer  # type: ignore[attr-defined]  # numba has no stubs
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.kernels import dataset
from scoring.kernels.judge import rank_noise, weigh_noise
from scoring.kernels.nearest import list_nearest_of_tile, settle_all
from scoring.kernels.request import conclude
from scoring.validation import (
    LARGEST_SQUARED_NORM,
    as_flags,
    as_floats,
    as_neighbours,
    refuse_vectors,
)

_EMBEDDINGS = ("samples", "voters", "dimensions")
# The products of so many points with as many, 128 MiB of them, are held at once. Few large tiles:
# after each, the threads of the products and those of the kernels spin in each other's way.
_TILE = 5_792
_ROWS_AT_ONCE = 512
_DISTANCES_AT_ONCE = 1 << 23
# How many more than wanted are listed, and measured in float64.
_MORE = 12


@dataclass(frozen=True, slots=True, eq=False)
class NoiseFit:
    """How noisy the K voters of a data set are: once, or for each of n prompts.

    Attributes:
        noise_variance: (K,) or (n, K) float64, NaN where too few voters identify
            it; an unbiased estimate, so it may be zero or negative.
        weight: Same shape, float64; each row sums to 1.
        order: Same shape, int64: voters by noise ascending, NaN last.
    """

    noise_variance: NDArray[np.float64]
    weight: NDArray[np.float64]
    order: NDArray[np.int64]


def fit_global(
    embeddings: NDArray[np.float32], present: NDArray[np.bool_] | None = None
) -> NoiseFit:
    """Estimates one noise per voter over a data set (Smoothie-Global).

    With every voter present this is one pass over the embeddings, linear in K;
    else every pair is measured, and weighs as many samples as it has.

    Args:
        embeddings: (n, K, d) float32 of the answers of K voters to n prompts.
        present: (n, K) bool, which voters answered; the embeddings of the others
            aren't read.

    Returns:
        A fit of shape (K,).

    Raises:
        InvalidArrayError: An array has the wrong shape or type, or a vector holds
            NaN, infinity or numbers so large that distances overflow float32.
    """
    floats = as_floats(embeddings, field="embeddings", axes=_EMBEDDINGS)
    samples, voters, _ = floats.shape
    if present is None or as_flags(present, field="present", shape=(samples, voters)).all():
        return _closed_form(floats)
    rows = _pair_rows(floats, present)
    sums = np.asarray(np.nansum(rows, axis=0, dtype=np.float64))
    counts = np.count_nonzero(~np.isnan(rows), axis=0)
    fit = NoiseFit(np.empty(voters), np.empty(voters), np.empty(voters, np.int64))
    everyone = np.arange(voters, dtype=np.int64)
    conclude(sums, counts, everyone, voters, fit.noise_variance, fit.weight, fit.order)
    return fit


def _closed_form(embeddings: NDArray[np.float32]) -> NoiseFit:
    samples, voters, _ = embeddings.shape
    sums, refused = dataset.sum_distances(embeddings, LARGEST_SQUARED_NORM)
    if refused:
        refuse_vectors(embeddings, field="embeddings")
    means = np.maximum(sums.sum(axis=0), 0.0) / samples
    total = means.sum() / 2
    scale = total / max(voters * (voters - 1) / 2, 1)
    noise = np.full(voters, np.nan)
    if voters > 2:
        noise = ((voters - 1) * means - total) / ((voters - 1) * (voters - 2))
    fit = NoiseFit(noise, np.empty(voters), np.empty(voters, np.int64))
    weigh_noise(noise, scale, fit.weight)
    rank_noise(noise, scale, fit.order)
    return fit


def fit_local(
    embeddings: NDArray[np.float32],
    neighbours: NDArray[np.int64],
    present: NDArray[np.bool_] | None = None,
) -> NoiseFit:
    """Estimates noise for every prompt over its neighbours (Smoothie-Local).

    Args:
        embeddings: (n, K, d) float32 of the answers of K voters to n prompts.
        neighbours: (n, k) int64, the samples that each prompt's estimate rests
            on, itself among them, as `nearest_prompts` gives.
        present: (n, K) bool, which voters answered; the embeddings of the others
            aren't read.

    Returns:
        A fit of shape (n, K).

    Raises:
        InvalidArrayError: As for `fit_global`; or a neighbour is no sample.
    """
    floats = as_floats(embeddings, field="embeddings", axes=_EMBEDDINGS)
    samples, voters, _ = floats.shape
    indices = as_neighbours(neighbours, field="neighbours", samples=samples)
    flags = np.ones((samples, voters), np.bool_) if present is None else present
    rows = _pair_rows(floats, flags)
    return NoiseFit(*dataset.estimate_neighbourhoods(rows, indices, voters))


def _pair_rows(embeddings: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    flags = as_flags(present, field="present", shape=embeddings.shape[:2])
    rows, refused = dataset.pair_rows(embeddings, flags, LARGEST_SQUARED_NORM)
    if refused:
        refuse_vectors(np.where(flags[:, :, None], embeddings, 0), field="embeddings")
    return rows


def fit_samples(embeddings: NDArray[np.float32]) -> NoiseFit:
    """Estimates noise for every prompt from several samples of each voter.

    The distance of two voters is the mean over all s * s pairs of their samples.

    Args:
        embeddings: (n, K, s, d) float32 of s answers of each of K voters to n
            prompts.

    Returns:
        A fit of shape (n, K).

    Raises:
        InvalidArrayError: As for `fit_global`.
    """
    axes = ("prompts", "voters", "samples", "dimensions")
    floats = as_floats(embeddings, field="embeddings", axes=axes)
    rows, refused = dataset.cross_rows(floats, LARGEST_SQUARED_NORM)
    if refused:
        refuse_vectors(floats, field="embeddings")
    themselves = np.arange(floats.shape[0], dtype=np.int64)[:, None]
    return NoiseFit(*dataset.estimate_neighbourhoods(rows, themselves, floats.shape[1]))


def nearest_prompts(vectors: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Finds the k nearest prompts of every prompt by squared distance, exactly.

    Args:
        vectors: (n, d) float32 prompt embeddings.
        k: How many, the prompt itself included.

    Returns:
        (n, min(k, n)) int64, nearest first; the prompt itself is always the first,
        also where others are equal to it.

    Raises:
        InvalidArrayError: The vectors have the wrong shape or hold NaN, infinity
            or numbers too large; or k is below 1.
    """
    floats = as_floats(vectors, field="vectors", axes=("prompts", "dimensions"))
    if k < 1:
        raise InvalidArrayError(f"k is {k}; give at least 1, the prompt itself.", field="k")
    norms = np.einsum("nd,nd->n", floats, floats, dtype=np.float64)
    if not norms.max() <= LARGEST_SQUARED_NORM:
        refuse_vectors(floats, field="vectors")
    values, indices = _list_nearest(floats, norms, min(k + _MORE, len(floats)) - 1)
    found = np.empty((len(floats), min(k, len(floats))), np.int64)
    error = _value_error(floats.shape[1], float(norms.max()))
    certain = settle_all(floats, norms, values, indices, error, found)
    _settle_uncertain(floats, norms, np.flatnonzero(~certain), found)
    return found


def _list_nearest(
    floats: NDArray[np.float32], norms: NDArray[np.float64], listed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lists those of least |b|^2 / 2 - ab for every point, by float32 products."""
    shape = (len(floats), max(listed, 1))
    values, indices = np.full(shape, np.inf), np.full(shape, -1, np.int64)
    halves = (norms / 2).astype(np.float32)
    side = math.ceil(len(floats) / math.ceil(len(floats) / _TILE))
    room = np.empty(side * side, np.float32)
    starts = range(0, len(floats), side)
    for row, column in combinations_with_replacement(starts, 2):
        products = _multiply(floats, row, column, side, room)
        list_nearest_of_tile(products, halves, row, column, values, indices)
    return values, indices


def _multiply(
    floats: NDArray[np.float32], row: int, column: int, side: int, room: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Multiplies points with those of their own place or after, in float32; leaves out the rest."""
    some, others = floats[row : row + side], floats[column : column + side]
    products = room[: len(some) * len(others)].reshape(len(some), len(others))
    for start in range(0, len(some), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        skipped = start if row == column else 0
        np.matmul(some[block], others[skipped:].T, out=products[block, skipped:])
    return products


def _value_error(dimension: int, largest: float) -> float:
    """How far |b|^2 / 2 - ab may be out in float32, of vectors of at most this squared norm."""
    rounding, tiniest = np.finfo(np.float32).eps, np.finfo(np.float32).tiny
    return float((dimension + 1) * (rounding * largest + tiniest))


def _settle_uncertain(
    floats: NDArray[np.float32],
    norms: NDArray[np.float64],
    prompts: NDArray[np.int64],
    nearest: NDArray[np.int64],
) -> None:
    """Compares these prompts with all others in float64: so many are about as near as the last."""
    points = floats.astype(np.float64) if prompts.size else floats
    step = max(1, _DISTANCES_AT_ONCE // len(floats))
    for start in range(0, len(prompts), step):
        some = prompts[start : start + step]
        distances = norms - 2 * points[some] @ points.T
        distances[np.arange(len(some)), some] = -np.inf
        nearest[some] = _smallest(distances, nearest.shape[1])


def _smallest(distances: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    candidates = np.argpartition(distances, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distances, candidates, axis=1), axis=1)
    return np.take_along_axis(candidates, order, axis=1)


def check_threading_layer() -> str:
    """Runs one small parallel kernel, and returns the threading layer it ran on.

    Parallel kernels are entered by one thread at a time, which every layer
    allows. The first call compiles, for some seconds.
    """
    dataset.sum_distances(np.zeros((1, 1, 1), np.float32), 1.0)
    return str(threading_layer())
