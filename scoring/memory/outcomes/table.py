"""Sums of the qualities of every live subject, model by model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNIT = np.float64(2.0**-32)
"""Step in which qualities are summed.

Sums of whole steps are exact in int64, for two thousand million outcomes: they
do not depend on the order in which outcomes joined, and forget what leaves.
"""

Sums = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Sums of qualities, and how many qualities each holds."""


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """One model's part of the table."""

    steps: NDArray[np.int64]
    """Sum of its qualities for each subject, in steps of UNIT (slots,)."""
    counts: NDArray[np.int32]
    """How many they are (slots,)."""

    @classmethod
    def empty(cls, slots: int) -> "ModelColumn":
        """A model that nothing is known of yet."""
        return cls(np.zeros(slots, np.int64), np.zeros(slots, np.int32))

    def grown(self, slots: int) -> "ModelColumn":
        """The same with room for more subjects."""
        more = (0, slots - len(self.steps))
        return ModelColumn(np.pad(self.steps, more), np.pad(self.counts, more))


class OutcomeTable:
    """One row of sums per slot, as one block per model, and the sums over all rows.

    A new model adds a block and copies nothing. The tuple of blocks is replaced,
    never changed, so that a reader that holds the old one stays consistent.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._slots = 0
        self._columns: tuple[ModelColumn, ...] = ()
        self._steps = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def reserve(self, slots: int) -> None:
        """Makes room for `slots` subjects, by doubling up to the capacity."""
        if slots > self._slots:
            self._slots = min(self._capacity, max(slots, 2 * self._slots, 64))
            self._columns = tuple(column.grown(self._slots) for column in self._columns)

    def widen(self, models: int) -> None:
        """Makes room for so many models."""
        missing = models - len(self._columns)
        more = tuple(ModelColumn.empty(self._slots) for _ in range(missing))
        self._columns = (*self._columns, *more)
        self._steps = np.pad(self._steps, (0, missing))
        self._counts = np.pad(self._counts, (0, missing))

    def add(
        self, slots: NDArray[np.int64], columns: NDArray[np.int64], qualities: NDArray[np.float64]
    ) -> None:
        """Adds outcomes (n,): where their subjects lie, their models, how good they were."""
        steps = np.rint(qualities / UNIT).astype(np.int64)
        for column in np.unique(columns).tolist():
            of_it = columns == column
            np.add.at(self._columns[column].steps, slots[of_it], steps[of_it])
            np.add.at(self._columns[column].counts, slots[of_it], 1)
            self._steps[column] += steps[of_it].sum()
            self._counts[column] += of_it.sum()

    def clear(self, slot: int) -> None:
        """Empties the slot of a subject."""
        for place, column in enumerate(self._columns):
            self._steps[place] -= column.steps[slot]
            self._counts[place] -= column.counts[slot]
            column.steps[slot] = column.counts[slot] = 0

    def rows(self, slots: NDArray[np.int64]) -> Sums:
        """Whole rows of some subjects: (n, V), (n, V)."""
        steps, counts = (np.empty((len(slots), len(self._columns)), np.int64) for _ in range(2))
        for place, column in enumerate(self._columns):
            steps[:, place] = column.steps[slots]
            counts[:, place] = column.counts[slots]
        return steps * UNIT, counts

    def totals(self) -> Sums:
        """Copies of the sums over every row: (V,), (V,)."""
        return self._steps * UNIT, self._counts.copy()
