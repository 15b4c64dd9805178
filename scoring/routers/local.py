"""Qualities of the models on the training prompts nearby, weighted."""

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.routers.arrays import Arrays, Shapes
from scoring.routers.features import features_of
from scoring.routers.neighbours import Neighbours
from scoring.routers.parameters import Parameters
from scoring.routers.trained import PromptScore

Floats = NDArray[np.float64]

LABELLED_KNN_SHAPES: Shapes = {
    "centre": ("d",),
    "prompts": ("n", "d"),
    "qualities": ("n", "models"),
    "means": ("models",),
}
WEIGHTINGS = ("uniform", "kernel", "adaptive", "similarity")
_WIDTHS = ("kernel", "adaptive")
_TINY = 1e-6


class Locality(NamedTuple):
    """How near prompts count.

    Attributes:
        k: Most prompts to look at.
        weighting: One of `WEIGHTINGS`.
        bandwidth: Of a kernel, as a squared distance; of an adaptive one, as a share of
            that of the farthest of the k. Of no other, where it is 1.
    """

    k: int
    weighting: str = "uniform"
    bandwidth: float = 1.0

    @classmethod
    def of(cls, method: Parameters) -> "Locality":
        """Reads k, weighting and, where it has one, its bandwidth.

        Raises:
            InvalidArrayError: One is missing or out of its range.
        """
        k = method.whole("k", least=1)
        weighting = method.choice("weighting", WEIGHTINGS)
        wide = weighting in _WIDTHS
        return cls(k, weighting, method.number("bandwidth", least=1e-6) if wide else 1.0)


def weights_of(squared: Floats, locality: Locality) -> Floats:
    """Returns the weight of each neighbour.

        uniform     1
        kernel      exp(-D / h), D the squared distance and h the bandwidth
        adaptive    exp(-D / (h D_k)), D_k that of the farthest
        similarity  max(0, cos), cos = 1 - D / 2 of features

    Args:
        squared: (..., k) squared distances of features, ascending along the last axis.
        locality: How they count.
    """
    if locality.weighting == "uniform":
        return np.ones(squared.shape)
    if locality.weighting == "similarity":
        return np.maximum(0.0, 1.0 - squared / 2.0)
    width = squared[..., -1:] if locality.weighting == "adaptive" else np.ones(1)
    # Where even the farthest lies on the prompt, rounding must not tell them apart.
    return np.asarray(np.exp(-squared / (locality.bandwidth * np.maximum(width, _TINY))))


def shrunk(sums: Floats, counts: Floats, prior: Floats, pseudo_count: float) -> Floats:
    """Returns (sum + n0 prior) / (count + n0), and the prior where that divides by 0."""
    total = counts + pseudo_count
    safe = np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, (sums + pseudo_count * prior) / safe, prior))


class Nearby(NamedTuple):
    """Weighted sums of qualities (K,), and the weights that were summed (K,)."""

    sums: Floats
    counts: Floats
    neighbours: int
    recall_seconds: float

    def said(self, scores: Floats) -> PromptScore:
        """Puts scores (K,) that rest on this into their form."""
        voters = int(np.count_nonzero(self.counts))
        return PromptScore(scores, self.neighbours, voters, self.recall_seconds)


class LocalQualities:
    """Training prompts and the qualities on them."""

    def __init__(self, arrays: Arrays, qualities: Floats, locality: Locality) -> None:
        """Takes `centre` and `prompts` of the arrays, and qualities (n, K), NaN where unknown."""
        self._neighbours = Neighbours(arrays["prompts"], arrays["centre"], locality.k)
        self._known = ~np.isnan(qualities)
        self._qualities = np.where(self._known, qualities, 0.0)
        self._locality = locality

    def near(self, features: Floats) -> Nearby:
        """Sums over the neighbours of a prompt's features (d,)."""
        began = time.perf_counter()
        rows, squared = self._neighbours.of(features)
        recall = time.perf_counter() - began
        weights = weights_of(squared, self._locality)
        return Nearby(
            weights @ self._qualities[rows], weights @ self._known[rows], len(rows), recall
        )


class LabelledKnnScorer:
    """score_m = (sum_i w_i q_im + n0 mean_m) / (sum_i w_i + n0) over the k nearest prompts i."""

    def __init__(self, arrays: Arrays, locality: Locality, pseudo_count: float) -> None:
        """Takes what was learned.

        Args:
            arrays: Of `LABELLED_KNN_SHAPES`.
            locality: How near prompts count.
            pseudo_count: n0, 0 or more.
        """
        self._centre = arrays["centre"]
        self._means = arrays["means"].astype(np.float64)
        self._local = LocalQualities(arrays, arrays["qualities"].astype(np.float64), locality)
        self._pseudo_count = pseudo_count
        self.dimension: int | None = len(self._centre)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        nearby = self._local.near(features_of(prompt, self._centre))
        return nearby.said(shrunk(nearby.sums, nearby.counts, self._means, self._pseudo_count))
