"""One pool in memory: what requests read while the writer adds to it."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scoring.errors import SpaceMismatchError
from scoring.evidence import Neighbourhood, Totals
from scoring.memory.agreement import AgreementTable, Columns, in_column_order
from scoring.memory.graph_log import Collection
from scoring.memory.locks import SharedLock
from scoring.memory.log import LogSample, PoolRecord
from scoring.memory.neighbours import NeighbourIndex
from scoring.memory.outcomes.ledger import Ledger
from scoring.memory.outcomes.values import JudgedSubjects
from scoring.memory.slots import SlotMap
from scoring.memory.totals import LiveTotals, Share
from scoring.memory.values import EmbeddingSpace, MemorySettings, PoolDescription


class Pool:
    """The live samples of a pool. Any thread may read; one thread changes it."""

    def __init__(self, record: PoolRecord, settings: MemorySettings) -> None:
        self.id = record.id
        self.name = record.name
        self.space = record.space
        self.next_seq = record.next_seq
        self.voters: tuple[str, ...] = ()
        self.lock = SharedLock()
        vectors = Collection(record.id, "samples", record.space.dimension)
        self.neighbours = NeighbourIndex(vectors, settings, self.lock)
        self.outcomes = Ledger(record, settings, self.lock)
        self._capacity = settings.capacity
        self._created_at = record.created_at
        self._slots = SlotMap(settings.capacity)
        self._table = AgreementTable(settings.capacity)
        self._totals = LiveTotals()
        self.widen(record.voters)

    def require_space(self, space: EmbeddingSpace) -> None:
        """Refuses vectors of another space.

        Raises:
            SpaceMismatchError: The pool has another space.
        """
        if space != self.space:
            raise SpaceMismatchError(
                f"Pool {self.name} holds vectors of {self.space.id} with {self.space.dimension} "
                f"dimensions, not of {space.id} with {space.dimension}: use the encoder that the "
                "pool began with, or another pool.",
                field="pool",
            )

    @property
    def samples(self) -> int:
        """How many samples are live."""
        return self._slots.live

    @property
    def indexes(self) -> tuple[NeighbourIndex, NeighbourIndex]:
        """Everything here that has graphs."""
        return self.neighbours, self.outcomes.neighbours

    def recall(
        self, prompts: NDArray[np.float32], k: int, without: Sequence[str]
    ) -> list[Neighbourhood]:
        """The samples nearest to each of some prompts (n, d), at most `k`.

        None that is called as `without`, of n names, says of each prompt; empty for none.
        """
        with self.lock.read():
            near = self.neighbours.search(prompts, k + 1 if k else 0)
            slots, squared, ends = self._slots.nearest(prompts, near, k, without)
            rows = self._table.rows(slots)
            return [
                Neighbourhood(self.voters, rows[begin:end], squared[begin:end])
                for begin, end in pairwise([0, *ends])
            ]

    def totals(self, without: str) -> Totals:
        """Sums over every live sample but the one that is called `without`."""
        with self.lock.read():
            totals = self._totals.current
            slot = self._slots.named(without) if without else None
            if slot is not None:
                totals = totals.without(Share.of(*self._table.read(slot)))
            return totals.snapshot(self.voters)

    def judged(self) -> JudgedSubjects:
        """Every live subject of outcomes."""
        return self.outcomes.judged(self.voters)

    def describe(self) -> PoolDescription:
        """The pool as an operator sees it."""
        with self.lock.read():
            oldest, newest = self._slots.times() or (None, None)
            return PoolDescription(
                name=self.name,
                space=self.space,
                samples=self._slots.live,
                capacity=self._capacity,
                revision=self.next_seq,
                voters=self.voters,
                created_at=self._created_at,
                oldest_at=oldest,
                newest_at=newest,
                outcomes=self.outcomes.outcomes,
            )

    def learned_before(self, time: float) -> list[int]:
        """Numbers of the live samples learned before `time` (unix seconds)."""
        return self._slots.learned_before(time)

    def holds(self, seq: int) -> bool:
        """Whether a sample is live."""
        return self._slots.slot(seq) is not None

    def widen(self, voters: Sequence[str]) -> None:
        """Adds voters."""
        known = (*self.voters, *voters)
        blocks = self._table.blocks_for(len(known))
        with self.lock.write():
            self.voters = known
            self._table.widen(blocks)
            self._totals.widen(len(known))

    def admit(self, sample: LogSample) -> None:
        """Adds the next sample, in place of the one that is `capacity` samples older."""
        if self.holds(sample.seq - self._capacity):
            self.forget(sample.seq - self._capacity)
        columns, pairs = in_column_order(sample.answers.columns, sample.answers.pairs[None])
        share = Share.of(columns, pairs)
        self._table.reserve(self._slots.peek() + 1)
        self.neighbours.make_room()
        with self.lock.write():
            slot = self._slots.add(sample.seq, sample.learned_at, sample.sample_id)
            self._table.write(np.array([slot]), columns, pairs)
            self._totals.add(sample.seq, share)
            self.neighbours.add(sample.seq, sample.prompt)
            self.next_seq = sample.seq + 1

    def admit_stored(
        self, samples: Sequence[tuple[int, str, float]], columns: Columns, pairs: bytes
    ) -> None:
        """Adds samples (seq, sample_id, learned_at) of the same voters, all but their prompts."""
        rows = np.frombuffer(pairs, "<f4").astype(np.float32).reshape(len(samples), -1)
        columns, rows = in_column_order(columns, rows)
        slots = [self._slots.add(seq, at, name) for seq, name, at in samples]
        self._table.reserve(self._slots.rows)
        self._table.write(np.array(slots), columns, rows)
        self._totals.add(samples[-1][0], Share.of(columns, rows))

    def forget(self, seq: int) -> None:
        """Takes out a live sample."""
        slot = self._slots.slot(seq)
        if slot is None:
            return
        columns, pairs = self._table.read(slot)
        share = Share.of(columns, pairs)
        with self.lock.write():
            self.neighbours.forget(seq)
            self._totals.forget(seq, share)
            self._table.clear(slot, columns)
            self._slots.remove(seq)
