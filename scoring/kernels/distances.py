"""How far a vector lies from each of a few others."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.compilation import request_kernel


@request_kernel
def squared_distances(
    vectors: NDArray[np.float32], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the squared distances (n,) of `vectors` (n, d) to `query` (d,).

    Differences are summed, not |a|^2 - 2ab + |b|^2, which loses all digits
    between near duplicates.
    """
    squared = np.zeros(vectors.shape[0], np.float32)
    for row in range(vectors.shape[0]):
        total = np.float32(0.0)
        for column in range(vectors.shape[1]):
            step = vectors[row, column] - query[column]
            total += step * step
        squared[row] = total
    return squared
