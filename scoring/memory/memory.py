"""The neighbour memory: what it has learned survives a crash."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError, MemoryStorageError
from scoring.evidence import Neighbourhood, Totals
from scoring.memory.export import stored_samples
from scoring.memory.inbox import CLOSED, Delete, Learn
from scoring.memory.loading import load_pool
from scoring.memory.log import Log
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.validation import (
    own_prompt,
    own_sample,
    pool_not_found,
    require_identity,
    require_settings,
    too_many_pools,
)
from scoring.memory.values import (
    EmbeddingSpace,
    MemorySettings,
    NewSample,
    PoolDescription,
    Receipt,
    StoredSample,
)
from scoring.memory.writer import Writer


class Memory:
    """Pools of samples: prompt vectors, and distances between the answers to them.

    Reads come from any thread and answer from memory. Learning is queued for
    one writer thread, and acknowledged by a future once it is durable and
    visible to the next read. A pool keeps the latest `capacity` samples that it
    took, less those past their time to live.

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
        self._settings = settings
        self._log = log
        self._pools = pools
        self._writer = writer
        self._closed = False
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
            for record in log.pools():
                log.advance(record.id, record.next_seq, record.next_seq - settings.capacity)
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

    def has(self, pool: str) -> bool:
        """Whether there is a pool of this name."""
        return pool in self._pools

    def space(self, pool: str) -> EmbeddingSpace:
        """Where a pool's vectors live. Waits for nobody.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._pool(pool).space

    def revision(self, pool: str) -> int:
        """How many samples a pool has ever taken. Waits for nobody.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._pool(pool).next_seq

    def describe(self, pool: str) -> PoolDescription:
        """One pool. Takes time with its live samples: about 0.2 ms for 100,000.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._pool(pool).describe()

    def descriptions(self) -> list[PoolDescription]:
        """Every pool, by name."""
        pools = sorted(self._pools.values(), key=lambda pool: pool.name)
        return [pool.describe() for pool in pools]

    def require_space(self, pool: str, space: EmbeddingSpace) -> None:
        """Refuses vectors that a pool can't compare with its own.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            SpaceMismatchError: The pool has another space.
        """
        self._pool(pool).require_space(space)

    def recall(
        self,
        pool: str,
        space: EmbeddingSpace,
        prompt: NDArray[np.float32],
        k: int,
        *,
        without: str = "",
    ) -> Neighbourhood:
        """The live samples whose prompts are nearest.

        Args:
            pool: Name of the pool.
            space: Where the prompt's vector lives.
            prompt: (d,) float32.
            k: Most samples to recall; 0 or more.
            without: Name of a sample that is not recalled though it be live.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            SpaceMismatchError: The pool has another space.
            InvalidArrayError: The prompt has another shape or is not finite, or k is negative.
        """
        found = self._pool(pool)
        found.require_space(space)
        if k < 0:
            raise InvalidArrayError("k must be 0 or more.", field="k")
        return found.recall(own_prompt(prompt, space.dimension), k, without)

    def totals(self, pool: str, space: EmbeddingSpace, *, without: str = "") -> Totals:
        """Sums over every live sample of a pool.

        Args:
            pool: Name of the pool.
            space: Where the caller's vectors live.
            without: Name of a sample that is left out though it be live.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            SpaceMismatchError: The pool has another space.
        """
        found = self._pool(pool)
        found.require_space(space)
        return found.totals(without)

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
        require_identity(pool, space)
        found = self._pools.get(pool)
        if found is not None:
            found.require_space(space)
        elif len(self._pools) >= self._settings.max_pools:
            raise too_many_pools(self._settings.max_pools)
        request = Learn(pool, space, own_sample(sample, space, self._settings), create)
        self._writer.inbox.put(request)
        return request.done

    def samples(self, pool: str) -> Iterator[StoredSample]:
        """Streams a pool from the log, oldest first.

        The view is that of the moment when the first is asked for, whatever is
        learned meanwhile.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            MemoryStorageError: The log can't be read (may come later).
        """
        if self._closed:
            raise MemoryStorageError(CLOSED)
        return stored_samples(self._log.path, self._pool(pool).id)

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

    def _pool(self, name: str) -> Pool:
        pool = self._pools.get(name)
        if pool is None:
            raise pool_not_found(name)
        return pool
