"""Slow twins of the routers in float64, written from the definitions, for comparison."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.evidence import Neighbourhood
from scoring.reference import least_squares_noise

Floats = NDArray[np.float64]


def cosine_scores(prompts: NDArray[np.floating], llm_embeddings: NDArray[np.floating]) -> Floats:
    """Returns cos(x, k_t) of every prompt (n, d) and model (K, d), 0 for a zero vector."""
    rows = [[_cosine(x, k) for k in llm_embeddings.tolist()] for x in prompts.tolist()]
    return np.array(rows, np.float64)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    products = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return products / lengths if lengths > 0 else 0.0


def neighbourhood_scores(neighbourhood: Neighbourhood) -> Floats:
    """Returns minus the least-squares noise (V,) over the neighbours, one by one."""
    rows = neighbourhood.rows.astype(np.float64)
    counts, means = [], np.full(rows.shape[1], np.nan)
    for pair, column in enumerate(rows.T):
        known = [value for value in column.tolist() if not math.isnan(value)]
        counts.append(len(known))
        if known:
            means[pair] = math.fsum(known) / len(known)
    return -least_squares_noise(means, counts, len(neighbourhood.voters))


def outcome_score(near: Sequence[float], pool: Sequence[float], pseudo_outcomes: float) -> float:
    """Returns (q + n0 mean) / (c + n0) for one model.

    Args:
        near: The model's qualities for the nearest prompts.
        pool: All its qualities in the pool.
        pseudo_outcomes: n0.
    """
    weight = len(near) + pseudo_outcomes
    if not pool or not weight:
        return math.nan
    mean = math.fsum(pool) / len(pool)
    return (math.fsum(near) + pseudo_outcomes * mean) / weight


def cross_entropy(
    scores: NDArray[np.floating], qualities: NDArray[np.floating], temperature: float
) -> float:
    """Returns the mean cross-entropy in nats that `fit_temperature` minimises; NaN over no prompt.

    Args:
        scores: (n, K), NaN where nothing is known.
        qualities: (n, K), NaN where unknown.
        temperature: Above 0.
    """
    losses = [
        _prompt_entropy(row, known, temperature)
        for row, known in zip(scores.tolist(), qualities.tolist(), strict=True)
    ]
    telling = [loss for loss in losses if loss is not None]
    return math.fsum(telling) / len(telling) if telling else math.nan


def _prompt_entropy(
    scores: Sequence[float], qualities: Sequence[float], temperature: float
) -> float | None:
    part = [
        (score / temperature, quality)
        for score, quality in zip(scores, qualities, strict=True)
        if not (math.isnan(score) or math.isnan(quality))
    ]
    if len({quality for _, quality in part}) < 2:
        return None
    top = max(scaled for scaled, _ in part)
    partition = top + math.log(math.fsum(math.exp(scaled - top) for scaled, _ in part))
    greatest = max(quality for _, quality in part)
    best = [scaled for scaled, quality in part if quality == greatest]
    return partition - math.fsum(best) / len(best)
