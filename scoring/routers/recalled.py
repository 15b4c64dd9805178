"""Scores that rest on what was recalled, prompt by prompt."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.routers.values import RouterFallback, RouterScores


class PromptScores(NamedTuple):
    """The scores of one prompt.

    Attributes:
        models: Names of the K models.
        scores: (K,) float64, NaN where nothing is known.
        neighbours: Samples that they rest on.
        fallback: Why the router did otherwise, absent where it didn't.
    """

    models: tuple[str, ...]
    scores: NDArray[np.float64]
    neighbours: int
    fallback: RouterFallback | None = None


def together(prompts: Sequence[PromptScores], recall_seconds: float) -> RouterScores:
    """Puts the scores of n prompts into one table.

    A prompt for which the whole pool was taken may have other models: they are matched by name.

    Args:
        prompts: The scores of each.
        recall_seconds: That finding what they rest on took.
    """
    models = tuple(dict.fromkeys(model for prompt in prompts for model in prompt.models))
    place = {model: column for column, model in enumerate(models)}
    scores = np.full((len(prompts), len(models)), np.nan)
    for row, prompt in zip(scores, prompts, strict=True):
        row[[place[model] for model in prompt.models]] = prompt.scores
    return RouterScores(
        models=models,
        scores=scores,
        neighbours_used=np.array([prompt.neighbours for prompt in prompts], np.int64),
        voters_used=np.count_nonzero(~np.isnan(scores), axis=1).astype(np.int64),
        fallback=tuple(prompt.fallback for prompt in prompts),
        recall_seconds=recall_seconds,
    )
