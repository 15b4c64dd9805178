"""What any thread may ask of a memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError, MemoryStorageError
from scoring.evidence import Neighbourhood, Totals
from scoring.memory.export import stored_outcomes, stored_samples
from scoring.memory.inbox import CLOSED
from scoring.memory.outcomes.values import (
    JudgedSubjects,
    OutcomeNeighbourhood,
    OutcomeTotals,
    StoredOutcome,
)
from scoring.memory.pool import Pool
from scoring.memory.validation import own_prompts, pool_not_found
from scoring.memory.values import EmbeddingSpace, PoolDescription, StoredSample


class MemoryReader:
    """Questions about pools, which another thread may change meanwhile.

    They are answered from memory and wait for one change at most; exports are
    read from the log.
    """

    def __init__(self, pools: Mapping[str, Pool], log: Path) -> None:
        self._pools = pools
        self._log_path = log
        self._closed = False

    def has(self, pool: str) -> bool:
        """Whether there is a pool of this name."""
        return pool in self._pools

    def names(self) -> list[str]:
        """Every pool, in order of their names. Waits for nobody."""
        return sorted(self._pools)

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

    def outcome_revision(self, pool: str) -> tuple[int, int]:
        """What changes with every outcome that a pool takes. Waits for nobody.

        Returns:
            How many prompts with outcomes it has ever taken; and how many outcomes, of those
            that were live when the memory was opened and all since.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        ledger = self._pool(pool).outcomes
        return ledger.next_seq, ledger.taken

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
        return self.recall_each(pool, space, [prompt], k, [without])[0]

    def recall_each(
        self,
        pool: str,
        space: EmbeddingSpace,
        prompts: Sequence[NDArray[np.float32]],
        k: int,
        without: Sequence[str],
    ) -> list[Neighbourhood]:
        """The same for n prompts together, which takes less than one after the other.

        Args:
            pool: Name of the pool.
            space: Where the vectors of the prompts live.
            prompts: n of (d,) float32, one or more.
            k: Most samples to recall for each; 0 or more.
            without: n names, each of a sample that is not recalled for the prompt in its place.

        Raises:
            PoolNotFoundError: As `recall`, and so are the others.
            SpaceMismatchError: The pool has another space.
            InvalidArrayError: A prompt has another shape or is not finite, or k is negative.
        """
        found = self._asked(pool, space, k)
        return found.recall(own_prompts(prompts, space.dimension), k, without)

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

    def recall_outcomes(
        self, pool: str, space: EmbeddingSpace, prompt: NDArray[np.float32], k: int
    ) -> OutcomeNeighbourhood:
        """The nearest prompts that have outcomes, and the sums of these.

        Args:
            pool: Name of the pool.
            space: Where the prompt's vector lives.
            prompt: (d,) float32.
            k: Most prompts to recall; 0 or more.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            SpaceMismatchError: The pool has another space.
            InvalidArrayError: The prompt has another shape or is not finite, or k is negative.
        """
        return self.recall_outcomes_each(pool, space, [prompt], k)[0]

    def recall_outcomes_each(
        self, pool: str, space: EmbeddingSpace, prompts: Sequence[NDArray[np.float32]], k: int
    ) -> list[OutcomeNeighbourhood]:
        """The same for n prompts together, which takes less than one after the other.

        Args:
            pool: Name of the pool.
            space: Where the vectors of the prompts live.
            prompts: n of (d,) float32, one or more.
            k: Most prompts with outcomes to recall for each; 0 or more.

        Raises:
            PoolNotFoundError: As `recall_outcomes`, and so are the others.
            SpaceMismatchError: The pool has another space.
            InvalidArrayError: A prompt has another shape or is not finite, or k is negative.
        """
        found = self._asked(pool, space, k)
        return found.outcomes.recall(own_prompts(prompts, space.dimension), k)

    def outcome_totals(self, pool: str) -> OutcomeTotals:
        """Sums over every live outcome of a pool.

        Raises:
            PoolNotFoundError: There is no pool of this name.
        """
        return self._pool(pool).outcomes.totals()

    def judged_revision(self, pool: str) -> tuple[int, int]:
        """What changes with whatever changes what `judged` says. Waits for nobody.

        Returns:
            A number that no other pool ever has, nor one of the same name that is made after
            this one was deleted; and one that grows with every outcome that is taken or
            forgotten as long as the memory is open, and is 0 where there was none.

        Raises:
            PoolNotFoundError: There is none of this name.
        """
        found = self._pool(pool)
        return found.id, found.outcomes.changes

    def judged(self, pool: str) -> JudgedSubjects:
        """Every live subject of a pool: its outcomes, and how its answers lay.

        They are copied part by part. What is recorded or forgotten meanwhile may be there, or
        may not; then `judged_revision` is another afterwards.

        Raises:
            PoolNotFoundError: There is no pool of this name.
        """
        return self._pool(pool).judged()

    def samples(self, pool: str) -> Iterator[StoredSample]:
        """Streams a pool from the log, oldest first.

        The view is that of the moment when the first is asked for, whatever is
        learned meanwhile.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            MemoryStorageError: The log can't be read (may come later).
        """
        return stored_samples(self._log_path, self._stored(pool))

    def outcomes(self, pool: str) -> Iterator[StoredOutcome]:
        """Streams the outcomes of a pool from the log, oldest first, as `samples` does.

        Raises:
            PoolNotFoundError: There is no pool of this name.
            MemoryStorageError: The log can't be read (may come later).
        """
        return stored_outcomes(self._log_path, self._stored(pool))

    def _asked(self, pool: str, space: EmbeddingSpace, k: int) -> Pool:
        found = self._pool(pool)
        found.require_space(space)
        if k < 0:
            raise InvalidArrayError("k must be 0 or more.", field="k")
        return found

    def _stored(self, pool: str) -> int:
        if self._closed:
            raise MemoryStorageError(CLOSED)
        return self._pool(pool).id

    def _pool(self, name: str) -> Pool:
        pool = self._pools.get(name)
        if pool is None:
            raise pool_not_found(name)
        return pool
