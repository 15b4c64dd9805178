"""Rows that are the same vector."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_twins(vectors: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Returns (n,): for each row of (n, d), the first row with the same numbers; 0 is -0."""
    # Comparing the bytes of a row at once is many times faster than number after number.
    rows = np.ascontiguousarray(vectors + 0)
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[group], np.int64)
