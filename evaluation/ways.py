"""Ways to choose a model for each of n prompts, as what they come to on every prompt."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import ratio
from evaluation.errors import UnreadableDataError
from evaluation.scores.table import ScoreTable

Floats = NDArray[np.float64]
Choices = NDArray[np.int64]


def outcomes_of(table: ScoreTable, positive_tasks: Collection[str] = ()) -> Floats:
    """Returns the (n, K) outcomes of choosing each model: scores, or 0 and 1 in positive tasks.

    Raises:
        UnreadableDataError: A positive task has no rows.
    """
    for task in positive_tasks:
        if task not in table.tasks:
            known = ", ".join(dict.fromkeys(table.tasks))
            raise UnreadableDataError(f"No row is of the task {task}; the tasks are {known}.")
    positive = np.array([task in positive_tasks for task in table.tasks], np.bool_)
    right = np.where(np.isnan(table.scores), np.nan, table.scores > 0)
    outcomes: Floats = np.where(positive[:, None], right, table.scores)
    return outcomes


@dataclass(frozen=True, slots=True, eq=False)
class TaskRows:
    """n rows of scores, by task.

    Attributes:
        models: Names of the K models.
        tasks: Names of the T tasks, in order of first appearance.
        strata: The rows of each task.
        outcomes: (n, K) float64, as of `outcomes_of`.
        costs: (n, K) float64, NaN where unknown.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    strata: tuple[NDArray[np.int64], ...]
    outcomes: Floats
    costs: Floats

    @classmethod
    def of(cls, table: ScoreTable, positive_tasks: Collection[str]) -> "TaskRows":
        """Sorts a table by task; raises as `outcomes_of` does."""
        tasks = tuple(dict.fromkeys(table.tasks))
        names = np.array(table.tasks, object)
        strata = tuple(np.flatnonzero(names == task) for task in tasks)
        outcomes = outcomes_of(table, positive_tasks)
        costs = np.full_like(outcomes, np.nan) if table.costs is None else table.costs
        return cls(table.models, tasks, strata, outcomes, costs)

    def task_means(self, values: Floats) -> Floats:
        """Returns the (T, ...) means of (n, ...) values over what is known in each task."""
        return np.stack([mean_of(values[rows]) for rows in self.strata])

    def spread(self, by_task: Choices) -> Choices:
        """Returns the (n,) choices that give every row the choice of its task."""
        choices = np.empty(len(self.outcomes), np.int64)
        for rows, choice in zip(self.strata, by_task, strict=True):
            choices[rows] = choice
        return choices


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A way to choose, with the (n,) outcomes and costs that it comes to."""

    name: str
    outcomes: Floats
    costs: Floats

    @classmethod
    def of(cls, name: str, rows: TaskRows, choices: Choices) -> "Chosen":
        """Looks up what (n,) choices come to."""
        at = choices[:, None]
        outcomes, costs = (
            np.take_along_axis(values, at, axis=1)[:, 0] for values in (rows.outcomes, rows.costs)
        )
        return cls(name, outcomes, costs)


def ways_to_choose(rows: TaskRows, choices: Choices, model_means: Floats) -> dict[str, Chosen]:
    """Returns the choices, and what they are compared with, by what each of them is.

    Args:
        rows: n rows.
        choices: (n,) index of a model.
        model_means: (T, K) as of `reference_means`.

    Returns:
        `chosen`, `best single`, `best per task`, `random`, `oracle`, and `model 0`
        to `model K-1`, which are each model alone.
    """
    count = len(rows.outcomes)
    best = best_single(model_means)
    alone = {
        f"model {index}": Chosen.of(name, rows, np.full(count, index))
        for index, name in enumerate(rows.models)
    }
    by_task = rows.spread(_best(model_means))
    return {
        "chosen": Chosen.of("chosen", rows, choices),
        "best single": alone[f"model {best}"],
        "best per task": Chosen.of("best model per task", rows, by_task),
        "random": Chosen("random", mean_of(rows.outcomes.T), mean_of(rows.costs.T)),
        "oracle": Chosen.of("oracle per prompt", rows, _oracle(rows)),
        **alone,
    }


def best_single(model_means: Floats) -> int:
    """Returns the model with the best average over tasks; (T, K) means, NaN where none is known.

    A model that was not tried in some task is left out, lest it win by the tasks that it
    lacks; where that is true of all, those with the most tasks remain. `encoders.training`
    finds its best single model by the same rule.
    """
    known = (~np.isnan(model_means)).sum(axis=0)
    averages = mean_of(model_means)
    return int(np.where(known == known.max(), averages, -np.inf).argmax())


def reference_means(
    rows: TaskRows, training: ScoreTable | None, positive_tasks: Collection[str]
) -> Floats:
    """Returns the (T, K) mean outcome of each model on each task, by which baselines are found.

    Raises:
        UnreadableDataError: No row has a score, or the training rows lack a model or a task.
    """
    found = rows if training is None else _trained(rows, training, positive_tasks)
    if np.isnan(found.outcomes).all():
        raise UnreadableDataError("No row has a score; give data that has some.")
    return found.task_means(found.outcomes)[[found.tasks.index(task) for task in rows.tasks]]


def _trained(rows: TaskRows, training: ScoreTable, positive_tasks: Collection[str]) -> TaskRows:
    """Returns the training rows of the same tasks, with the same models."""
    if absent := [task for task in rows.tasks if task not in training.tasks]:
        raise UnreadableDataError(f"The training rows have none of the task {absent[0]}.")
    kept = [row for row, task in enumerate(training.tasks) if task in rows.tasks]
    return TaskRows.of(training.select(rows.models).rows(kept), positive_tasks)


def _oracle(rows: TaskRows) -> Choices:
    """Returns the model with the best outcome of each row, the cheapest of equals."""
    outcomes = np.where(np.isnan(rows.outcomes), -np.inf, rows.outcomes)
    prices = np.where(np.isnan(rows.costs), np.inf, rows.costs)
    best = outcomes == outcomes.max(axis=1, keepdims=True)
    # Where no cost is known all are infinite, and the first of the best is taken.
    order = np.lexsort((np.broadcast_to(np.arange(best.shape[1]), best.shape), prices, ~best))
    return np.asarray(order[:, 0], np.int64)


def _best(means: Floats) -> Choices:
    """Returns the (T,) model with the best mean, 0 where none has one."""
    return np.asarray(np.where(np.isnan(means), -np.inf, means).argmax(axis=1), np.int64)


def mean_of(values: Floats) -> Floats:
    """Averages what is known along the first axis, NaN where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
