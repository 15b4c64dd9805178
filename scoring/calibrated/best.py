"""How probable it is that each of several uncertain qualities is the largest."""

from functools import cache

import numpy as np

from scoring.calibrated.products import product
from scoring.calibrated.values import Floats

_DRAWS = 1024
_MOST_VOTERS = 64
_JITTER = 1e-9
_LEAST_PIVOT = 1e-14


def probability_of_best(mean: Floats, covariance: Floats) -> Floats:
    """Returns the (K,) probability that each voter is the best; they sum to 1.

    By 1,024 normal draws that are always the same ones, in pairs z and -z: equal
    arguments give equal answers, and a probability is out by 0.015 or so. Voters
    in another order meet other draws.

    Args:
        mean: (K,) expected qualities.
        covariance: (K, K) of them; it may be singular.
    """
    voters = len(mean)
    factor = _cholesky(covariance)
    drawn = product(factor, _draws(max(voters, _MOST_VOTERS))[:voters])
    drawn += mean[:, None]
    # Voters that are the same in every draw share it.
    best = drawn >= drawn.max(axis=0) - _JITTER
    shares: Floats = (best / best.sum(axis=0)).sum(axis=1) / _DRAWS
    return shares


def _cholesky(covariance: Floats) -> Floats:
    """Returns the lower triangular factor of a matrix that need not have full rank.

    LAPACK's wants full rank, and at this size starts threads.
    """
    left, factor = covariance.copy(), np.zeros_like(covariance)
    least = _LEAST_PIVOT * left.diagonal().max()
    for place in range(len(left)):
        pivot = left[place, place]
        if pivot > least:
            column = left[place:, place] / np.sqrt(pivot)
            factor[place:, place] = column
            left[place:, place:] -= column[:, None] * column
    return factor


@cache
def _draws(voters: int) -> Floats:
    """Returns (voters, draws) standard normal numbers."""
    half = np.random.default_rng(0).standard_normal((voters, _DRAWS // 2))
    draws: Floats = np.concatenate([half, -half], axis=1)
    draws.setflags(write=False)
    return draws
