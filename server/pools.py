"""What an administrator does to pools: describe, delete, export, import."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from scoring.errors import MemoryBusyError, PoolNotFoundError
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
_WRITES_IN_FLIGHT = 1024
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


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an import."""

    imported: int
    skipped: int
    durability: Durability | None


class Pools:
    """Manages the pools of a memory without holding up its event loop.

    Args:
        memory: The pools.
        create_pools: Whether an import may create a pool.
    """

    def __init__(self, memory: Memory, *, create_pools: bool) -> None:
        self._memory = memory
        self._create_pools = create_pools

    def reports(self) -> list[PoolReport]:
        """Every pool, by name."""
        descriptions = sorted(self._memory.descriptions(), key=lambda each: each.name)
        return [self._report(each) for each in descriptions]

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
        return self._memory.describe(pool).space

    async def samples(self, pool: str) -> AsyncIterator[StoredSample]:
        """Every sample of a pool, oldest first, as it was when the export began."""
        stored = self._memory.samples(pool)
        while chunk := await asyncio.to_thread(lambda: list(islice(stored, _CHUNK))):
            for each in chunk:
                yield each

    async def import_samples(
        self, pool: str, space: EmbeddingSpace, samples: AsyncIterator[NewSample]
    ) -> Imported:
        """Adds samples, waiting where the writer is behind.

        Raises:
            PoolNotFoundError: The pool is unknown and may not be created.
            SpaceMismatchError: The pool lives in another embedding space.
        """
        if self._memory.has(pool):
            self._memory.require_space(pool, space)
        elif not self._create_pools:
            raise PoolNotFoundError(
                f"No pool is named {pool!r} and this server creates none (memory.create_pools); "
                "name a pool that exists.",
                field="header.pool",
            )
        writing: deque[Future[Receipt]] = deque()
        receipts: list[Receipt] = []
        async for sample in samples:
            writing.append(await self._learn(pool, space, sample))
            if len(writing) >= _WRITES_IN_FLIGHT:
                receipts.append(await asyncio.shield(asyncio.wrap_future(writing.popleft())))
        receipts += [await asyncio.shield(asyncio.wrap_future(each)) for each in writing]
        return _imported(receipts)

    async def _learn(self, pool: str, space: EmbeddingSpace, sample: NewSample) -> Future[Receipt]:
        while True:
            try:
                return self._memory.learn(pool, space, sample)
            except MemoryBusyError:
                await asyncio.sleep(_BUSY_WAIT_SECONDS)

    def _report(self, description: PoolDescription) -> PoolReport:
        totals = self._memory.totals(description.name, description.space)
        return PoolReport(description, totals.voter_samples, noise_of_totals(totals))


def _imported(receipts: Sequence[Receipt]) -> Imported:
    skipped = sum(each.existed for each in receipts)
    durability = receipts[-1].durability if receipts else None
    return Imported(len(receipts) - skipped, skipped, durability)
