"""Routing by how good each model was in the nearest clusters of training prompts."""

import numpy as np
from numpy.typing import NDArray

from scoring.policies.softmax import softmax
from scoring.routers.arrays import Arrays, Shapes
from scoring.routers.features import features_of
from scoring.routers.trained import PromptScore

Floats = NDArray[np.float64]

CLUSTERS_SHAPES: Shapes = {
    "centre": ("d",),
    "centroids": ("clusters", "d"),
    "means": ("clusters", "models"),
}


LEAST_TEMPERATURE = 1e-6


class ClusterScorer:
    """score_m = sum over the p nearest clusters c of w_c mean_cm, w = softmax(cos / T).

    With p = 1 it is the router by the nearest cluster (SelectLLM's and, up to the
    encoder, LoraRetriever's); with more that of Avengers-Pro (Zhang et al., "Beyond
    GPT-5: Making LLMs Cheaper and Better via Performance-Efficiency Optimized
    Routing", 2025).
    """

    def __init__(self, arrays: Arrays, *, nearest: int, temperature: float) -> None:
        """Takes what was learned.

        Args:
            arrays: Of `CLUSTERS_SHAPES`; centroids are in the space of features.
            nearest: p, 1 or more; all clusters where there are fewer.
            temperature: T, above 0.
        """
        self._centre = arrays["centre"]
        centroids = arrays["centroids"]
        self._directions = features_of(centroids, np.zeros_like(self._centre))
        self._means = arrays["means"].astype(np.float64)
        self._nearest = min(nearest, len(centroids))
        self._temperature = temperature
        self.dimension: int | None = len(self._centre)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        cosines = self._directions @ features_of(prompt, self._centre)
        return PromptScore(by_clusters(cosines, self._means, self._nearest, self._temperature))


def by_clusters(cosines: Floats, means: Floats, nearest: int, temperature: float) -> Floats:
    """Returns scores (..., K) by cosines (..., C) to clusters of means (C, K)."""
    places = np.argsort(-cosines, axis=-1, kind="stable")[..., :nearest]
    weights = softmax(np.take_along_axis(cosines, places, -1), temperature)
    return np.asarray(np.vecmat(weights, means[places]))
