"""Compiled kernels: arrays in, arrays out, each with exactly one signature."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.contrasts import contrast_row
from scoring.kernels.cosines import cosines
from scoring.kernels.measure import measure
from scoring.kernels.recall import copy_rows, find_slots, squared_norm
from scoring.kernels.request import estimate
from scoring.kernels.solve import solve_each


def row_contrasts(row: NDArray[np.float32], voters: int) -> NDArray[np.float64]:
    """Returns the differences of single-sample noise between all pairs of voters.

    For voters i < j present in the sample (with at least one pair), the closed
    form on the K voters present gives noise_i - noise_j = (S_i - S_j) / (K - 2).

    Args:
        row: (V(V-1)/2,) float32 squared distances of one sample, NaN where a
            pair is missing.
        voters: V.

    Returns:
        (V(V-1)/2,) float64; NaN where a voter is missing, with fewer than three
        voters present, and everywhere if some pair between those present is
        missing.
    """
    return contrast_row(np.require(row, np.float32, ["C", "A", "W"]), int(voters))


def warm_up() -> None:
    """Compiles every kernel that a request may run, by running each once on three voters."""
    vectors, voters = np.eye(3, dtype=np.float32), np.arange(3, dtype=np.int64)
    pairs = np.zeros(3, np.float32)
    measure(vectors, voters, pairs, np.zeros(3), 1.0)
    row_contrasts(pairs, 3)
    cosines(vectors, np.eye(3), np.empty((3, 3)), 1.0)
    _warm_up_recall(vectors, voters)
    sums, counts = np.zeros(3), np.zeros(3, np.int64)
    totals = (sums, counts, sums, sums, counts, counts)
    noise, weight = np.zeros(3), np.zeros(3)
    order, used = np.zeros(3, np.int64), np.zeros(3, np.int64)
    estimate(totals, pairs[None], 3, pairs, voters, 3, noise, weight, order, used)
    solve_each(pairs[None], np.ones(1, np.int64), 3, noise[None], used[:1])


def _warm_up_recall(vectors: NDArray[np.float32], seqs: NDArray[np.int64]) -> None:
    squared_norm(vectors[0])
    copy_rows(vectors, seqs, vectors.copy(), 0)
    window = vectors, np.ones(3, np.bool_), seqs
    found, squared = np.zeros((3, 1), np.int64), np.zeros((3, 1), np.float32)
    slot_of, names = np.ones(3, np.int32), np.ones(3, np.uint64)
    find_slots(
        vectors, found, squared, *window, *window, slot_of, names, names,
        seqs.copy(), np.empty(3, np.float32), seqs.copy(),
    )  # fmt: skip
