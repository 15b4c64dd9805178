"""The serial kernel that measures the answers of one request."""

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column


@request_kernel
def inner_product(one: Row, other: Row) -> float:
    """Returns a . b of two float32 vectors, in float64."""
    total = 0.0
    for cell in range(one.shape[0]):
        total += np.float64(one[cell]) * np.float64(other[cell])
    return total


@request_kernel
def compare(one: Row, other: Row) -> tuple[float, float]:
    """Returns |a - b|^2 and a . b of two float32 vectors, in float64, reading them once."""
    apart, along = 0.0, 0.0
    for cell in range(one.shape[0]):
        left, right = np.float64(one[cell]), np.float64(other[cell])
        step = left - right
        apart += step * step
        along += left * right
    return apart, along


@request_kernel
def measure(
    vectors: Row, voter_of: Integers, pairs: Row, means: Floats, limit: float
) -> tuple[float, int]:
    """Measures the answers of one request against each other.

    Args:
        vectors: (g, d) float32.
        voter_of: (g,) index of the voter of each answer.
        pairs: (K(K-1)/2,) float32, takes the mean squared distance of each two
            voters over all pairs of their answers.
        means: (g,) takes the mean squared distance of each answer to those of
            other voters, 0 with one voter.
        limit: Largest usable squared norm.

    Returns:
        The mean cosine between answers of different voters, NaN with one voter;
        and how many vectors have another norm.
    """
    answers = vectors.shape[0]
    sums, counts = np.zeros(pairs.shape[0]), np.zeros(pairs.shape[0])
    others, lengths = np.zeros(answers), np.zeros(answers)
    refused, cosines, crossings = 0, 0.0, 0
    for b in range(answers):
        norm = inner_product(vectors[b], vectors[b])
        refused += not norm <= limit
        lengths[b], means[b] = np.sqrt(norm), 0.0
        for a in range(b):
            if voter_of[a] != voter_of[b]:
                cell = column(voter_of[a], voter_of[b])
                distance, product = compare(vectors[a], vectors[b])
                sums[cell] += distance
                counts[cell] += 1
                means[a] += distance
                means[b] += distance
                others[a] += 1
                others[b] += 1
                crossings += 1
                if lengths[a] > 0 and lengths[b] > 0:
                    cosines += product / (lengths[a] * lengths[b])
    for cell in range(pairs.shape[0]):
        pairs[cell] = sums[cell] / counts[cell]
    for answer in range(answers):
        means[answer] /= max(others[answer], 1.0)
    cosine = min(max(cosines / crossings, -1.0), 1.0) if crossings > 0 else np.nan
    return cosine, refused
