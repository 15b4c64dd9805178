"""Where in the tables of a pool each live sample lies, and since when it lives."""

import numpy as np
from numpy.typing import NDArray


class SlotMap:
    """Gives every live sample a row, and rows of forgotten samples to new ones.

    Samples are numbered in order of arrival (`seq`). A pool keeps the latest
    `capacity` numbers, less those that expired, so the arrays here are rings
    indexed by `seq % capacity`. They start as zero pages, which cost nothing
    until they are written.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._slot = np.zeros(capacity, np.int32)  # 1 + slot; 0 where nothing lives
        self._learned_at = np.zeros(capacity, np.float64)
        self._free: list[int] = []
        self._used = 0
        self._latest = -1
        self.live = 0

    @property
    def rows(self) -> int:
        """Rows that the tables must have."""
        return self._used

    def peek(self) -> int:
        """The slot that the next sample gets."""
        return self._free[-1] if self._free else self._used

    def add(self, seq: int, learned_at: float) -> int:
        """Gives the sample a slot. The number `seq - capacity` must be gone."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = self._used
            self._used += 1
        place = seq % self._capacity
        self._slot[place] = slot + 1
        self._learned_at[place] = learned_at
        self._latest = max(self._latest, seq)
        self.live += 1
        return slot

    def remove(self, seq: int) -> None:
        """Frees the slot of a live sample."""
        place = seq % self._capacity
        self._free.append(int(self._slot[place]) - 1)
        self._slot[place] = 0
        self.live -= 1

    def slot(self, seq: int) -> int | None:
        """The slot of a sample, or nothing if it is not live."""
        if seq < 0 or not self._latest - self._capacity < seq <= self._latest:
            return None
        slot = int(self._slot[seq % self._capacity])
        return slot - 1 if slot else None

    def slots(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of live samples (n,)."""
        return self._slot[seqs % self._capacity].astype(np.int64) - 1

    def learned_before(self, time: float) -> list[int]:
        """Live samples learned before `time` (unix seconds), oldest number first."""
        places = np.flatnonzero((self._slot > 0) & (self._learned_at < time))
        behind = (self._latest - places) % self._capacity
        return sorted((self._latest - behind).tolist())

    def times(self) -> tuple[float, float] | None:
        """When the oldest and the newest live sample were learned."""
        learned_at = self._learned_at[self._slot > 0]
        if not learned_at.size:
            return None
        return float(learned_at.min()), float(learned_at.max())
