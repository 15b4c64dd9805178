"""Features of prompts: vectors from where the training prompts lie around, at length 1.

Sentence vectors share a large common part, which says nothing of the prompt. Taking
the mean of the training prompts out leaves what tells them apart (Mu and Viswanath,
"All-but-the-Top", ICLR 2018, without their second step).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 4096


def features_of(vectors: NDArray[np.float32], centre: NDArray[np.float32]) -> Floats:
    """Returns phi(x) = (x - c) / |x - c| of each vector, zero where x is c.

    Each length is a product of its own, so a row doesn't depend on the others.

    Args:
        vectors: (..., d) float32.
        centre: (d,) float32, c.

    Returns:
        (..., d) float64.
    """
    apart = vectors.astype(np.float64) - centre.astype(np.float64)
    lengths = np.sqrt(np.vecdot(apart, apart))[..., None]
    return np.asarray(apart / np.where(lengths > 0, lengths, 1.0))


def blocks_of_features(
    vectors: NDArray[np.float32], centre: NDArray[np.float32]
) -> Iterator[tuple[slice, Floats]]:
    """Yields features of (n, d) vectors some thousands at a time, and which rows they are of.

    So many training prompts are never in float64 all at once.
    """
    for first in range(0, len(vectors), _BLOCK):
        rows = slice(first, first + _BLOCK)
        yield rows, features_of(vectors[rows], centre)
