"""Where in the tables of a pool each live sample lies, what it is called, how old it is."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.recall import find_slots
from scoring.memory.neighbours import Near


def hashed(sample_id: str) -> np.uint64:
    """Stands for a name in eight bytes, never 0.

    Two names among ten million share one with a chance of 3e-6.
    """
    digest = blake2b(sample_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little") or 1)


class Placed(NamedTuple):
    """Where the samples nearest to n prompts lie, of one prompt after the other.

    Attributes:
        slots: Shape (s,), int64, nearest first.
        squared: Shape (s,), float32, their squared distances.
        ends: Where those of each of the n prompts end.
    """

    slots: NDArray[np.int64]
    squared: NDArray[np.float32]
    ends: list[int]


class SlotMap:
    """Gives every live sample a row, and rows of forgotten samples to new ones.

    Samples are numbered in order of arrival (`seq`). A pool keeps the latest
    `capacity` numbers, less those that expired, so one array is a ring indexed
    by `seq % capacity`; the others are indexed by slot. They start as zero
    pages, which cost nothing until they are written.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._slot = np.zeros(capacity, np.int32)  # 1 + slot; 0 where nothing lives
        self._seq = np.zeros(capacity, np.int64)
        self._learned_at = np.zeros(capacity, np.float64)  # NaN where a sample is gone
        self._names = np.zeros(capacity, np.uint64)  # 0 where a sample is gone
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

    def add(self, seq: int, learned_at: float, sample_id: str) -> int:
        """Gives the sample a slot. The number `seq - capacity` must be gone."""
        slot = self.peek()
        if self._free:
            self._free.pop()
        else:
            self._used += 1
        self._slot[seq % self._capacity] = slot + 1
        self._seq[slot] = seq
        self._learned_at[slot] = learned_at
        self._names[slot] = hashed(sample_id)
        self._latest = max(self._latest, seq)
        self.live += 1
        return slot

    def renew(self, slot: int, learned_at: float) -> None:
        """Makes a live sample younger, or leaves it as it is."""
        self._learned_at[slot] = max(self._learned_at[slot], learned_at)

    def remove(self, seq: int) -> None:
        """Frees the slot of a live sample."""
        place = seq % self._capacity
        slot = int(self._slot[place]) - 1
        self._free.append(slot)
        self._slot[place] = 0
        self._learned_at[slot] = np.nan
        self._names[slot] = 0
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

    def live_seqs(self) -> NDArray[np.int64]:
        """The numbers of all live samples, ascending; looks at all of them."""
        return np.sort(self._seq[: self._used][~np.isnan(self._learned_at[: self._used])])

    def live_slots(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slots of those among some samples (n,) that are live still."""
        slots = self.slots(seqs)
        live: NDArray[np.int64] = slots[(slots >= 0) & (self._seq[slots] == seqs)]
        return live

    def named(self, sample_id: str) -> int | None:
        """The slot of the live sample of this name, found by looking at all of them."""
        slots = np.flatnonzero(self._names[: self._used] == hashed(sample_id))
        return int(slots[0]) if slots.size else None

    def nearest(
        self, prompts: NDArray[np.float32], near: Near, k: int, without: Sequence[str]
    ) -> Placed:
        """The slots of the live samples nearest to each of some prompts.

        Args:
            prompts: (n, d).
            near: Where the k + 1 nearest to each are.
            k: Most of them.
            without: Name of a sample that is left out of each, n of them; empty for none.
        """
        names = np.zeros(len(prompts), np.uint64)
        for place, name in enumerate(without):
            if name:
                names[place] = hashed(name)
        slots, squared = (
            np.empty(len(prompts) * k, np.int64),
            np.empty(len(prompts) * k, np.float32),
        )
        ends = np.empty(len(prompts), np.int64)
        find_slots(
            prompts, near.seqs, near.squared, *near.recent, *near.elders,
            self._slot, self._names, names, slots, squared, ends,
        )  # fmt: skip
        end = ends[-1]
        return Placed(slots[:end], squared[:end], ends.tolist())

    def learned_before(self, time: float) -> list[int]:
        """Live samples learned before `time` (unix seconds), oldest number first."""
        slots = np.flatnonzero(self._learned_at[: self._used] < time)
        return sorted(self._seq[slots].tolist())

    def times(self) -> tuple[float, float] | None:
        """When the oldest and the newest live sample were learned; looks at all of them."""
        if not self.live:
            return None
        learned_at = self._learned_at[: self._used]
        return float(np.fmin.reduce(learned_at)), float(np.fmax.reduce(learned_at))
