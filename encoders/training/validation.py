"""How good the choices of a router are on rows whose scores are known."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.training.data import TrainingData


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What the chosen models gain."""

    tasks: dict[str, float]
    """Mean gain over the rows of each task; NaN where none is known."""
    average: float
    """Mean over the tasks that have one."""


def gains(data: TrainingData, positive_tasks: Collection[str]) -> NDArray[np.float64]:
    """What choosing each model for each row counts, (n, K); NaN without a score.

    A task of `positive_tasks` counts a score above 0 as 1 and else 0, as the RouterDC
    paper does for multiple choice; other tasks count the score.
    """
    positive = np.array([task in positive_tasks for task in data.tasks])[:, None]
    known = ~np.isnan(data.scores)
    won = np.where(known, data.scores > 0, np.nan)
    return np.where(positive, won, data.scores)


def accuracy(
    cosines: NDArray[np.floating], data: TrainingData, positive_tasks: Collection[str]
) -> Accuracy:
    """Judges the model with the highest cosine, among those with a score for the row."""
    known = ~np.isnan(data.scores)
    chosen = np.where(known, cosines, -np.inf).argmax(axis=1)
    won = gains(data, positive_tasks)[np.arange(len(chosen)), chosen]
    return _over_tasks(won, data)


def best_single_model(data: TrainingData, positive_tasks: Collection[str]) -> tuple[str, Accuracy]:
    """The model that is best where it alone is used, and what it gains.

    A model without a score in some task is left out, lest it win by the tasks that it
    lacks; where that is true of all, those with the most tasks remain.
    """
    won = gains(data, positive_tasks)
    each = [_over_tasks(won[:, place], data) for place in range(len(data.models))]
    known = np.array([np.isfinite(list(one.tasks.values())).sum() for one in each])
    averages = np.array([one.average for one in each])
    best = int(np.where(known == known.max(), averages, -np.inf).argmax())
    return data.models[best], each[best]


def _over_tasks(won: NDArray[np.float64], data: TrainingData) -> Accuracy:
    names = np.array(data.tasks)
    tasks = {}
    for task in dict.fromkeys(data.tasks):
        own = won[names == task]
        own = own[~np.isnan(own)]
        tasks[task] = float(own.mean()) if own.size else float("nan")
    known = [mean for mean in tasks.values() if not np.isnan(mean)]
    return Accuracy(tasks, float(np.mean(known)) if known else float("nan"))
