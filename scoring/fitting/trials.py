"""Settings, tried on rows that were held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.fitting.fold import Fold, Study
from scoring.fitting.folds import (
    Split,
    blocked_splits,
    random_splits,
    task_splits,
    validation_split,
)
from scoring.fitting.kinds import most_neighbours, scores_of
from scoring.fitting.values import Settings, TrainingRows

Scores = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Is told how many steps are done, and of how many."""


class Regime(NamedTuple):
    """One way to deal rows, and the weight of what is found by it."""

    weight: float
    splits: list[Split]


# What share of prompts is like the training rows, like nothing near to them, and of no task
# that they have.
_RANDOM, _BLOCKED, _TASKS = 0.5, 0.4, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Rows, and how settings are tried on them.

    Attributes:
        rows: To learn from in the end.
        scored: The rows that are scored: `rows` themselves, or those for validation.
        regimes: One or more; `held_out` and `average` come from the first.
        seed: Of every draw.
    """

    rows: TrainingRows
    scored: TrainingRows
    regimes: tuple[Regime, ...]
    seed: int

    @classmethod
    def of(
        cls, rows: TrainingRows, folds: int, seed: int, validation: TrainingRows | None
    ) -> "Plan":
        """Deals the rows to folds in three ways, unless validation rows are given."""
        if validation is not None:
            return cls(rows, validation, (Regime(1.0, validation_split(rows, validation)),), seed)
        regimes = (
            Regime(_RANDOM, random_splits(rows, folds, seed)),
            Regime(_BLOCKED, blocked_splits(rows, folds, seed)),
            Regime(_TASKS, task_splits(rows, folds)),
        )
        return cls(rows, rows, tuple(each for each in regimes if each.splits), seed)

    @classmethod
    def simple(cls, rows: TrainingRows, folds: int, seed: int) -> "Plan":
        """Deals the rows at random alone."""
        return cls(rows, rows, (Regime(1.0, random_splits(rows, folds, seed)),), seed)

    @property
    def splits(self) -> int:
        """How many times each setting is learned."""
        return sum(len(regime.splits) for regime in self.regimes)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Settings of one kind, and held-out scores by each.

    Attributes:
        kind: Of the routers.
        settings: S of them.
        tables: (S, n, K) of the scored rows by each regime.
    """

    kind: str
    settings: Sequence[Settings]
    tables: tuple[Scores, ...]


class Steps:
    """Counts what is done, over several trials."""

    def __init__(self, steps: int, progress: Progress | None) -> None:
        """Takes how many there are, and who wants to know."""
        self._steps = steps
        self._progress = progress
        self._done = 0

    def tell(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._steps)


def try_settings(plan: Plan, kind: str, settings: Sequence[Settings], steps: Steps) -> Trial:
    """Scores every row by every setting, learned without it."""
    tables = (_held_out(plan, kind, settings, each.splits, steps) for each in plan.regimes)
    return Trial(kind, settings, tuple(tables))


def _held_out(
    plan: Plan, kind: str, settings: Sequence[Settings], splits: Sequence[Split], steps: Steps
) -> Scores:
    scores = np.full((len(settings), *plan.scored.qualities.shape), np.nan, np.float32)
    most = max(most_neighbours(kind, setting) for setting in settings)
    for split in splits:
        fold = Fold(Study(split.training, plan.seed), split.scored.vectors, most)
        for place, setting in enumerate(settings):
            scores[place, split.places] = scores_of(kind, fold, setting)
            steps.tell()
    return scores
