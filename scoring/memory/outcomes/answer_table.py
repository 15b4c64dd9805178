"""How the answers to every live subject lay, voter by voter."""

import numpy as np
from numpy.typing import NDArray

from scoring.features import FEATURES, mean_distances
from scoring.memory.agreement import Columns

WIDTH = 1 + len(FEATURES)
"""Numbers that are kept of a voter's answers: their mean distance to those of the others, then
`scoring.features.FEATURES`."""


class AnswerTable:
    """One row of numbers per slot, as one block (slots, WIDTH) per voter; NaN where unknown.

    A new voter adds a block and copies nothing. The tuple of blocks is replaced,
    never changed, so that a reader that holds the old one stays consistent.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._slots = 0
        self._blocks: tuple[NDArray[np.float32], ...] = ()

    @property
    def voters(self) -> int:
        """How many voters there are blocks for."""
        return len(self._blocks)

    def reserve(self, slots: int) -> None:
        """Makes room for `slots` subjects, by doubling up to the capacity."""
        if slots > self._slots:
            more = min(self._capacity, max(slots, 2 * self._slots, 64))
            grow = ((0, more - self._slots), (0, 0))
            self._slots = more
            self._blocks = tuple(
                np.pad(block, grow, constant_values=np.nan) for block in self._blocks
            )

    def widen(self, voters: int) -> None:
        """Makes room for so many voters."""
        missing = range(self.voters, voters)
        more = (np.full((self._slots, WIDTH), np.nan, np.float32) for _ in missing)
        self._blocks = (*self._blocks, *more)

    def write(
        self, slots: NDArray[np.int64], columns: Columns, measured: NDArray[np.float32]
    ) -> None:
        """Fills slots (n,) with what is known (n, K, WIDTH) of the answers of K voters."""
        for place, column in enumerate(columns):
            self._blocks[column][slots] = measured[:, place]

    def clear(self, slot: int) -> None:
        """Empties the slot of a subject."""
        for block in self._blocks:
            block[slot] = np.nan

    def rows(self, slots: NDArray[np.int64], voters: int) -> NDArray[np.float32]:
        """What is known (n, voters, WIDTH) of some subjects, of the first voters.

        There may be fewer blocks than these, or more.
        """
        found = np.full((len(slots), voters, WIDTH), np.nan, np.float32)
        for column, block in enumerate(self._blocks[:voters]):
            found[:, column] = block[slots]
        return found


def measured(
    columns: Columns, pairs: NDArray[np.float32], features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What the table keeps of samples of the same K voters.

    Args:
        columns: The voters.
        pairs: (n, K(K-1)/2), in the order of `columns`.
        features: (n, K, F), likewise.

    Returns:
        (n, K, WIDTH) float32.
    """
    distances = mean_distances(pairs, len(columns))
    return np.concatenate([distances[:, :, None], features], axis=2)
