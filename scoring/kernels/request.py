"""The serial kernel that estimates for one request, in a single call."""

from typing import TypeAlias

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column, contrast, sum_row
from scoring.kernels.judge import rank_noise, scale_of, weigh_noise
from scoring.kernels.solve import solve_noise

# sums, counts, contrast_sums, contrast_squares, contrast_counts, voter_samples
Sums: TypeAlias = tuple[Floats, Integers, Floats, Floats, Integers, Integers]
Gathered: TypeAlias = tuple[Floats, Integers, Integers, int]
# ties, neighbours used, margin, its standard error, and whether a number is unusable
Estimated: TypeAlias = tuple[int, int, float, float, bool]


@request_kernel
def add_row(
    row: Row,
    voters: int,
    sums: Floats,
    counts: Integers,
    used: Integers,
    position: Integers,
    seen: Integers,
) -> int:
    """Adds one sample's distances to the sums, and counts it for the voters that have any.

    `seen` is room, as long as `used`.

    Returns:
        1 if a voter at one of these positions has any, else 0.
    """
    told = 0
    for voter in range(seen.shape[0]):
        seen[voter] = 0
    for j in range(1, voters):
        first = j * (j - 1) // 2
        for i in range(j):
            distance = row[first + i]
            if not np.isnan(distance):
                sums[first + i] += distance
                counts[first + i] += 1
                seen[i] = 1
                seen[j] = 1
    for voter in range(voters):
        used[voter] += seen[voter]
    for place in range(position.shape[0]):
        told = max(told, seen[position[place]])
    return told


@request_kernel
def spread_row(current: Row, position: Integers, voters: int) -> Row:
    """Lays the request's row out over the columns of the pool and the request together."""
    row = np.zeros(voters * (voters - 1) // 2, np.float32)
    for cell in range(row.shape[0]):
        row[cell] = np.nan
    for j in range(1, position.shape[0]):
        for i in range(j):
            row[column(position[i], position[j])] = current[column(i, j)]
    return row


@request_kernel
def gather(
    totals: Sums, rows: Row, row_voters: int, row: Row, position: Integers, voters: int
) -> Gathered:
    """Adds up what a pool knows and the current sample.

    Returns:
        (V(V-1)/2,) sums and counts of the pool and the request together; (V,)
        samples per voter; and the number of samples in which some voter of the
        request has a distance. Of `totals` it is the most that one of them has.
    """
    sums = np.zeros(voters * (voters - 1) // 2)
    counts, used = np.zeros(sums.shape[0], np.int64), np.zeros(voters, np.int64)
    for cell in range(totals[0].shape[0]):
        sums[cell] = totals[0][cell]
        counts[cell] = totals[1][cell]
    for voter in range(totals[5].shape[0]):
        used[voter] = totals[5][voter]
    neighbours = 0
    for place in range(position.shape[0]):
        neighbours = max(neighbours, used[position[place]])
    seen = np.zeros(voters, np.int64)
    for sample in range(rows.shape[0]):
        neighbours += add_row(rows[sample], row_voters, sums, counts, used, position, seen)
    neighbours += add_row(row, voters, sums, counts, used, position, seen)
    return sums, counts, used, neighbours


@request_kernel
def conclude(
    sums: Floats,
    counts: Integers,
    position: Integers,
    voters: int,
    noise: Floats,
    weight: Floats,
    order: Integers,
) -> tuple[int, float]:
    """Fills in noise, weights and order of the voters at these positions.

    Returns:
        How many are tied with the best, and the scale.
    """
    scale, everyone = scale_of(sums, counts, position), solve_noise(sums, counts, voters)
    for voter in range(noise.shape[0]):
        noise[voter] = everyone[position[voter]]
    weigh_noise(noise, scale, weight)
    return rank_noise(noise, scale, order), scale


@request_kernel
def count_unusable(row: Row, least: float) -> int:
    """Returns how many numbers are infinite or below `least`; NaN is neither."""
    unusable = 0
    for cell in range(row.shape[0]):
        unusable += (row[cell] < least) | (np.abs(row[cell]) == np.inf)
    return unusable


@request_kernel
def all_finite(numbers: Floats) -> bool:
    """Whether none of the numbers is NaN or infinite."""
    finite = True
    for cell in range(numbers.shape[0]):
        finite &= np.isfinite(numbers[cell])
    return finite


@request_kernel
def usable(totals: Sums, rows: Row, current: Row) -> bool:
    """Whether sums and the current row are finite, and rows hold squared distances or NaN."""
    unusable = count_unusable(current, -np.inf)
    for cell in range(current.shape[0]):
        unusable += np.isnan(current[cell])
    for sample in range(rows.shape[0]):
        unusable += count_unusable(rows[sample], 0.0)
    finite = all_finite(totals[0]) and all_finite(totals[2]) and all_finite(totals[3])
    return finite and unusable == 0


@request_kernel
def standard_error(
    totals: Sums, rows: Row, row_voters: int, current: Row, voters: int, second: int, best: int
) -> float:
    """Returns the standard error of the mean of noise_second - noise_best.

    The mean is over the samples that show the contrast: those summed up in
    `totals`, one for each row, and the current one. It is NaN below two of them.
    """
    samples, mean, squares, cell = 0, 0.0, 0.0, column(second, best)
    if cell < totals[4].shape[0] and totals[4][cell] > 0:
        samples = totals[4][cell]
        mean = totals[2][cell] / samples if second < best else -totals[2][cell] / samples
        squares = max(totals[3][cell] - samples * mean * mean, 0.0)
    sums, degrees = np.zeros(voters), np.zeros(voters, np.int64)
    for sample in range(rows.shape[0] + 1):
        if sample < rows.shape[0]:
            present = sum_row(rows[sample], row_voters, sums, degrees)
        else:
            present = sum_row(current, voters, sums, degrees)
        value = contrast(sums, degrees, present, second, best)
        if not np.isnan(value):
            samples += 1
            step = value - mean
            mean += step / samples
            squares += step * (value - mean)
    return float(np.sqrt(squares / (samples - 1) / samples)) if samples > 1 else np.nan


@request_kernel
def estimate(
    totals: Sums,
    rows: Row,
    row_voters: int,
    current: Row,
    position: Integers,
    voters: int,
    noise: Floats,
    weight: Floats,
    order: Integers,
    used: Integers,
) -> Estimated:
    """Estimates from what a pool knows and the current sample, after looking at every number.

    An array that is returned costs a microsecond, one that is filled in a tenth of it.

    Args:
        totals: sums, counts, contrast_sums, contrast_squares, contrast_counts
            and voter_samples, as in `scoring.evidence.Totals`; arrays of length 0
            for none.
        rows: (k, V(V-1)/2) float32, NaN where a pair is missing; k may be 0.
        row_voters: V, voters of the rows.
        current: (K(K-1)/2,) float32 row of the request.
        position: (K,) place of the request's voters among those of the pool and
            the request together.
        voters: Number of voters of the pool and the request together.
        noise: (K,) takes the noise of the request's voters.
        weight: (K,) takes their weights.
        order: (K,) takes their order.
        used: (K,) takes the samples that each has.

    Returns:
        Number of ties, neighbours used, margin, its standard error, and whether
        the numbers can be used. If not, nothing is filled in.
    """
    if not usable(totals, rows, current):
        return 0, 0, np.nan, np.nan, False
    row = spread_row(current, position, voters)
    sums, counts, everyone, neighbours = gather(totals, rows, row_voters, row, position, voters)
    ties, scale = conclude(sums, counts, position, voters, noise, weight, order)
    margin, error = np.nan, np.nan
    if order.shape[0] > 1 and not np.isnan(noise[order[1]]):
        best, second = order[0], order[1]
        error = standard_error(
            totals, rows, row_voters, row, voters, position[second], position[best]
        )
        margin = 0.0
        if scale > 0:
            error /= scale
            margin = 0.0 if ties > 1 else (noise[second] - noise[best]) / scale
    for voter in range(used.shape[0]):
        used[voter] = everyone[position[voter]]
    return ties, max(neighbours, 1), margin, error, True
