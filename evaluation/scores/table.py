"""A table of scores: prompts down, models across."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UnreadableDataError


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """n prompts and how well each of K models did on them.

    Attributes:
        prompts: The n prompts; one may occur several times.
        tasks: What each is an example of.
        models: Names of the K models, in order of first appearance.
        scores: (n, K) float64 in [0, 1], NaN where it is missing.
        costs: (n, K) float64, 0 or more, in the data's own unit, NaN where it is
            missing; None where no cost is known at all.
        fingerprint: 64 hex digits of a SHA-256 over all of that; the same
            content in another file format has the same.
    """

    prompts: tuple[str, ...]
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    scores: NDArray[np.float64]
    costs: NDArray[np.float64] | None
    fingerprint: str

    @classmethod
    def of(
        cls,
        prompts: Sequence[str],
        tasks: Sequence[str],
        models: Sequence[str],
        scores: NDArray[np.float64],
        costs: NDArray[np.float64] | None = None,
    ) -> Self:
        """Makes a table of its parts, as they are described above."""
        texts = (tuple(prompts), tuple(tasks), tuple(models))
        return cls(*texts, scores, costs, _fingerprint(texts, scores, costs))

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, models: Sequence[str]) -> "ScoreTable":
        """Returns the columns of some models, in the order given.

        Raises:
            UnreadableDataError: A model has no scores here.
        """
        columns = [self._column(model) for model in models]
        costs = None if self.costs is None else self.costs[:, columns]
        return ScoreTable.of(self.prompts, self.tasks, models, self.scores[:, columns], costs)

    def rows(self, indexes: Sequence[int] | NDArray[np.int64]) -> "ScoreTable":
        """Returns some rows, in the order given."""
        chosen = np.asarray(indexes, np.int64)
        return ScoreTable.of(
            [self.prompts[row] for row in chosen],
            [self.tasks[row] for row in chosen],
            self.models,
            self.scores[chosen],
            None if self.costs is None else self.costs[chosen],
        )

    def mean_costs(self) -> NDArray[np.float64]:
        """Returns the (K,) mean cost of a call over the rows that have one, NaN where none has."""
        if self.costs is None:
            return np.full(len(self.models), np.nan)
        known = ~np.isnan(self.costs)
        counts = known.sum(axis=0)
        means = np.full(len(self.models), np.nan)
        np.divide(np.where(known, self.costs, 0).sum(axis=0), counts, out=means, where=counts > 0)
        return means

    def _column(self, model: str) -> int:
        if model not in self.models:
            known = ", ".join(self.models) or "none"
            raise UnreadableDataError(f"No score is of {model}; the models are {known}.")
        return self.models.index(model)


def _fingerprint(
    texts: tuple[tuple[str, ...], ...],
    scores: NDArray[np.float64],
    costs: NDArray[np.float64] | None,
) -> str:
    sha = hashlib.sha256(json.dumps(texts).encode())
    for numbers in (scores, costs):
        if numbers is not None:
            # A NaN has many bit patterns and means one thing.
            sha.update(np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes())
    return sha.hexdigest()
