"""Routers that were trained: a vector per model, compared with that of the prompt."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.kernels.cosines import cosines
from scoring.routers.arrays import Shapes
from scoring.routers.trained import PromptScore
from scoring.routers.validation import as_vectors
from scoring.routers.values import RouterScores
from scoring.validation import LARGEST_SQUARED_NORM, as_floats, kernel_form, refuse_vectors

COSINE_SHAPES: Shapes = {"llm_embeddings": ("models", "d")}


class CosineRouter:
    """Scores model t by cos(E(x), k_t).

    That is how RouterDC infers: argmax over t of the similarity between the
    query's encoding E(x) and the model's learned embedding k_t (Chen, Jiang, Lin,
    Kwok and Zhang, "RouterDC: Query-Based Router by Dual Contrastive Learning for
    Assembling Large Language Models", NeurIPS 2024). ZOOTER, CosineClassifier and
    the multi-label variant differ in how they are trained, not in this.
    """

    def __init__(self, kind: str, models: Sequence[str], llm_embeddings: ArrayLike) -> None:
        """Takes a copy of the embeddings.

        Args:
            kind: How it was trained: "routerdc", "zooter", ...
            models: K distinct names.
            llm_embeddings: (K, d) float32, k_t, in the order of the models. A zero
                vector scores 0 everywhere.

        Raises:
            InvalidArrayError: The embeddings don't fit the models or aren't
                finite, or a name occurs twice.
        """
        vectors = as_vectors(llm_embeddings, field="llm_embeddings", each="model")
        if len(models) != vectors.shape[0] or len(set(models)) != len(models):
            raise InvalidArrayError(
                f"llm_embeddings is of {vectors.shape[0]} models and {len(set(models))} distinct "
                f"names were given for {len(models)}; give one name for each.",
                field="llm_embeddings",
            )
        self._kind = kind
        self._models = tuple(models)
        self._directions = _directions(vectors)

    @property
    def kind(self) -> str:
        """How it was trained."""
        return self._kind

    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of their embeddings."""
        return self._models

    def score(self, prompts: NDArray[np.float32]) -> RouterScores:
        """Scores every model by its cosine with the prompt, computed in float64.

        Equal embeddings tie, and a prompt scores the same in every batch: no cosine
        is a cell of a matrix product, whose rounding depends on its neighbours.

        Args:
            prompts: (n, d) float32; a zero vector scores 0 everywhere.

        Raises:
            InvalidArrayError: The prompts have another shape, or aren't finite.
        """
        vectors = as_floats(prompts, field="prompts", axes=("prompt", "coordinate"))
        dimension = self._directions.shape[1]
        if vectors.shape[1] != dimension:
            raise InvalidArrayError(
                f"prompts has {vectors.shape[1]} dimensions; give {dimension}.", field="prompts"
            )
        scores = np.empty((len(vectors), len(self._models)))
        if cosines(vectors, self._directions, scores, LARGEST_SQUARED_NORM):
            refuse_vectors(vectors, field="prompts")
        none = np.zeros(len(vectors), np.int64)
        return RouterScores(self._models, scores, none, none, (None,) * len(vectors))


class CosineScorer:
    """The same arithmetic for one prompt, as a stack's member."""

    def __init__(self, llm_embeddings: NDArray[np.float32]) -> None:
        """Takes the embeddings (K, d)."""
        self._directions = _directions(llm_embeddings)
        self.dimension: int | None = llm_embeddings.shape[1]

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,)."""
        row = kernel_form(prompt[None], np.float32, field="prompt")
        scores = np.empty((1, len(self._directions)))
        cosines(row, self._directions, scores, np.inf)
        return PromptScore(scores[0])


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """The vectors (n, d) at length 1; zero where they are."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.vecdot(wide, wide))[:, None]
    return np.asarray(wide / np.where(lengths > 0, lengths, 1.0))
