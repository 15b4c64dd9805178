"""The serial kernel that measures the answers of one request."""

from typing import TypeAlias

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column

Measured: TypeAlias = tuple[Row, Floats, float, Floats]


@request_kernel
def squared_distance(one: Row, other: Row) -> float:
    """Returns |a - b|^2 of two float32 vectors, in float64."""
    total = 0.0
    for cell in range(one.shape[0]):
        step = np.float64(one[cell]) - np.float64(other[cell])
        total += step * step
    return total


@request_kernel
def inner_product(one: Row, other: Row) -> float:
    """Returns a . b of two float32 vectors, in float64."""
    total = 0.0
    for cell in range(one.shape[0]):
        total += np.float64(one[cell]) * np.float64(other[cell])
    return total


@request_kernel
def mean_cosine(vectors: Row, voter_of: Integers, norms: Floats) -> float:
    """Returns the mean cosine between vectors of different voters, NaN where there are none."""
    total, crossings = 0.0, 0
    for b in range(vectors.shape[0]):
        for a in range(b):
            if voter_of[a] != voter_of[b]:
                crossings += 1
                if norms[a] > 0 and norms[b] > 0:
                    length = np.sqrt(norms[a]) * np.sqrt(norms[b])
                    total += inner_product(vectors[a], vectors[b]) / length
    return min(max(total / crossings, -1.0), 1.0) if crossings > 0 else np.nan


@request_kernel
def measure(vectors: Row, voter_of: Integers, voters: int) -> Measured:
    """Measures the answers of one request against each other.

    Args:
        vectors: (g, d) float32.
        voter_of: (g,) index of the voter of each answer.
        voters: K.

    Returns:
        (K(K-1)/2,) float32 mean squared distance of each two voters over all
        pairs of their answers; (g,) mean squared distance of each answer to those
        of other voters, 0 with one voter; the mean cosine between answers of
        different voters, NaN with one voter; (g,) squared norms.
    """
    answers, pairs = vectors.shape[0], voters * (voters - 1) // 2
    sums, counts = np.zeros(pairs), np.zeros(pairs)
    means, others, norms = np.zeros(answers), np.zeros(answers), np.zeros(answers)
    for b in range(answers):
        norms[b] = inner_product(vectors[b], vectors[b])
        for a in range(b):
            if voter_of[a] != voter_of[b]:
                cell = column(voter_of[a], voter_of[b])
                distance = squared_distance(vectors[a], vectors[b])
                sums[cell] += distance
                counts[cell] += 1
                means[a] += distance
                means[b] += distance
                others[a] += 1
                others[b] += 1
    row = np.zeros(pairs, np.float32)
    for cell in range(pairs):
        row[cell] = sums[cell] / counts[cell]
    for answer in range(answers):
        means[answer] /= max(others[answer], 1.0)
    return row, means, mean_cosine(vectors, voter_of, norms), norms
