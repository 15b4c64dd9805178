"""The outcomes of one pool in memory: what requests read while the writer adds to them."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scoring.memory.agreement import Columns
from scoring.memory.graph_log import Collection
from scoring.memory.locks import SharedLock
from scoring.memory.log import PoolRecord
from scoring.memory.neighbours import NeighbourIndex
from scoring.memory.outcomes.answer_table import AnswerTable, measured
from scoring.memory.outcomes.judged import LogAnswers
from scoring.memory.outcomes.log import LogOutcome
from scoring.memory.outcomes.table import OutcomeTable
from scoring.memory.outcomes.values import JudgedSubjects, OutcomeNeighbourhood, OutcomeTotals
from scoring.memory.slots import SlotMap
from scoring.memory.values import MemorySettings

_PART = 4096
"""Subjects that are read at a time, while the writer waits."""


class Ledger:
    """The live subjects of a pool and the sums of their outcomes.

    Subjects are numbered in order of their first outcome. Any thread may read;
    one thread changes it, and both take the lock of the pool.

    Attributes:
        taken: Outcomes that were live when the log was read, and all since.
        changes: Grows with whatever changes what `judged` says; 0 while that is nothing.
    """

    def __init__(self, record: PoolRecord, settings: MemorySettings, lock: SharedLock) -> None:
        self.next_seq = record.next_subject
        self.taken = 0
        self.changes = 0
        self.models: tuple[str, ...] = ()
        vectors = Collection(record.id, "subjects", record.space.dimension)
        self.neighbours = NeighbourIndex(vectors, settings, lock)
        self._lock = lock
        self._capacity = settings.capacity
        self._slots = SlotMap(settings.capacity)
        self._table = OutcomeTable(settings.capacity)
        self._answers = AnswerTable(settings.capacity)
        self.widen(record.models)

    @property
    def outcomes(self) -> int:
        """How many outcomes are live. The caller holds the lock."""
        return int(self._table.totals()[1].sum())

    def recall(self, prompts: NDArray[np.float32], k: int) -> list[OutcomeNeighbourhood]:
        """The subjects nearest to each of some prompts (n, d), at most `k`."""
        with self._lock.read():
            near = self.neighbours.search(prompts, k)
            slots, squared, ends = self._slots.nearest(prompts, near, k, [""] * len(prompts))
            sums, counts = self._table.rows(slots)
            return [
                OutcomeNeighbourhood(
                    self.models, sums[begin:end], counts[begin:end], squared[begin:end]
                )
                for begin, end in pairwise([0, *ends])
            ]

    def totals(self) -> OutcomeTotals:
        """Sums over every live subject."""
        with self._lock.read():
            return OutcomeTotals(self.models, *self._table.totals())

    def judged(self, voters: tuple[str, ...]) -> JudgedSubjects:
        """Every live subject, in a pool of these voters.

        It is read part by part, and the writer goes in between: what is forgotten
        meanwhile may be missing, and what comes meanwhile is.
        """
        with self._lock.read():
            seqs, models = self._slots.live_seqs(), self.models
        parts = [
            self._judged(seqs[start : start + _PART], len(models), len(voters))
            for start in range(0, max(len(seqs), 1), _PART)
        ]
        sums, counts, rows = (np.concatenate(each) for each in zip(*parts, strict=True))
        return JudgedSubjects(models, sums, counts, voters, rows)

    def _judged(
        self, seqs: NDArray[np.int64], models: int, voters: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float32]]:
        with self._lock.read():
            slots = self._slots.live_slots(seqs)
            sums, counts = self._table.rows(slots)
            return sums[:, :models], counts[:, :models], self._answers.rows(slots, voters)

    def recorded_before(self, time: float) -> list[int]:
        """Numbers of the live subjects that have no outcome since `time` (unix seconds)."""
        return self._slots.learned_before(time)

    def widen(self, models: Sequence[str]) -> None:
        """Adds models."""
        with self._lock.write():
            self.models = (*self.models, *models)
            self._table.widen(len(self.models))

    def admit(self, outcome: LogOutcome) -> None:
        """Adds an outcome of a live subject, or of the next one, which comes with its vector.

        A new subject takes the place of the one that is `capacity` subjects older.
        """
        if outcome.vector is not None:
            self.forget(outcome.subject - self._capacity)
            self._reserve(self._slots.peek() + 1)
            self.neighbours.make_room()
        with self._lock.write():
            if outcome.vector is not None:
                self._slots.add(outcome.subject, outcome.recorded_at, outcome.sample_id)
                self.neighbours.add(outcome.subject, outcome.vector)
                self.next_seq = outcome.subject + 1
            slots = self._slots.slots(np.array([outcome.subject]))
            self._slots.renew(int(slots[0]), outcome.recorded_at)
            self._table.add(slots, np.array([outcome.column]), np.array([outcome.quality]))
            self.taken += 1
            self.changes += 1

    def attach(self, seq: int, answers: LogAnswers) -> None:
        """Takes how the answers to a subject lay, if it is live."""
        slot = self._slots.slot(seq)
        if slot is None:
            return
        rows = measured(answers.columns, answers.pairs[None], answers.known_features[None])
        with self._lock.write():
            self._answers.widen(max(answers.columns) + 1)
            self._answers.write(np.array([slot]), answers.columns, rows)
            self.changes += 1

    def admit_stored(self, subjects: Sequence[tuple[int, str, float]]) -> None:
        """Adds subjects (seq, sample_id, recorded_at of the newest outcome) without outcomes."""
        for seq, sample_id, recorded_at in subjects:
            self._slots.add(seq, recorded_at, sample_id)
        self._reserve(self._slots.rows)

    def add_stored(
        self, seqs: NDArray[np.int64], columns: NDArray[np.int64], qualities: NDArray[np.float64]
    ) -> None:
        """Adds outcomes (n,) of live subjects: their numbers, models and qualities."""
        self._table.add(self._slots.slots(seqs), columns, qualities)
        self.taken += len(seqs)
        self.changes += len(seqs)

    def attach_stored(
        self, seqs: Sequence[int], columns: Columns, pairs: bytes, features: bytes
    ) -> None:
        """Takes how the answers of the same voters to some live subjects lay."""
        count = len(seqs)
        rows = measured(
            columns,
            np.frombuffer(pairs, "<f4").reshape(count, -1),
            np.frombuffer(features, "<f4").reshape(count, len(columns), -1),
        )
        self._answers.widen(max(columns) + 1)
        self._answers.write(self._slots.slots(np.array(seqs, np.int64)), columns, rows)

    def forget(self, seq: int) -> None:
        """Takes out a subject with its outcomes, if it is live."""
        slot = self._slots.slot(seq)
        if slot is None:
            return
        with self._lock.write():
            self.neighbours.forget(seq)
            self._table.clear(slot)
            self._answers.clear(slot)
            self._slots.remove(seq)
            self.changes += 1

    def _reserve(self, slots: int) -> None:
        self._table.reserve(slots)
        self._answers.reserve(slots)
