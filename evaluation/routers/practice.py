"""Policies that are learned from training rows, for each router its own."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from evaluation.errors import UnreadableDataError
from evaluation.routers.contenders import Contender
from evaluation.scores.table import ScoreTable
from evaluation.ways import Floats, TaskRows, mean_of
from scoring.policies import Policy, fit_nearest


@dataclass(frozen=True, slots=True, eq=False)
class Practice:
    """Training rows, as policies learn from them.

    Attributes:
        models: Names of the K models, in the order of the table that is measured on.
        outcomes: (m, K) float64 of choosing each.
        averages: (K,) float64 of each model alone, over the tasks.
    """

    models: tuple[str, ...]
    outcomes: Floats
    averages: Floats

    @classmethod
    def of(
        cls, training: ScoreTable, models: tuple[str, ...], positive_tasks: Collection[str]
    ) -> "Practice":
        """Takes a table's columns of some models.

        Raises:
            UnreadableDataError: A model has no scores there.
        """
        known = [task for task in positive_tasks if task in training.tasks]
        rows = TaskRows.of(training.select(models), known)
        return cls(models, rows.outcomes, mean_of(rows.task_means(rows.outcomes)))


def learned_prediction(
    practice: Practice, contender: Contender, *, in_order: bool
) -> Callable[[int], Policy]:
    """Learns SelectLLM's prediction of the confidence to aim at; see `docs/policies.md`.

    Args:
        practice: The training rows.
        contender: A router with its scores of them.
        in_order: Whether the models are taken by their average, the best first (sorted
            prediction), and not as they come.

    Raises:
        UnreadableDataError: The router has no scores of the training rows.
        ScoringError: It does not know every model.
    """
    if contender.practice is None:
        raise UnreadableDataError(
            f"{contender.name} has no scores of training rows, from which the policy is learned."
        )
    order = np.argsort(-practice.averages, kind="stable")
    preference = [practice.models[place] for place in order] if in_order else []
    rule = fit_nearest(
        practice.models, contender.practice, practice.outcomes, preference=preference
    )
    return lambda _: Policy(rule)
