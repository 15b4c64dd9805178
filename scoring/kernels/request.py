"""The serial kernel that estimates for one request, in a single call."""

from typing import TypeAlias

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column, contrast, sum_row
from scoring.kernels.judge import rank_noise, scale_of, weigh_noise
from scoring.kernels.solve import solve_noise

# sums, counts, contrast_sums, contrast_squares, contrast_counts, voter_samples
Sums: TypeAlias = tuple[Floats, Integers, Floats, Floats, Integers, Integers]
Conclusion: TypeAlias = tuple[Floats, Floats, Integers, int, float]
Gathered: TypeAlias = tuple[Floats, Integers, Integers, int]
Estimated: TypeAlias = tuple[Floats, Floats, Integers, int, Integers, int, float, float]


@request_kernel
def add_row(
    row: Row, voters: int, sums: Floats, counts: Integers, used: Integers, position: Integers
) -> int:
    """Adds one sample's distances to the sums, and counts it for the voters that have any.

    Returns:
        1 if a voter at one of these positions has any, else 0.
    """
    seen, told = np.zeros(used.shape[0], np.int64), 0
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
    for sample in range(rows.shape[0]):
        neighbours += add_row(rows[sample], row_voters, sums, counts, used, position)
    neighbours += add_row(row, voters, sums, counts, used, position)
    return sums, counts, used, neighbours


@request_kernel
def conclude(sums: Floats, counts: Integers, position: Integers, voters: int) -> Conclusion:
    """Returns noise, weights, order, ties and scale of the voters at these positions."""
    scale, everyone = scale_of(sums, counts, position), solve_noise(sums, counts, voters)
    noise = np.zeros(position.shape[0])
    for voter in range(noise.shape[0]):
        noise[voter] = everyone[position[voter]]
    order, ties = rank_noise(noise, scale)
    return noise, weigh_noise(noise, scale), order, ties, scale


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
    totals: Sums, rows: Row, row_voters: int, current: Row, position: Integers, voters: int
) -> Estimated:
    """Estimates from what a pool knows and the current sample.

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

    Returns:
        Noise, weights, order, number of ties, samples used, neighbours used,
        margin and its standard error, of the request's K voters.
    """
    row = spread_row(current, position, voters)
    sums, counts, used, neighbours = gather(totals, rows, row_voters, row, position, voters)
    noise, weight, order, ties, scale = conclude(sums, counts, position, voters)
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
    samples = np.zeros(position.shape[0], np.int64)
    for voter in range(samples.shape[0]):
        samples[voter] = used[position[voter]]
    return noise, weight, order, ties, samples, max(neighbours, 1), margin, error
