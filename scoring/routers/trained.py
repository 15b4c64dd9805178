"""The router that every trained kind is: arithmetic over one prompt, done for each."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.routers.validation import as_vectors
from scoring.routers.values import RouterScores

Floats = NDArray[np.float64]


class PromptScore(NamedTuple):
    """What a scorer says of one prompt.

    Attributes:
        scores: (K,) float64.
        neighbours: Training prompts that they rest on.
        voters: Models that have a quality for one of those.
        recall_seconds: That finding them took.
    """

    scores: Floats
    neighbours: int = 0
    voters: int = 0
    recall_seconds: float = 0.0


class Scorer(Protocol):
    """The arithmetic of one kind. It never changes, so any thread may ask."""

    @property
    def dimension(self) -> int | None:
        """D of the prompts; None where any will do."""
        ...

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores the models for a prompt (d,), whose numbers are finite."""
        ...


class TrainedRouter:
    """Scores each prompt by itself.

    No arithmetic is shared between prompts, so that one scores the same to the last
    bit in every batch on one machine.
    """

    def __init__(self, kind: str, models: Sequence[str], scorer: Scorer) -> None:
        """Takes a scorer of as many models.

        Args:
            kind: How it was trained.
            models: K distinct names, 1 or more.
            scorer: Of those models, in that order.

        Raises:
            InvalidArrayError: There is no model, or a name occurs twice.
        """
        if not models or len(set(models)) != len(models):
            raise InvalidArrayError(
                "A router has one model or more, each with a name of its own.", field="models"
            )
        self._kind = kind
        self._models = tuple(models)
        self.scorer = scorer

    @property
    def kind(self) -> str:
        """How it was trained."""
        return self._kind

    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of the arrays."""
        return self._models

    def score(self, prompts: NDArray[np.float32]) -> RouterScores:
        """Scores every model for each prompt.

        Args:
            prompts: (n, d) float32, n at least 1.

        Raises:
            InvalidArrayError: The prompts have another shape, or aren't finite.
        """
        vectors = as_vectors(
            prompts, field="prompts", each="prompt", dimension=self.scorer.dimension
        )
        said = [self.scorer.score(vector) for vector in vectors]
        return RouterScores(
            models=self._models,
            scores=np.stack([each.scores for each in said]),
            neighbours_used=np.array([each.neighbours for each in said], np.int64),
            voters_used=np.array([each.voters for each in said], np.int64),
            fallback=(None,) * len(said),
            recall_seconds=sum(each.recall_seconds for each in said),
        )
