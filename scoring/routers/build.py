"""Routers from what an artefact holds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.routers.cosine import CosineRouter
from scoring.routers.router import Router

COSINE_KINDS = frozenset({"routerdc", "zooter", "cosine-classifier", "multi-label"})
"""Kinds that are trained, and infer by cosine."""


def build_router(
    kind: str, models: Sequence[str], arrays: Mapping[str, NDArray[np.float32]]
) -> Router:
    """Builds the router that was trained.

    Args:
        kind: One of `COSINE_KINDS`.
        models: K distinct names.
        arrays: `llm_embeddings` (K, d), and nothing else: an array that no router
            reads would be a part of the method that is not served.

    Raises:
        InvalidArrayError: The kind isn't known, an array is missing or unknown, or
            doesn't fit the models.
    """
    if kind not in COSINE_KINDS:
        raise InvalidArrayError(
            f"There is no trained router of kind {kind!r}; it may be "
            f"{', '.join(sorted(COSINE_KINDS))}.",
            field="kind",
        )
    if set(arrays) != {"llm_embeddings"}:
        raise InvalidArrayError(
            f"A router of kind {kind} is made of the array llm_embeddings; "
            f"{', '.join(sorted(arrays)) or 'none'} was given.",
            field="arrays",
        )
    return CosineRouter(kind, models, arrays["llm_embeddings"])
