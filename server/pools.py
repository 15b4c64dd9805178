"""What an administrator does to pools: describe, delete, export, import."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scoring.errors import MemoryBusyError
from scoring.estimator import noise_of_totals
from scoring.memory import (
    Durability,
    EmbeddingSpace,
    Memory,
    NewSample,
    PoolDescription,
    Receipt,
    StoredSample,
)

_CHUNK = 256
_BUSY_WAIT_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class PoolReport:
    """A pool and the noise of its voters.

    Attributes:
        voter_samples: Shape (V,), int64, live samples that each voter answered.
        noise_variance: Shape (V,), float64, over the whole pool; NaN where unidentified.
    """

    description: PoolDescription
    voter_samples: NDArray[np.int64]
    noise_variance: NDArray[np.float64]


@dataclass(slots=True)
class Imported:
    """What became of an import, counted as it goes."""

    imported: int = 0
    skipped: int = 0
    expired: int = 0
    durability: Durability | None = None

    def count(self, receipt: Receipt) -> None:
        """Counts one sample."""
        if receipt.expired:
            self.expired += 1
        elif receipt.existed:
            self.skipped += 1
        else:
            self.imported += 1
            self.durability = receipt.durability


class Pools:
    """Manages the pools of a memory without holding up its event loop.

    Args:
        memory: The pools.
        writes_in_flight: Samples of imports that wait for the writer at a time; the rest of its
            queue is for live traffic.
    """

    def __init__(self, memory: Memory, *, writes_in_flight: int) -> None:
        self._memory = memory
        self._writes_in_flight = writes_in_flight
        self._importing = asyncio.Lock()

    def reports(self) -> list[PoolReport]:
        """Every pool, by name."""
        return [self._report(each) for each in self._memory.descriptions()]

    def report(self, pool: str) -> PoolReport:
        """One pool.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._report(self._memory.describe(pool))

    async def delete(self, pool: str) -> int:
        """Removes a pool and returns how many samples went with it.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return await asyncio.shield(asyncio.wrap_future(self._memory.delete(pool)))

    def space(self, pool: str) -> EmbeddingSpace:
        """Where a pool's vectors live.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._memory.space(pool)

    async def samples(self, pool: str) -> AsyncIterator[StoredSample]:
        """Every sample of a pool, oldest first, as it was when the export began."""
        stored = self._memory.samples(pool)
        while chunk := await asyncio.to_thread(lambda: list(islice(stored, _CHUNK))):
            for each in chunk:
                yield each

    async def import_samples(
        self, pool: str, space: EmbeddingSpace, samples: AsyncIterator[NewSample]
    ) -> Imported:
        """Adds samples, one import after the other. The first sample creates an unknown pool.

        Raises:
            SpaceMismatchError: The pool lives in another embedding space.
            TooManyPoolsError: It would be one pool too many.
            TooManyVotersError: A sample has more voters than the pool may know.
            MemoryStorageError: The log can't be written.
        """
        if self._memory.has(pool):
            self._memory.require_space(pool, space)
        imported = Imported()
        writing: deque[Future[Receipt]] = deque()
        async with self._importing:
            async for sample in samples:
                writing.append(await self._learn(pool, space, sample))
                if len(writing) >= self._writes_in_flight:
                    imported.count(await _receipt(writing.popleft()))
            while writing:
                imported.count(await _receipt(writing.popleft()))
        return imported

    async def _learn(self, pool: str, space: EmbeddingSpace, sample: NewSample) -> Future[Receipt]:
        while True:
            try:
                return self._memory.learn(pool, space, sample)
            except MemoryBusyError:
                await asyncio.sleep(_BUSY_WAIT_SECONDS)

    def _report(self, description: PoolDescription) -> PoolReport:
        totals = self._memory.totals(description.name, description.space)
        return PoolReport(description, totals.voter_samples, noise_of_totals(totals))


async def _receipt(writing: Future[Receipt]) -> Receipt:
    # Shielded: a caller that is cancelled must not cancel the writer's future.
    return await asyncio.shield(asyncio.wrap_future(writing))
