"""Label-free routing from scored traffic: which model was least noisy nearby?"""

import time

import numpy as np
from numpy.typing import NDArray

from scoring.errors import PoolNotFoundError, RouterUnreadyError
from scoring.estimator import noise_of_neighbourhoods, noise_of_totals
from scoring.evidence import Totals
from scoring.memory import EmbeddingSpace, Memory
from scoring.routers.recalled import PromptScores, together
from scoring.routers.validation import as_vectors, require_at_least
from scoring.routers.values import RouterFallback, RouterScores

Floats = NDArray[np.float64]


class SmoothieRouter:
    """Scores a model by minus its noise variance over the nearest samples of a pool.

    Smoothie-Local over past prompts (Guha et al., NeurIPS 2024, the train-time
    variant): nothing is generated for the prompt itself. The samples are those
    that scoring fed into the pool; no label is needed. Where too few of them are
    near, the whole pool is taken (Smoothie-Global), and the reply says so.
    """

    def __init__(
        self, memory: Memory, pool: str, *, neighbours: int = 20, least_neighbours: int = 5
    ) -> None:
        """Looks at nothing yet: the pool may come to be later.

        Args:
            memory: Where the samples are; stays open as long as the router is used.
            pool: Name of the pool.
            neighbours: Most samples to recall for a prompt; 1 or more.
            least_neighbours: Fewest of them in which two models or more answered,
                for Local; 1 or more.

        Raises:
            InvalidArrayError: A number is out of its range.
        """
        require_at_least(neighbours, 1, field="neighbours")
        require_at_least(least_neighbours, 1, field="least_neighbours")
        self._memory = memory
        self._pool = pool
        self._neighbours = neighbours
        self._least = least_neighbours

    @property
    def kind(self) -> str:
        """Always "smoothie"."""
        return "smoothie"

    def models(self) -> tuple[str, ...]:
        """Names of the pool's voters; none where there is no pool."""
        try:
            return self._totals(self._memory.space(self._pool)).voters
        except PoolNotFoundError:
            return ()

    def score(
        self, prompts: NDArray[np.float32], space: EmbeddingSpace | None = None
    ) -> RouterScores:
        """Scores every voter of the pool.

        Args:
            prompts: (n, d) float32 in the pool's space.
            space: Where they live, for a caller who knows; taken to be the pool's
                if absent.

        Raises:
            InvalidArrayError: The prompts have another shape, or aren't finite.
            SpaceMismatchError: The pool has another space.
            RouterUnreadyError: The pool identifies the noise of no voter.
        """
        try:
            space = space or self._memory.space(self._pool)
            vectors = as_vectors(prompts, field="prompts", each="prompt", dimension=space.dimension)
            began = time.perf_counter()
            nearby = self._memory.recall_each(
                self._pool, space, list(vectors), self._neighbours, [""] * len(vectors)
            )
            recall = time.perf_counter() - began
            noise, usable = noise_of_neighbourhoods(nearby)
            voters = nearby[0].voters
            scored = zip(noise, usable.tolist(), strict=True)
            return together([self._score(space, voters, *each) for each in scored], recall)
        except PoolNotFoundError:
            raise self._unready() from None

    def _score(
        self, space: EmbeddingSpace, voters: tuple[str, ...], noise: Floats, usable: int
    ) -> PromptScores:
        """The scores of one prompt, from the noise (V,) of so many samples nearby."""
        if usable >= self._least and not np.isnan(noise).all():
            return PromptScores(voters, -noise, usable)
        return self._score_globally(space, self._why(usable))

    def _score_globally(self, space: EmbeddingSpace, why: RouterFallback) -> PromptScores:
        totals = self._totals(space)
        noise = noise_of_totals(totals)
        known = ~np.isnan(noise)
        if not known.any():
            raise self._unready()
        samples = int(totals.voter_samples[known].max())
        return PromptScores(totals.voters, -noise, samples, why)

    def _totals(self, space: EmbeddingSpace) -> Totals:
        return self._memory.totals(self._pool, space)

    def _why(self, usable: int) -> RouterFallback:
        if usable < self._least:
            return RouterFallback(
                "FEW_NEIGHBOURS",
                f"Pool {self._pool} has {usable} near samples in which two models or more "
                f"answered, and {self._least} are needed: the whole pool was taken.",
            )
        return RouterFallback(
            "NOISE_UNIDENTIFIED",
            f"The {usable} nearest samples of pool {self._pool} don't compare three models or "
            "more with each other: the whole pool was taken.",
        )

    def _unready(self) -> RouterUnreadyError:
        return RouterUnreadyError(
            f"Pool {self._pool!r} can't tell any model from another yet: score answers of three "
            "models or more to the same prompts into it.",
            field="pool",
        )
