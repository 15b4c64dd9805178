"""Quantiles of Student's t, in closed form for whole degrees of freedom."""

import math


def student_quantile(probability: float, freedom: int) -> float:
    """Returns t with P(|T| <= t) = probability, by bisection of the distribution.

    Args:
        probability: From 0 to below 1.
        freedom: Degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while two_sided(high, freedom) < probability:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        if two_sided(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return high


def two_sided(t: float, freedom: int) -> float:
    """Returns P(|T| <= t), t being 0 or more (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for step in range((freedom - odd) // 2):
        total += term
        term *= cosine**2 * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    if odd:
        return 2 / math.pi * (angle + sine * total)
    return sine * total
