"""Baselines that don't look at the prompt, or only to draw lots."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from scoring.routers.arrays import Shapes
from scoring.routers.trained import PromptScore

CONSTANT_SHAPES: Shapes = {"scores": ("models",)}


class ConstantScorer:
    """The same scores for every prompt: the best single model, or a fixed one."""

    dimension = None

    def __init__(self, scores: NDArray[np.float32]) -> None:
        """Takes the scores (K,)."""
        self._said = PromptScore(scores.astype(np.float64))

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:  # noqa: ARG002 (is a Scorer)
        """Scores without looking."""
        return self._said


class RandomScorer:
    """Numbers that look drawn evenly from 0 to 1, and are a function of the prompt.

    The SHAKE-128 hash of the seed and the vector's bytes, 53 bits for each model: the
    same on every machine, in every batch.
    """

    dimension = None

    def __init__(self, models: int, seed: int) -> None:
        """Takes the number of models and a seed from 0 to 2^63 - 1."""
        self._models = models
        self._seed = seed.to_bytes(8, "little")

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Draws for a prompt (d,)."""
        # 0 and -0 are equal, and have different bytes.
        said = self._seed + (prompt + np.float32(0)).astype("<f4").tobytes()
        drawn = np.frombuffer(hashlib.shake_128(said).digest(8 * self._models), "<u8")
        return PromptScore((drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53)
