"""Routing by how good answers to near prompts turned out to be."""

import math
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError, PoolNotFoundError, RouterUnreadyError
from scoring.memory import EmbeddingSpace, Memory, OutcomeNeighbourhood
from scoring.routers.recalled import PromptScores, together
from scoring.routers.validation import as_vectors, require_at_least
from scoring.routers.values import RouterScores


class OutcomeRouter:
    """Scores a model by its mean quality over the nearest prompts with outcomes.

    With the sum q_m and the number c_m of the model's qualities over the k
    nearest prompts, and its mean μ_m over the whole pool,

        score_m = (q_m + n0 μ_m) / (c_m + n0)

    n0 outcomes of mean quality are pretended: a model with few outcomes nearby
    stays close to its mean, one with none has its mean.
    """

    def __init__(
        self, memory: Memory, pool: str, *, neighbours: int = 20, pseudo_outcomes: float = 1.0
    ) -> None:
        """Looks at nothing yet: the pool may come to be later.

        Args:
            memory: Where the outcomes are; stays open as long as the router is used.
            pool: Name of the pool.
            neighbours: k, most prompts with outcomes to recall; 1 or more.
            pseudo_outcomes: n0, 0 or more; at 0, a model without outcomes nearby
                has no score.

        Raises:
            InvalidArrayError: A number is out of its range.
        """
        require_at_least(neighbours, 1, field="neighbours")
        require_at_least(pseudo_outcomes, 0, field="pseudo_outcomes")
        if math.isinf(pseudo_outcomes):
            raise InvalidArrayError("pseudo_outcomes must be finite.", field="pseudo_outcomes")
        self._memory = memory
        self._pool = pool
        self._neighbours = neighbours
        self._pseudo = pseudo_outcomes

    @property
    def kind(self) -> str:
        """Always "knn"."""
        return "knn"

    def models(self) -> tuple[str, ...]:
        """Names of the models that the pool has outcomes of; none where there is no pool."""
        try:
            return self._memory.outcome_totals(self._pool).models
        except PoolNotFoundError:
            return ()

    def score(
        self, prompts: NDArray[np.float32], space: EmbeddingSpace | None = None
    ) -> RouterScores:
        """Scores every model that the pool has outcomes of.

        Args:
            prompts: (n, d) float32 in the pool's space.
            space: Where they live, for a caller who knows; taken to be the pool's
                if absent.

        Raises:
            InvalidArrayError: The prompts have another shape, or aren't finite.
            SpaceMismatchError: The pool has another space.
            RouterUnreadyError: The pool has no outcome.
        """
        try:
            space = space or self._memory.space(self._pool)
            vectors = as_vectors(prompts, field="prompts", each="prompt", dimension=space.dimension)
            means = self._means()
            began = time.perf_counter()
            nearby = self._memory.recall_outcomes_each(
                self._pool, space, list(vectors), self._neighbours
            )
            recall = time.perf_counter() - began
            return together([self._score(each, means) for each in nearby], recall)
        except PoolNotFoundError:
            raise self._unready() from None

    def _score(self, nearby: OutcomeNeighbourhood, means: Mapping[str, float]) -> PromptScores:
        mean = np.array([means.get(model, np.nan) for model in nearby.models], np.float64)
        sums = nearby.quality_sums.sum(axis=0) + self._pseudo * mean
        counts = nearby.counts.sum(axis=0) + self._pseudo
        scores = np.divide(sums, counts, out=np.full(mean.shape, np.nan), where=counts > 0)
        return PromptScores(nearby.models, scores, len(nearby.counts))

    def _means(self) -> dict[str, float]:
        """The mean quality of every model that has outcomes."""
        totals = self._memory.outcome_totals(self._pool)
        if not totals.counts.any():
            raise self._unready()
        known = zip(totals.models, totals.quality_sums, totals.counts, strict=True)
        return {model: float(total / count) for model, total, count in known if count}

    def _unready(self) -> RouterUnreadyError:
        return RouterUnreadyError(
            f"Pool {self._pool!r} has no outcome yet: record how good answers were.", field="pool"
        )
