"""From one vector per token to one per text."""

import enum

import numpy as np
from numpy.typing import NDArray


class Pooling(enum.StrEnum):
    """How the vectors of a text's tokens become one."""

    MEAN = "mean"
    """Their mean."""
    CLS = "cls"
    """The vector of the first token."""
    MODEL = "model"
    """The model pools by itself and gives one vector per text."""


def pool(
    pooling: Pooling, output: NDArray[np.float32], mask: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Pools a model's output.

    Args:
        pooling: How.
        output: (n, t, d), or (n, d) where the model pools by itself.
        mask: (n, t), 1 for a token and 0 for padding.

    Returns:
        (n, d). The mean of no tokens is zero.
    """
    if pooling is Pooling.MODEL:
        return output
    if pooling is Pooling.CLS:
        return output[:, 0]
    weights = mask.astype(np.float32)
    counts = np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1))
    totals: NDArray[np.float32] = np.einsum("nt,ntd->nd", weights, output)
    pooled: NDArray[np.float32] = totals / counts
    return pooled


def to_unit_norm(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divides each row of (n, d) by its length; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    divisors = np.where(norms > 0, norms, 1).astype(np.float32)
    unit: NDArray[np.float32] = vectors / divisors
    return unit
