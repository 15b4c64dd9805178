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


Rows = Sequence[Sequence[float]]


def feature_rows(vectors: Rows, centre: Sequence[float]) -> list[list[float]]:
    """Returns (x - c) / |x - c| of every vector, zero where x is c."""
    rows = [[a - b for a, b in zip(vector, centre, strict=True)] for vector in vectors]
    lengths = [math.hypot(*row) for row in rows]
    return [
        [value / length if length > 0 else 0.0 for value in row]
        for row, length in zip(rows, lengths, strict=True)
    ]


def neighbour_weights(
    prompt: Sequence[float], others: Rows, k: int, weighting: str, bandwidth: float
) -> dict[int, float]:
    """Returns the weight of each of the k nearest, by their place; among equals the earlier.

    Args:
        prompt: Features (d,).
        others: Features of the training prompts (n, d).
        k: Most neighbours.
        weighting: "uniform", "kernel", "adaptive" or "similarity".
        bandwidth: h.
    """
    squared = [math.dist(prompt, other) ** 2 for other in others]
    nearest = sorted(range(len(others)), key=lambda place: (squared[place], place))[:k]
    width = {"kernel": 1.0, "adaptive": max(squared[nearest[-1]], 1e-6)}.get(weighting, 1.0)
    return {
        place: {
            "uniform": 1.0,
            "similarity": max(0.0, 1.0 - squared[place] / 2),
        }.get(weighting, math.exp(-squared[place] / (bandwidth * width)))
        for place in nearest
    }


def shrunk_mean(
    values: Sequence[float], weights: Sequence[float], prior: float, pseudo_count: float
) -> float:
    """Returns (sum w q + n0 prior) / (sum w + n0) over values that aren't NaN."""
    known = [
        (weight, value)
        for weight, value in zip(weights, values, strict=True)
        if not math.isnan(value)
    ]
    total = math.fsum(weight for weight, _ in known) + pseudo_count
    if total == 0:
        return prior
    return (math.fsum(weight * value for weight, value in known) + pseudo_count * prior) / total


def mixture(
    features: Sequence[float], weights: Rows, biases: Sequence[float], means: Rows
) -> list[float]:
    """Returns sum_t p_t mean_tm, p = softmax(W phi + b), for each model."""
    logits = [
        math.fsum(a * b for a, b in zip(row, features, strict=True)) + bias
        for row, bias in zip(weights, biases, strict=True)
    ]
    powers = [math.exp(logit - max(logits)) for logit in logits]
    total = math.fsum(powers)
    return [
        math.fsum(power / total * mean for power, mean in zip(powers, column, strict=True))
        for column in zip(*means, strict=True)
    ]


def network_score(
    features: Sequence[float],
    hidden: Rows,
    hidden_biases: Sequence[float],
    weights: Sequence[float],
    bias: float,
) -> float:
    """Returns sigmoid(v . max(0, W phi + a) + b) for one model."""
    units = [
        max(0.0, math.fsum(a * b for a, b in zip(row, features, strict=True)) + own)
        for row, own in zip(hidden, hidden_biases, strict=True)
    ]
    return logistic_score(units, weights, bias)


def logistic_score(features: Sequence[float], weights: Sequence[float], bias: float) -> float:
    """Returns sigmoid(w . phi + b)."""
    logit = math.fsum(a * b for a, b in zip(weights, features, strict=True)) + bias
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0


def cluster_scores(
    features: Sequence[float], centroids: Rows, means: Rows, nearest: int, temperature: float
) -> list[float]:
    """Returns the means of the nearest clusters by cosine, weighed by softmax(cos / T)."""
    cosines = [_cosine(features, centroid) for centroid in centroids]
    kept = sorted(range(len(cosines)), key=lambda place: (-cosines[place], place))[:nearest]
    powers = [math.exp((cosines[place] - cosines[kept[0]]) / temperature) for place in kept]
    total = math.fsum(powers)
    return [
        math.fsum(power / total * column[place] for power, place in zip(powers, kept, strict=True))
        for column in zip(*means, strict=True)
    ]
