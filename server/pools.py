"""What an administrator does to pools: describe, delete, export, import."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from scoring.errors import MemoryBusyError, PoolNotFoundError, SpaceMismatchError
from scoring.estimator import noise_of_totals
from scoring.memory import (
    Durability,
    EmbeddingSpace,
    Memory,
    NewOutcome,
    NewSample,
    OutcomeReceipt,
    PoolDescription,
    Receipt,
    StoredOutcome,
    StoredSample,
)
from server.calibration import Calibrations
from server.errors import ServerError

_Item = TypeVar("_Item")
_Receipt: TypeAlias = Receipt | OutcomeReceipt

_CHUNK = 256
_BUSY_WAIT_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class PoolReport:
    """A pool and the noise of its voters.

    Attributes:
        voter_samples: Shape (V,), int64, live samples that each voter answered.
        noise_variance: Shape (V,), float64, over the whole pool; NaN where unidentified.
        contradicted: Its outcomes contradict agreement.
    """

    description: PoolDescription
    voter_samples: NDArray[np.int64]
    noise_variance: NDArray[np.float64]
    contradicted: bool


@dataclass(slots=True)
class Counts:
    """What became of items of one kind."""

    imported: int = 0
    skipped: int = 0
    expired: int = 0


@dataclass(slots=True)
class Imported:
    """What became of an import, counted as it goes."""

    samples: Counts = field(default_factory=Counts)
    outcomes: Counts = field(default_factory=Counts)
    durability: Durability | None = None

    def count(self, receipt: _Receipt) -> None:
        """Counts one sample or outcome."""
        counts = self.samples if isinstance(receipt, Receipt) else self.outcomes
        if receipt.expired:
            counts.expired += 1
        elif receipt.existed:
            counts.skipped += 1
        else:
            counts.imported += 1
            self.durability = receipt.durability


class Pools:
    """Manages the pools of a memory without holding up its event loop.

    Args:
        memory: The pools.
        calibrations: Know where outcomes contradict agreement.
        writes_in_flight: Samples of imports that wait for the writer at a time; the rest of its
            queue is for live traffic.
    """

    def __init__(
        self, memory: Memory, calibrations: Calibrations, *, writes_in_flight: int
    ) -> None:
        self._memory = memory
        self._calibrations = calibrations
        self._room = asyncio.Semaphore(writes_in_flight)

    def reports(self) -> list[PoolReport]:
        """Every pool, by name; one that is removed or made anew meanwhile may be left out."""
        found = []
        for each in self._memory.descriptions():
            with suppress(PoolNotFoundError, SpaceMismatchError):
                found.append(self._report(each))
        return found

    def report(self, pool: str) -> PoolReport:
        """One pool.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._report(self._memory.describe(pool))

    async def delete(self, pool: str) -> tuple[int, int]:
        """Removes a pool and returns how many samples and outcomes went with it.

        Outcomes are counted just before: what is recorded meanwhile goes uncounted.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        outcomes = (await asyncio.to_thread(self._memory.describe, pool)).outcomes
        samples = await asyncio.shield(asyncio.wrap_future(self._memory.delete(pool)))
        return samples, outcomes

    def space(self, pool: str) -> EmbeddingSpace:
        """Where a pool's vectors live.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        return self._memory.space(pool)

    async def samples(self, pool: str) -> AsyncIterator[StoredSample]:
        """Every sample of a pool, oldest first, as it was when the export began."""
        async for sample in _in_chunks(self._memory.samples(pool)):
            yield sample

    async def outcomes(self, pool: str) -> AsyncIterator[StoredOutcome]:
        """Every outcome of a pool, oldest first, as it was when their export began."""
        async for outcome in _in_chunks(self._memory.outcomes(pool)):
            yield outcome

    async def import_samples(
        self, pool: str, space: EmbeddingSpace, items: AsyncIterator[NewSample | NewOutcome]
    ) -> Imported:
        """Adds samples and outcomes; the first creates an unknown pool.

        What came before one that can't be added stays. All imports share the writes that may be
        in flight, so that one whose caller is slow holds up no other.

        Raises:
            SpaceMismatchError: The pool lives in another embedding space.
            InvalidRequestError: An item is not valid, and all before it are in the pool.
            TooManyPoolsError: It would be one pool too many.
            TooManyVotersError: There are more voters, or models, than the pool may know.
            MemoryStorageError: The log can't be written.
        """
        if self._memory.has(pool):
            self._memory.require_space(pool, space)
        imported, bad = Imported(), None
        writing: deque[asyncio.Future[_Receipt]] = deque()
        try:
            async for item in items:
                writing.append(await self._write(pool, space, item))
                while writing and writing[0].done():
                    imported.count(writing.popleft().result())
        except ServerError as error:  # of an item; one before it may yet be refused
            bad = error
        for receipt in writing:
            # Shielded: a caller that is cancelled must not cancel the writer's future.
            imported.count(await asyncio.shield(receipt))
        if bad is not None:
            raise bad
        return imported

    async def _write(
        self, pool: str, space: EmbeddingSpace, item: NewSample | NewOutcome
    ) -> asyncio.Future[_Receipt]:
        """Begins to add one item, once there is room for it; its receipt makes room again."""
        await self._room.acquire()
        try:
            writing = asyncio.wrap_future(await self._add(pool, space, item))
        except BaseException:
            self._room.release()
            raise
        writing.add_done_callback(self._written)
        return writing

    def _written(self, writing: asyncio.Future[_Receipt]) -> None:
        self._room.release()
        if not writing.cancelled():
            writing.exception()  # nobody may be left to ask for it

    async def _add(
        self, pool: str, space: EmbeddingSpace, item: NewSample | NewOutcome
    ) -> Future[_Receipt]:
        while True:
            try:
                if isinstance(item, NewSample):
                    return cast("Future[_Receipt]", self._memory.learn(pool, space, item))
                return cast("Future[_Receipt]", self._memory.record(pool, space, item))
            except MemoryBusyError:
                await asyncio.sleep(_BUSY_WAIT_SECONDS)

    def _report(self, description: PoolDescription) -> PoolReport:
        totals = self._memory.totals(description.name, description.space)
        held = self._calibrations.held(description.name)
        contradicted = held is not None and held.contradicted
        noise = noise_of_totals(totals)
        return PoolReport(description, totals.voter_samples, noise, contradicted)


async def _in_chunks(stored: Iterator[_Item]) -> AsyncIterator[_Item]:
    while chunk := await asyncio.to_thread(lambda: list(islice(stored, _CHUNK))):
        for each in chunk:
            yield each
