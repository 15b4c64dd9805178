"""The distances between voters of every live sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.recall import copy_rows
from scoring.pairs import pair_count

Columns = tuple[int, ...]
"""Voters of a sample, as columns of its pool."""


@lru_cache(maxsize=1024)
def pair_columns(columns: Columns) -> NDArray[np.int64]:
    """Where the pairs of a sample's K voters stand in a row of the pool (K(K-1)/2,)."""
    later, earlier = np.tril_indices(len(columns), -1)
    voters = np.asarray(columns, np.int64)
    low, high = (
        np.minimum(voters[earlier], voters[later]),
        np.maximum(voters[earlier], voters[later]),
    )
    targets: NDArray[np.int64] = high * (high - 1) // 2 + low
    targets.flags.writeable = False
    return targets


def in_column_order(
    columns: Columns, pairs: NDArray[np.float32]
) -> tuple[Columns, NDArray[np.float32]]:
    """Sorts the voters of samples (n, K(K-1)/2), and their pairs with them."""
    order = tuple(sorted(range(len(columns)), key=columns.__getitem__))
    return tuple(columns[i] for i in order), np.ascontiguousarray(pairs[:, pair_columns(order)])


@dataclass(frozen=True, slots=True)
class VoterBlock:
    """One voter's part of the table: its distances to the voters before it."""

    distances: NDArray[np.float32]
    """(slots, number of voters before it)."""
    present: NDArray[np.bool_]
    """Which samples it answered (slots,)."""

    @classmethod
    def empty(cls, slots: int, earlier: int) -> "VoterBlock":
        """A voter that answered nothing yet."""
        return cls(np.full((slots, earlier), np.nan, np.float32), np.zeros(slots, np.bool_))

    def grown(self, slots: int) -> "VoterBlock":
        """The same with room for more samples."""
        more = self.empty(slots, self.distances.shape[1])
        more.distances[: len(self.distances)] = self.distances
        more.present[: len(self.present)] = self.present
        return more


class AgreementTable:
    """One row of distances per slot, NaN where missing, as one block per voter.

    A new voter adds a block and copies nothing. The tuple of blocks is replaced,
    never changed, so that a reader that holds the old one stays consistent.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._slots = 0
        self._blocks: tuple[VoterBlock, ...] = ()

    def reserve(self, slots: int) -> None:
        """Makes room for `slots` samples, by doubling up to the capacity."""
        if slots > self._slots:
            self._slots = min(self._capacity, max(slots, 2 * self._slots, 64))
            self._blocks = tuple(block.grown(self._slots) for block in self._blocks)

    def widen(self, blocks: tuple[VoterBlock, ...]) -> None:
        """Takes new voters, whose blocks `blocks_for` has made."""
        self._blocks = (*self._blocks, *blocks)

    def blocks_for(self, voters: int) -> tuple[VoterBlock, ...]:
        """Blocks of the voters that are missing to have so many; changes nothing."""
        missing = range(len(self._blocks), voters)
        return tuple(VoterBlock.empty(self._slots, earlier) for earlier in missing)

    def write(self, slots: NDArray[np.int64], columns: Columns, pairs: NDArray[np.float32]) -> None:
        """Fills empty slots (n,) with rows (n, K(K-1)/2) of voters in column order."""
        for place, column in enumerate(columns):
            block = self._blocks[column]
            block.present[slots] = True
            first = pair_count(place)
            earlier = np.asarray(columns[:place], np.int64)
            block.distances[np.ix_(slots, earlier)] = pairs[:, first : first + place]

    def read(self, slot: int) -> tuple[Columns, NDArray[np.float32]]:
        """The voters of one sample in column order, and its pairs (1, K(K-1)/2)."""
        columns = tuple(j for j, block in enumerate(self._blocks) if block.present[slot])
        parts = [
            self._blocks[column].distances[slot, list(columns[:place])]
            for place, column in enumerate(columns)
        ]
        return columns, np.concatenate([np.zeros(0, np.float32), *parts])[None]

    def clear(self, slot: int, columns: Sequence[int]) -> None:
        """Empties the slot of a sample of these voters."""
        for column in columns:
            self._blocks[column].present[slot] = False
            self._blocks[column].distances[slot] = np.nan

    def rows(self, slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Whole rows (n, P) float32 of the pool, NaN where a pair is missing."""
        found = np.empty((len(slots), pair_count(len(self._blocks))), np.float32)
        for voter, block in enumerate(self._blocks[1:], 1):
            copy_rows(block.distances, slots, found, pair_count(voter))
        return found
