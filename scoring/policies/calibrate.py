"""The threshold at which a wanted share of prompts goes to the strong model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.policies.rules import place_of


def strong_leads(
    models: Sequence[str], scores: ArrayLike, strong: str, weak: str
) -> NDArray[np.float64]:
    """Returns by how much the strong model's score leads the weak one's, prompt by prompt.

    Args:
        models: K distinct names.
        scores: (n, K) float64, NaN where nothing is known.
        strong: Name of the dearer model.
        weak: Name of the cheaper model.

    Returns:
        (n,) float64, NaN where one of the two has no score.

    Raises:
        UnknownModelError: One of them isn't among the models.
        InvalidArrayError: The scores have another shape.
    """
    table = np.asarray(scores, np.float64)
    if table.ndim != 2 or table.shape[1] != len(models):
        raise InvalidArrayError(
            f"scores has shape {table.shape}; give (prompts, {len(models)}).", field="scores"
        )
    one, other = (
        place_of(models, name, field=field) for field, name in (("strong", strong), ("weak", weak))
    )
    return np.asarray(table[:, one] - table[:, other])


def share_at(leads: ArrayLike, threshold: float) -> float:
    """Returns the share of prompts that the `Threshold` policy would send to the strong model.

    Args:
        leads: (n,) as `strong_leads` gives them, finite, n at least 1.
        threshold: As in `Threshold`.

    Raises:
        InvalidArrayError: The leads have another shape or aren't finite.
    """
    known = _checked(leads)
    return np.count_nonzero(known >= threshold) / known.size


def threshold_for_share(leads: ArrayLike, share: float) -> float:
    """Finds the threshold that sends at most a share of prompts to the strong model.

    It is the least of the leads at which `share_at` is at most `share`. Prompts of
    equal lead go together, so where a tie stands in the way the share is the
    greatest below the wanted one, and no threshold comes nearer without going
    beyond. Every number above the next lower lead, up to the result, means the
    same. Where even the greatest lead is shared by too many, it is the number
    next above it, and the strong model is never called.

    Args:
        leads: (n,) as `strong_leads` gives them, finite, n at least 1.
        share: From 0 to 1.

    Returns:
        The threshold.

    Raises:
        InvalidArrayError: The leads have another shape or aren't finite, or the
            share is out of its range.
    """
    known = np.sort(_checked(leads))
    if not 0 <= share <= 1:
        raise InvalidArrayError("share must be a number from 0 to 1.", field="share")
    steps, first = np.unique(known, return_index=True)
    allowed = steps[(known.size - first) / known.size <= share]
    return float(allowed[0] if allowed.size else np.nextafter(known[-1], np.inf))


def _checked(leads: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(leads, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InvalidArrayError(
            f"leads has shape {array.shape}; give (prompts,), at least one.", field="leads"
        )
    if not np.isfinite(array).all():
        raise InvalidArrayError(
            "leads holds NaN or infinity; leave out prompts where a model has no score.",
            field="leads",
        )
    return array
