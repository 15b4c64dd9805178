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
        `chosen`, and what `reference_ways` returns.
    """
    return {"chosen": Chosen.of("chosen", rows, choices), **reference_ways(rows, model_means)}


def reference_ways(rows: TaskRows, model_means: Floats) -> dict[str, Chosen]:
    """Returns what any choices are compared with, by what each of them is.

    Args:
        rows: n rows.
        model_means: (T, K) as of `reference_means`.

    Returns:
        `best single` and `best per task` by the means that are given; `best task in hindsight`
        by those of the rows themselves; `random`, `voting` and `oracle`; `cheapest` where costs
        are known; and `model 0` to `model K-1`, which are each model alone.
    """
    alone = {
        f"model {index}": Chosen.of(name, rows, np.full(len(rows.outcomes), index))
        for index, name in enumerate(rows.models)
    }
    hindsight = rows.spread(_best(rows.task_means(rows.outcomes)))
    ways = {
        "best single": alone[f"model {best_single(model_means)}"],
        "best per task": Chosen.of("best model per task", rows, rows.spread(_best(model_means))),
        "best task in hindsight": Chosen.of("oracle per task", rows, hindsight),
        "random": Chosen("random", mean_of(rows.outcomes.T), mean_of(rows.costs.T)),
        "voting": Chosen("majority voting", majority(rows.outcomes), rows.costs.sum(axis=1)),
        "oracle": Chosen.of("oracle per prompt", rows, _oracle(rows)),
    }
    if (place := cheapest(rows)) is not None:
        ways["cheapest"] = alone[f"model {place}"]
    return {**ways, **alone}


def majority(outcomes: Floats) -> Floats:
    """Returns the (n,) outcomes of asking all models and taking what most of them say.

    Scores do not tell what was said. So this counts a prompt as right, 1, where more than
    half of the models whose outcome is known are right, which is an outcome above 0.5, and
    else as wrong, 0: wrong answers might have agreed, too, or right ones have won by fewer.

    Args:
        outcomes: (n, K) float64, NaN where unknown.

    Returns:
        (n,) float64, NaN where no outcome is known.
    """
    known = (~np.isnan(outcomes)).sum(axis=1)
    right = (np.nan_to_num(outcomes) > 0.5).sum(axis=1)
    return np.where(known > 0, (2 * right > known).astype(np.float64), np.nan)


def cheapest(rows: TaskRows) -> int | None:
    """Returns the model of the least mean cost, the first of equals, if any cost is known."""
    costs = mean_of(rows.costs)
    return None if np.isnan(costs).all() else int(np.nanargmin(costs))


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


def means_with_unseen_tasks(
    rows: TaskRows, training: ScoreTable | None, positive_tasks: Collection[str]
) -> Floats:
    """Returns `reference_means`, or for tasks that no training row is of, what stands for them.

    Nobody knows the best model of such a task beforehand: the average over the training tasks,
    with equal weight, stands for it.

    Raises:
        UnreadableDataError: No row has a score, or the training rows lack a model.
    """
    if training is None or set(rows.tasks) <= set(training.tasks):
        return reference_means(rows, training, positive_tasks)
    known = [task for task in positive_tasks if task in training.tasks]
    found = TaskRows.of(training.select(rows.models), known)
    means = found.task_means(found.outcomes)
    if np.isnan(means).all():
        raise UnreadableDataError("No training row has a score; give data that has some.")
    places = {task: place for place, task in enumerate(found.tasks)}
    overall = mean_of(means)
    return np.stack([means[places[task]] if task in places else overall for task in rows.tasks])


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
