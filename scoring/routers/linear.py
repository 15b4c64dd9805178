"""Classifiers over features: logistic, and with one hidden layer."""

import numpy as np
from numpy.typing import NDArray

from scoring.routers.arrays import Arrays, Shapes
from scoring.routers.features import features_of
from scoring.routers.trained import PromptScore

Floats = NDArray[np.float64]

LOGISTIC_SHAPES: Shapes = {
    "centre": ("d",),
    "weights": ("models", "d"),
    "biases": ("models",),
}
NETWORK_SHAPES: Shapes = {
    "centre": ("d",),
    "hidden_weights": ("units", "d"),
    "hidden_biases": ("units",),
    "weights": ("models", "units"),
    "biases": ("models",),
}
SEPARATE_NETWORKS_SHAPES: Shapes = {
    "centre": ("d",),
    "hidden_weights": ("models", "units", "d"),
    "hidden_biases": ("models", "units"),
    "weights": ("models", "units"),
    "biases": ("models",),
}


def sigmoid(logits: Floats) -> Floats:
    """Returns 1 / (1 + exp(-z)) of any shape, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


class LogisticScorer:
    """score = sigmoid(W phi(x) + b): a model's chance to be right."""

    def __init__(self, arrays: Arrays) -> None:
        """Takes the arrays of `LOGISTIC_SHAPES`."""
        self._centre = arrays["centre"]
        self._weights = arrays["weights"].astype(np.float64)
        self._biases = arrays["biases"].astype(np.float64)
        self.dimension: int | None = len(self._centre)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        return PromptScore(
            sigmoid(self._weights @ features_of(prompt, self._centre) + self._biases)
        )


class NetworkScorer:
    """score = sigmoid(V max(0, W phi(x) + a) + b), the hidden units shared or each model's own."""

    def __init__(self, arrays: Arrays) -> None:
        """Takes the arrays of `NETWORK_SHAPES` or `SEPARATE_NETWORKS_SHAPES`."""
        wide = {name: array.astype(np.float64) for name, array in arrays.items()}
        self._centre = arrays["centre"]
        self._weights, self._biases = wide["weights"], wide["biases"]
        self._hidden_biases = wide["hidden_biases"]
        self._hidden = wide["hidden_weights"].reshape(-1, len(self._centre))
        self.dimension: int | None = len(self._centre)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        sums = self._hidden @ features_of(prompt, self._centre)
        units = np.maximum(sums.reshape(self._hidden_biases.shape) + self._hidden_biases, 0.0)
        return PromptScore(sigmoid(np.vecdot(self._weights, units) + self._biases))
