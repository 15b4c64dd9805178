"""From scores to shares that sum to 1."""

from collections.abc import Sequence
from math import exp, inf, isnan

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def softmax(scores: Floats, temperature: float) -> Floats:
    """Returns exp(score / temperature) over their sum, along the last axis.

    Args:
        scores: (..., K) float64, K at least 1; NaN gets 0.
        temperature: Above 0.

    Returns:
        (..., K) float64, summing to 1; all 0 where every score is NaN.
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    best = filled.max(axis=-1, keepdims=True)
    below = filled - np.where(np.isfinite(best), best, 0.0)
    # A temperature near 0 overflows to -inf, whose exponential is the 0 that it should be.
    with np.errstate(over="ignore"):
        powers = np.exp(below / temperature)
    total = powers.sum(axis=-1, keepdims=True)
    return np.asarray(powers / np.where(total > 0, total, 1.0))


def softmax_of(scores: Sequence[float], temperature: float) -> list[float]:
    """Returns the same for one prompt and a few models, without an array.

    NumPy takes longer to be called than to add up a handful of numbers, and this is on the way
    of every request.

    Args:
        scores: K of them, at least 1; NaN gets 0.
        temperature: Above 0.
    """
    best = max((score for score in scores if not isnan(score)), default=inf)
    powers = [0.0 if isnan(score) else exp((score - best) / temperature) for score in scores]
    total = sum(powers) or 1.0
    return [power / total for power in powers]
