"""Our router: what the task tells, corrected by what the neighbourhood tells."""

import numpy as np
from numpy.typing import NDArray

from scoring.policies.softmax import softmax
from scoring.routers.arrays import Arrays, Shapes
from scoring.routers.features import blocks_of_features, features_of
from scoring.routers.local import Locality, LocalQualities, shrunk
from scoring.routers.trained import PromptScore

Floats = NDArray[np.float64]

SHRINKAGE_SHAPES: Shapes = {
    "centre": ("d",),
    "prompts": ("n", "d"),
    "qualities": ("n", "models"),
    "task_weights": ("tasks", "d"),
    "task_biases": ("tasks",),
    "task_means": ("tasks", "models"),
}


class ShrinkageScorer:
    """The mean quality in the prompt's likely tasks, and how its neighbours departed from theirs.

        prior_m(x) = sum_t p(t | x) mean_tm,   p = softmax(W phi(x) + b)
        score_m(x) = prior_m(x) + sum_i w_i (q_im - prior_m(x_i)) / (sum_i w_i + n0)

    over the k nearest training prompts i: the posterior mean where departures from the
    prior have mean 0 and are worth n0 prompts. Neighbours of another task don't pull
    towards its level. Where training prompts bore no task names, clusters of them are
    the tasks.
    """

    def __init__(self, arrays: Arrays, locality: Locality, pseudo_count: float) -> None:
        """Takes what was learned.

        Args:
            arrays: Of `SHRINKAGE_SHAPES`.
            locality: How near prompts count.
            pseudo_count: n0, 0 or more.
        """
        self._centre = arrays["centre"]
        self._weights = arrays["task_weights"].astype(np.float64)
        self._biases = arrays["task_biases"].astype(np.float64)
        self._means = arrays["task_means"].astype(np.float64)
        departures = arrays["qualities"].astype(np.float64)
        for rows, features in blocks_of_features(arrays["prompts"], self._centre):
            departures[rows] -= self._prior(features)
        self._local = LocalQualities(arrays, departures, locality)
        self._pseudo_count = pseudo_count
        self.dimension: int | None = len(self._centre)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        features = features_of(prompt, self._centre)
        nearby = self._local.near(features)
        departure = shrunk(nearby.sums, nearby.counts, _NONE, self._pseudo_count)
        return nearby.said(self._prior(features) + departure)

    def _prior(self, features: Floats) -> Floats:
        """What the tasks tell (..., K) of features (..., d)."""
        return prior_of(features, self._weights, self._biases, self._means)


def prior_of(features: Floats, weights: Floats, biases: Floats, means: Floats) -> Floats:
    """Returns softmax(W phi + b) over tasks times their means: (..., K) of features (..., d)."""
    return np.asarray(softmax(features @ weights.T + biases, 1.0) @ means)


_NONE = np.zeros(1)
