"""Scores of answers as the RouterDC paper defines them (Chen et al. 2024, section 3.1).

An open-ended question is asked several times, and its score is the share of
right answers. A multiple-choice question is asked once, and its score is how
sure the model was of the option that it chose, if that was right::

    s = sum_m [answer m is right] / M                      open-ended
    s = p(chosen) / sum_a p(a) if chosen is right else 0   multiple choice
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError


def mean_correctness(correct: ArrayLike) -> NDArray[np.float64]:
    """Scores open-ended questions, of which every one was answered M times.

    Args:
        correct: (..., M), whether each answer is right: booleans, or degrees in [0, 1].

    Returns:
        (...) float64 in [0, 1], the mean over the M answers.

    Raises:
        InvalidArrayError: There is no answer, or a number outside [0, 1].
    """
    degrees = np.asarray(correct, np.float64)
    if degrees.ndim == 0 or degrees.shape[-1] == 0:
        raise InvalidArrayError("correct has no answers; give at least one.", field="correct")
    if not ((degrees >= 0) & (degrees <= 1)).all():
        raise InvalidArrayError("correct must be from 0 to 1 throughout.", field="correct")
    means: NDArray[np.float64] = degrees.mean(axis=-1)
    return means


def option_probability_score(
    options: ArrayLike, right: ArrayLike, *, logarithmic: bool = True
) -> NDArray[np.float64]:
    """Scores multiple-choice questions by the probability of each of A options.

    The model chooses the most probable option, the first of equals. Only the
    ratios of the probabilities matter: they are divided by their sum.

    Args:
        options: (..., A) natural logarithms of the options' probabilities, where
            minus infinity means 0; or the probabilities, 0 or more.
        right: (...) integers from 0 to A - 1, the option that is right.
        logarithmic: Whether `options` are logarithms.

    Returns:
        (...) float64: the chosen option's share of the probability where it is
        the right one, else 0.

    Raises:
        InvalidArrayError: The shapes do not fit, an index is not of an option, or
            the options of a question have no probability at all.
    """
    values, index = np.asarray(options, np.float64), np.asarray(right)
    _require_options(values, index)
    shares = _shares(values if logarithmic else _logarithms(values))
    chosen = shares.argmax(axis=-1)
    probability = np.take_along_axis(shares, chosen[..., None], axis=-1)[..., 0]
    score: NDArray[np.float64] = np.where(chosen == index, probability, 0.0)
    return score


def _require_options(values: NDArray[np.float64], right: NDArray[Any]) -> None:
    if values.ndim == 0 or values.shape[-1] == 0 or values.shape[:-1] != right.shape:
        raise InvalidArrayError(
            f"options of shape {values.shape} do not fit right of shape {right.shape}; "
            "options have one axis more.",
            field="options",
        )
    whole = np.issubdtype(right.dtype, np.integer)
    if not (whole and np.isin(right, np.arange(values.shape[-1])).all()):
        raise InvalidArrayError("right must be the index of an option.", field="right")


def _logarithms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    if not (probabilities >= 0).all():
        raise InvalidArrayError("options must be 0 or more as probabilities.", field="options")
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def _shares(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    most = logarithms.max(axis=-1, keepdims=True)
    if not np.isfinite(most).all():
        raise InvalidArrayError(
            "options must have a finite probability above 0 in every question.", field="options"
        )
    weights = np.exp(logarithms - most)
    shares: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return shares
