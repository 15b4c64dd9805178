"""The linear model of `NearestConfidence`, learned from scores and what the models were worth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.policies.rules import place_of
from scoring.policies.values import NearestConfidence

NO_MODEL_RIGHT = 0.5
"""The confidence to aim at where no model is right, as in the authors' code."""


def fit_nearest(
    models: Sequence[str],
    scores: ArrayLike,
    qualities: ArrayLike,
    *,
    preference: Sequence[str] = (),
    right: float = 0.5,
) -> NearestConfidence:
    """Learns SelectLLM's Prediction, or with a preference its Sorted Prediction.

    For each prompt the confidence to aim at is the score of the first model that was right,
    in the order of preference; least squares predict it from the scores of all models.
    Scores should be of prompts that the router was not trained on.

    Args:
        models: K distinct names.
        scores: (n, K) float64, n at least 1; prompts where a model has none are left out.
        qualities: (n, K) float64, in the same order; NaN counts as wrong.
        preference: All K names, most preferred first; the order of the models if empty.
        right: An answer of this quality or better is right.

    Returns:
        A rule; of several that fit equally well the one of the smallest weights.

    Raises:
        InvalidArrayError: The arrays have other shapes, no prompt has all scores, or the
            preference leaves a model out.
        UnknownModelError: A preferred model isn't among the models.
    """
    table, worth = _checked(models, scores, qualities)
    order = _order(models, preference)
    aims = _aims(table[:, order], worth[:, order] >= right)
    design = np.column_stack([table, np.ones(len(table))])
    solution = np.linalg.lstsq(design, aims, rcond=None)[0]
    weights = tuple(zip(models, solution[:-1].tolist(), strict=True))
    return NearestConfidence(weights, float(solution[-1]))


def _aims(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of the first right model of each row, (n,)."""
    first = right.argmax(axis=1)
    return np.where(right.any(axis=1), scores[np.arange(len(scores)), first], NO_MODEL_RIGHT)


def _order(models: Sequence[str], preference: Sequence[str]) -> list[int]:
    if preference and len(set(preference)) != len(models):
        raise InvalidArrayError("preference must name every model once.", field="preference")
    return [place_of(models, name, field="preference") for name in preference or models]


def _checked(
    models: Sequence[str], scores: ArrayLike, qualities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table, worth = np.asarray(scores, np.float64), np.asarray(qualities, np.float64)
    for field, array in (("scores", table), ("qualities", worth)):
        if array.ndim != 2 or array.shape != (len(table), len(models)):
            raise InvalidArrayError(
                f"{field} has shape {array.shape}; give (prompts, {len(models)}).", field=field
            )
    known = np.isfinite(table).all(axis=1)
    if not known.any():
        raise InvalidArrayError("scores has no prompt with a score of every model.", field="scores")
    return table[known], worth[known]
