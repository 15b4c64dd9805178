"""What is known of an answer without labels, relative to the others of its prompt."""

import numpy as np
from numpy.typing import ArrayLike

from scoring.calibrated.values import FEATURES, Floats
from scoring.errors import InvalidArrayError
from scoring.validation import kernel_form


def relative_features(distance: ArrayLike, relevance: ArrayLike, log_length: ArrayLike) -> Floats:
    """Compares the answers of K voters to one prompt, or to each of several.

    What all answers to a prompt share says nothing of who answered better, so
    each feature is taken relative to their mean over the known ones.

    Args:
        distance: (..., K) mean squared distance of each voter's answer to those
            of the other voters; NaN where unknown.
        relevance: (..., K) cosine between answer and prompt; NaN where unknown.
        log_length: (..., K) log(1 + characters) of the answer; NaN where unknown.

    Returns:
        (..., K, 3) float64, columns as in `FEATURES`: by what share the distance
        is under the mean; relevance less its mean; and twice the square root of
        1 + characters, less its mean, over its root mean square. That is the
        difference of the log lengths where they are alike, and bounded where an
        answer is next to empty. NaN where unknown.

    Raises:
        InvalidArrayError: The shapes differ, or one holds infinity.
    """
    named = {"distance": distance, "relevance": relevance, "log_length": log_length}
    given = [_checked(values, field=field) for field, values in named.items()]
    if any(each.shape != given[0].shape for each in given):
        shapes = ", ".join(str(each.shape) for each in given)
        raise InvalidArrayError(
            f"distance, relevance and log_length have shapes {shapes}; give the same.",
            field="features",
        )
    agreement, means = _less_mean(given[0])
    shares = np.divide(-agreement, means, out=np.zeros_like(agreement), where=means > 0)
    shares[np.isnan(given[0])] = np.nan
    return np.stack([shares, _less_mean(given[1])[0], _relative_length(given[2])], axis=-1)


def _relative_length(log_length: Floats) -> Floats:
    longest = np.where(np.isnan(log_length), -np.inf, log_length).max(axis=-1, keepdims=True)
    roots = np.exp((log_length - np.where(np.isfinite(longest), longest, 0.0)) / 2)
    apart, means = _less_mean(roots)
    square = np.square(means) + _less_mean(np.square(apart))[1]
    relative: Floats = np.divide(2.0 * apart, np.sqrt(square), out=apart.copy(), where=square > 0)
    return relative


def _checked(values: ArrayLike, *, field: str) -> Floats:
    numbers = kernel_form(values, np.float64, field=field)
    if numbers.ndim == 0 or np.isinf(numbers).any():
        raise InvalidArrayError(
            f"{field} is a single number or holds infinity; give one finite number per voter.",
            field=field,
        )
    return numbers


def _less_mean(values: Floats) -> tuple[Floats, Floats]:
    """Returns values less the mean of the known ones on the last axis, and that mean."""
    known = ~np.isnan(values)
    sums = np.where(known, values, 0).sum(axis=-1, keepdims=True)
    means = sums / np.maximum(known.sum(axis=-1, keepdims=True), 1)
    return values - means, means


def known_features(features: ArrayLike, *, field: str, rows: int) -> Floats:
    """Returns (rows, 3) features, 0 (what the mean answer has) where they are unknown.

    Raises:
        InvalidArrayError: They have another shape, or hold infinity.
    """
    given = kernel_form(features, np.float64, field=field)
    if given.shape != (rows, len(FEATURES)) or np.isinf(given).any():
        raise InvalidArrayError(
            f"{field} has shape {given.shape} or holds infinity; give ({rows}, {len(FEATURES)}) "
            "finite numbers, NaN where unknown.",
            field=field,
        )
    return np.where(np.isnan(given), 0.0, given)
