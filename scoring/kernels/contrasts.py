"""Differences of noise within one sample, for the error of a margin."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.compilation import request_kernel
from scoring.pairs import pair_column

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Row: TypeAlias = NDArray[np.float32]

column = request_kernel(pair_column)


@request_kernel
def sum_row(row: Row, voters: int, sums: Floats, degrees: Integers) -> int:
    """Adds up each voter's distances S_i in one sample.

    Args:
        row: (V(V-1)/2,) squared distances, NaN where a pair is missing.
        voters: V.
        sums: (V or more,) filled with S_i.
        degrees: (V or more,) filled with the number of pairs that the voter has.

    Returns:
        The number of voters present, or 0 where the sample can't tell their
        noise apart: fewer than three, or some pair between them is missing.
    """
    for voter in range(voters):
        sums[voter] = 0.0
        degrees[voter] = 0
    pairs = 0
    for j in range(1, voters):
        first = j * (j - 1) // 2
        for i in range(j):
            distance = row[first + i]
            if not np.isnan(distance):
                sums[i] += distance
                sums[j] += distance
                degrees[i] += 1
                degrees[j] += 1
                pairs += 1
    present = 0
    for voter in range(voters):
        present += degrees[voter] > 0
    return present if present >= 3 and 2 * pairs == present * (present - 1) else 0


@request_kernel
def contrast(sums: Floats, degrees: Integers, present: int, i: int, j: int) -> float:
    """Returns noise_i - noise_j = (S_i - S_j) / (K - 2) from what `sum_row` found, or NaN."""
    if present == 0 or degrees[i] == 0 or degrees[j] == 0:
        return np.nan
    return float((sums[i] - sums[j]) / (present - 2))


@request_kernel
def contrast_row(row: Row, voters: int) -> Floats:
    """Returns every contrast of one sample; see `scoring.kernels.row_contrasts`."""
    sums, degrees = np.zeros(voters), np.zeros(voters, np.int64)
    present = sum_row(row, voters, sums, degrees)
    contrasts = np.zeros(row.shape[0])
    for j in range(1, voters):
        for i in range(j):
            contrasts[column(i, j)] = contrast(sums, degrees, present, i, j)
    return contrasts
