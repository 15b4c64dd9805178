"""The neighbour memory: what it has learned survives a crash."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from scoring.errors import MemoryStorageError
from scoring.memory.inbox import Delete, Learn, Record
from scoring.memory.loading import load_pool
from scoring.memory.log import Log
from scoring.memory.outcomes.values import NewOutcome, OutcomeReceipt
from scoring.memory.pool import Pool
from scoring.memory.reading import MemoryReader
from scoring.memory.snapshots import Snapshots
from scoring.memory.validation import (
    own_outcome,
    own_sample,
    require_identity,
    require_settings,
    too_many_pools,
)
from scoring.memory.values import EmbeddingSpace, MemorySettings, NewSample, Receipt
from scoring.memory.writer import Writer


class Memory(MemoryReader):
    """Pools of samples: prompt vectors, and distances between the answers to them.

    Beside its samples a pool keeps outcomes: how good the answers to a prompt
    were. Reads come from any thread and answer from memory. Learning is queued
    for one writer thread, and acknowledged by a future once it is durable and
    visible to the next read. A pool keeps the latest `capacity` samples that it
    took, less those past their time to live, and likewise of prompts with
    outcomes.

    Attributes:
        failure: Gets the exception if the writer thread dies, which only a
            fault of this program can cause; reads go on, learning does not.
            Gets nothing (None) when the memory is closed.
    """

    def __init__(
        self,
        settings: MemorySettings,
        log: Log,
        pools: dict[str, Pool],
        writer: Writer,
    ) -> None:
        super().__init__(pools, log.path)
        self._settings = settings
        self._log = log
        self._writer = writer
        self.failure = writer.failure

    @classmethod
    def open(cls, settings: MemorySettings, *, clock: Callable[[], float] = time.time) -> Self:
        """Brings back what a directory holds, or begins a new memory in it.

        Args:
            settings: Where it lies and how much it keeps.
            clock: Tells unix seconds; samples expire by it.

        Raises:
            MemoryStorageError: The directory can't be used; the sentence says why.
        """
        require_settings(settings)
        log = Log.open(settings.directory, settings.durability)
        try:
            return cls._load(settings, log, clock)
        except (sqlite3.Error, OSError, ValueError, IndexError) as error:
            log.close()
            raise MemoryStorageError(
                f"The memory in {settings.directory} can't be read ({error}): restore it from a "
                "copy, or move it away to begin anew."
            ) from error
        except BaseException:
            log.close()
            raise

    @classmethod
    def _load(cls, settings: MemorySettings, log: Log, clock: Callable[[], float]) -> Self:
        snapshots = Snapshots(log, settings)
        snapshots.sweep()
        with log.transaction():
            if settings.time_to_live is not None:
                log.drop_learned_before(clock() - settings.time_to_live)
                log.outcomes.drop_recorded_before(clock() - settings.time_to_live)
            for record in log.pools():
                log.advance(record.id, record.next_seq, record.next_seq - settings.capacity)
                oldest = record.next_subject - settings.capacity
                log.outcomes.advance(record.id, record.next_subject, oldest)
        pools = {record.name: load_pool(log, snapshots, record, settings) for record in log.pools()}
        writer = Writer(log, pools, snapshots, settings, clock)
        writer.start()
        return cls(settings, log, pools, writer)

    def close(self) -> None:
        """Writes what waits, saves the graphs, and gives the directory free."""
        if not self._closed:
            self._closed = True
            self._writer.stop()
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def learn(
        self, pool: str, space: EmbeddingSpace, sample: NewSample, *, create: bool = True
    ) -> Future[Receipt]:
        """Queues a sample; a pool begins with its first, unless `create` is off.

        The future's result means that the sample is durable and that the next
        read finds it; a sample past its time to live is not added.

        Raises:
            InvalidArrayError: The sample is malformed.
            SpaceMismatchError: The pool has another space. This, TooManyPoolsError
                and TooManyVotersError may also come through the future, as
                do PoolNotFoundError where there is no pool to add to, and
                MemoryStorageError where the log can't be written.
            TooManyPoolsError: It would be one pool too many.
            TooManyVotersError: It has more voters than a pool may know.
            MemoryBusyError: Too many samples wait already.
            MemoryStorageError: The memory is closed, or its writer died.
        """
        self._expect(pool, space)
        request = Learn(pool, space, own_sample(sample, space, self._settings), create)
        self._writer.inbox.put(request)
        return request.done

    def record(
        self,
        pool: str,
        space: EmbeddingSpace | None,
        outcome: NewOutcome,
        *,
        create: bool = True,
    ) -> Future[OutcomeReceipt]:
        """Queues the quality of one answer.

        The outcome belongs to a prompt, its subject (see `NewOutcome`), of which
        the memory keeps a copy: outcomes outlive the sample that they name. A
        pool may begin with an outcome that carries its prompt, unless `create`
        is off. The future means what it means for `learn`.

        Args:
            pool: Name of the pool.
            space: Where the prompt's vector lives; may be absent where the
                outcome has none.
            outcome: What to add.
            create: Whether the pool may be made.

        Raises:
            InvalidArrayError: The outcome is malformed.
            SpaceMismatchError: The pool has another space. This, TooManyPoolsError
                and TooManyVotersError (too many models, or voters of answers that
                are to be kept) may also come through the future, as do
                PoolNotFoundError where there is no pool, SampleNotFoundError
                where the pool has neither a sample nor a subject of this name,
                and MemoryStorageError.
            TooManyPoolsError: It would be one pool too many.
            TooManyVotersError: It brings answers of more voters than a pool may know.
            MemoryBusyError: Too many requests wait already.
            MemoryStorageError: The memory is closed, or its writer died.
        """
        own = own_outcome(outcome, space, self._settings)
        if own.prompt is not None and space is not None:
            self._expect(pool, space)
        elif space is not None and pool in self._pools:
            self._pools[pool].require_space(space)
        request = Record(pool, space, own, create)
        self._writer.inbox.put(request)
        return request.done

    def delete(self, pool: str) -> Future[int]:
        """Queues the removal of a pool; the future gives the number of its live samples.

        Raises:
            PoolNotFoundError: There is no pool of this name; may also come
                through the future.
            MemoryBusyError: Too many requests wait already.
            MemoryStorageError: The memory is closed, or its writer died.
        """
        self._pool(pool)
        request = Delete(pool)
        self._writer.inbox.put(request)
        return request.done

    def _expect(self, pool: str, space: EmbeddingSpace) -> None:
        require_identity(pool, space)
        found = self._pools.get(pool)
        if found is not None:
            found.require_space(space)
        elif len(self._pools) >= self._settings.max_pools:
            raise too_many_pools(self._settings.max_pools)
