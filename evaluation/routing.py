"""How good the choices of a router are, on prompts whose scores are known.

The accuracy of a way to choose is the mean over the rows of a task of the chosen
model's score, and the average of that over the tasks, each with equal weight, as
the RouterDC paper has it (Chen et al. 2024, section 4). In a *positive* task a
score only says whether the answer was right: any above 0 counts as 1.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, resampled_means
from evaluation.errors import UnreadableDataError
from evaluation.scores.table import ScoreTable
from evaluation.texts import Progress
from evaluation.ways import (
    Choices,
    Chosen,
    Floats,
    TaskRows,
    mean_of,
    reference_means,
    ways_to_choose,
)
from scoring.routers import Router, RouterScores

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Way:
    """One way to choose a model for every prompt.

    Attributes:
        name: What it is; a model's name where it is always that.
        tasks: Accuracy on each of the T tasks.
        average: Over the tasks that have one, with equal weight.
        mean_cost: Of a call, over all rows whose cost is known; NaN where none is.
    """

    name: str
    tasks: tuple[Interval, ...]
    average: Interval
    mean_cost: float


@dataclass(frozen=True, slots=True)
class RoutingReport:
    """The choices for n prompts, and what else could have been chosen.

    Attributes:
        tasks: Names of the T tasks, in order of first appearance.
        rows: How many prompts each has.
        positive: Whether a score above 0 counts as 1 in it.
        chosen: The choices themselves.
        best_single: The one model with the best average.
        task_best: The best model of each task: what knowing the task alone gives.
        random: A model drawn at random, on expectation.
        oracle: The best model of each prompt, the cheapest of equals.
        models: Each of the K models alone.
        lead: Of the choices over `best_single`, with draws in common.
        shares: Of the prompts that go to each of the K models.
        unscored: Prompts for which the chosen model has no score; they are left out.
        trained: Whether `best_single` and `task_best` were found on training rows;
            else they were found on these rows themselves, which flatters them.
    """

    tasks: tuple[str, ...]
    rows: tuple[int, ...]
    positive: tuple[bool, ...]
    chosen: Way
    best_single: Way
    task_best: Way
    random: Way
    oracle: Way
    models: tuple[Way, ...]
    lead: Interval
    shares: tuple[float, ...]
    unscored: int
    trained: bool

    @property
    def baselines(self) -> tuple[Way, ...]:
        """What the choices are compared with, from the least that can be expected."""
        return (self.random, self.best_single, self.task_best, self.oracle)


def route_table(
    router: Router, vectors: NDArray[np.float32], progress: Progress | None = None
) -> RouterScores:
    """Scores every model for each of n prompts by a router that serves.

    Args:
        router: Any router.
        vectors: (n, d) float32 vectors of the prompts, n at least 1.
        progress: Called as prompts are scored.

    Raises:
        ScoringError: As `Router.score` does.
    """
    parts: list[RouterScores] = []
    for start in range(0, len(vectors), _CHUNK):
        parts.append(router.score(vectors[start : start + _CHUNK]))
        if progress:
            progress(min(start + _CHUNK, len(vectors)), len(vectors))
    return RouterScores(
        models=parts[0].models,
        scores=np.concatenate([each.scores for each in parts]),
        neighbours_used=np.concatenate([each.neighbours_used for each in parts]),
        voters_used=np.concatenate([each.voters_used for each in parts]),
        fallback=tuple(reason for each in parts for reason in each.fallback),
    )


def accuracy(
    table: ScoreTable,
    choices: Choices,
    positive_tasks: Collection[str] = (),
    *,
    training: ScoreTable | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> RoutingReport:
    """Compares choices with what else could have been chosen.

    Args:
        table: n rows, at least 1, with a score in each task.
        choices: (n,) index of a model of the table for each row.
        positive_tasks: Tasks in which a score above 0 counts as 1.
        training: Rows on which the baselines that need any are found.
        seed: Makes the intervals repeatable.
        resamples: How often the rows of each task are drawn anew.

    Raises:
        UnreadableDataError: A positive task has no rows, or the training rows lack
            a model or a task of the table.
    """
    rows = TaskRows.of(table, positive_tasks)
    model_means = reference_means(rows, training, positive_tasks)
    ways = ways_to_choose(rows, choices, model_means)
    outcomes = np.stack([each.outcomes for each in ways.values()], axis=1)
    drawn = resampled_means(outcomes, rows.strata, seed=seed, resamples=resamples)
    made = {
        name: _way(way, rows, drawn[:, :, column])
        for column, (name, way) in enumerate(ways.items())
    }
    places = list(ways)
    return RoutingReport(
        tasks=rows.tasks,
        rows=tuple(each.size for each in rows.strata),
        positive=tuple(task in positive_tasks for task in rows.tasks),
        chosen=made["chosen"],
        best_single=made["best single"],
        task_best=made["best per task"],
        random=made["random"],
        oracle=made["oracle"],
        models=tuple(made[f"model {index}"] for index in range(len(table.models))),
        lead=_lead(made, drawn, places.index("chosen"), places.index("best single")),
        shares=tuple((np.bincount(choices, minlength=len(table.models)) / len(table)).tolist()),
        unscored=int(np.isnan(ways["chosen"].outcomes).sum()),
        trained=training is not None,
    )


def _way(way: Chosen, rows: TaskRows, drawn: Floats) -> Way:
    means = rows.task_means(way.outcomes)
    return Way(
        name=way.name,
        tasks=tuple(Interval.of(float(mean), drawn[:, task]) for task, mean in enumerate(means)),
        average=Interval.of(float(mean_of(means)), mean_of(drawn.T)),
        mean_cost=float(mean_of(way.costs)),
    )


def _lead(made: dict[str, Way], drawn: Floats, chosen: int, best: int) -> Interval:
    mean = made["chosen"].average.mean - made["best single"].average.mean
    apart = mean_of(drawn[:, :, chosen].T) - mean_of(drawn[:, :, best].T)
    return Interval.of(mean, apart)


def model_indexes(table: ScoreTable, chosen: Sequence[str]) -> Choices:
    """Returns the (n,) place of each chosen model in a table.

    Raises:
        UnreadableDataError: The table has no scores of one.
    """
    places = {model: index for index, model in enumerate(table.models)}
    if absent := next((model for model in chosen if model not in places), None):
        raise UnreadableDataError(
            f"The data has no score of {absent}, which was chosen; leave it out of the candidates."
        )
    return np.array([places[model] for model in chosen], np.int64)
