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

from evaluation.bootstrap import Interval
from evaluation.errors import UnreadableDataError
from evaluation.measured import Way, measure
from evaluation.scores.table import ScoreTable
from evaluation.texts import Progress
from evaluation.ways import Choices, TaskRows, reference_means, ways_to_choose
from scoring.routers import Router, RouterScores

_CHUNK = 512


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
    measured = measure(
        ways_to_choose(rows, choices, model_means), rows, seed=seed, resamples=resamples
    )
    made = measured.ways
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
        lead=measured.difference("chosen", "best single"),
        shares=shares_of(choices, len(table.models)),
        unscored=made["chosen"].unscored,
        trained=training is not None,
    )


def shares_of(choices: Choices, models: int) -> tuple[float, ...]:
    """Returns the share of n prompts, at least one, that goes to each model."""
    return tuple((np.bincount(choices, minlength=models) / len(choices)).tolist())


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
