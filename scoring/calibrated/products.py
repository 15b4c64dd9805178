"""Products of small matrices, in the calling thread."""

import numpy as np

from scoring.calibrated.values import Floats

_SMALL = 1 << 18
"""Multiplications up to which OpenBLAS starts no other thread."""


def product(left: Floats, right: Floats) -> Floats:
    """Returns left @ right, of (m, k) and (k, n), a few columns at a time if it is large.

    Several threads save little on matrices of a request, and wait for each other for
    milliseconds where cores are busy.
    """
    columns = right.shape[1]
    block = max(_SMALL // max(left.size, 1), 1)
    if block >= columns:
        whole: Floats = left @ right
        return whole
    parts = [left @ right[:, first : first + block] for first in range(0, columns, block)]
    return np.concatenate(parts, axis=1)
