"""What a router's scores would allow, were the last choice among its favourites perfect.

SelectLLM's upper bound of a classifier: the best outcome among the models that it is
confident of. It parts what the scores miss from what the policy makes of them.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.routers.contenders import Contender
from evaluation.routers.reliability import expects_quality
from evaluation.ways import Floats, TaskRows, mean_of


@dataclass(frozen=True, slots=True)
class UpperBounds:
    """Averages over the tasks with equal weight.

    Attributes:
        top: With m from 1: the best outcome among the m best scores.
        confident: The best outcome among the models whose score is the threshold or more,
            or of the best score where none is; NaN where scores are no expected qualities.
        confident_models: How many those are on average; NaN likewise.
        threshold: The score that counts as confident.
    """

    top: tuple[float, ...]
    confident: float
    confident_models: float
    threshold: float


def upper_bounds(
    rows: TaskRows, contender: Contender, *, threshold: float = 0.5, most: int = 3
) -> UpperBounds:
    """Measures the bounds of a router.

    Args:
        rows: n rows.
        contender: A router and its scores of the n rows.
        threshold: The score that counts as confident, where scores are expected qualities.
        most: The greatest m.
    """
    filled = np.where(np.isnan(contender.scores), -np.inf, contender.scores)
    order = np.argsort(-filled, axis=1, kind="stable")
    ordered = np.take_along_axis(rows.outcomes, order, axis=1)
    known = np.take_along_axis(np.isfinite(filled), order, axis=1)
    ordered = np.where(known, ordered, np.nan)
    top = [_average(rows, _best(ordered[:, :each])) for each in range(1, most + 1)]
    if not expects_quality(contender):
        return UpperBounds(tuple(top), np.nan, np.nan, threshold)
    confident = np.take_along_axis(filled, order, axis=1) >= threshold
    number = confident.sum(axis=1)
    confident[:, 0] = True
    best = _best(np.where(confident, ordered, np.nan))
    return UpperBounds(tuple(top), _average(rows, best), float(number.mean()), threshold)


def _best(outcomes: Floats) -> Floats:
    """Returns the (n,) greatest known, NaN where none is."""
    best = np.where(np.isnan(outcomes), -np.inf, outcomes).max(axis=1)
    return np.where(np.isfinite(best), best, np.nan)


def _average(rows: TaskRows, outcomes: Floats) -> float:
    return float(mean_of(rows.task_means(outcomes)))
