"""Noise from distances: least squares over the pairs that exist.

With independent zero-mean errors the expected squared distance of two voters is
the sum of their noise variances, d_ij = noise_i + noise_j (Guha et al., NeurIPS
2024). Weighted by the samples per pair, the normal equations are
Q noise = b with Q = D + A, the signless Laplacian of the graph of pairs. A
connected component of it determines its noise exactly if it has an odd cycle.
"""

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column


@request_kernel
def mark_component(counts: Integers, queue: Integers, colours: Integers, known: Integers) -> None:
    """Colours one component with 1 and -1, breadth first, and marks it if that fails.

    Args:
        counts: (V(V-1)/2,) samples that have the pair.
        queue: (V,) room, of which the first is the voter to start from.
        colours: (V,) 0 for voters of no component so far.
        known: (V,) takes 1 for every voter of a component with an odd cycle.
    """
    colours[queue[0]] = 1
    head, tail, odd = 0, 1, 0
    while head < tail:
        voter = queue[head]
        head += 1
        for other in range(colours.shape[0]):
            if other != voter and counts[column(voter, other)] > 0:
                if colours[other] == 0:
                    colours[other] = -colours[voter]
                    queue[tail] = other
                    tail += 1
                elif colours[other] == colours[voter]:
                    odd = 1
    for place in range(tail):
        known[queue[place]] = odd


@request_kernel
def identify(counts: Integers, voters: int) -> Integers:
    """Tells which voters' noise the pairs determine.

    Args:
        counts: (V(V-1)/2,) samples that have the pair.
        voters: V.

    Returns:
        (V,) 1 where the voter's component of the pair graph has an odd cycle,
        else 0.
    """
    colours, known = np.zeros(voters, np.int64), np.zeros(voters, np.int64)
    queue = np.zeros(voters, np.int64)
    for start in range(voters):
        if colours[start] == 0:
            queue[0] = start
            mark_component(counts, queue, colours, known)
    return known


@request_kernel
def factorise(matrix: Floats) -> None:
    """Replaces the lower triangle of a positive definite matrix by its Cholesky factor."""
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            rest = matrix[i, j]
            for inner in range(j):
                rest -= matrix[i, inner] * matrix[j, inner]
            matrix[i, j] = np.sqrt(rest) if i == j else rest / matrix[j, j]


@request_kernel
def substitute(factor: Floats, values: Floats) -> None:
    """Replaces b by the solution of L L' x = b, forwards and then backwards."""
    size = values.shape[0]
    for i in range(size):
        for inner in range(i):
            values[i] -= factor[i, inner] * values[inner]
        values[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        for inner in range(i + 1, size):
            values[i] -= factor[inner, i] * values[inner]
        values[i] /= factor[i, i]


@request_kernel
def common_count(counts: Integers) -> int:
    """Returns how many samples each pair has, 0 where that is not the same number for all."""
    for cell in range(counts.shape[0]):
        if counts[cell] != counts[0]:
            return 0
    return int(counts[0])


@request_kernel
def solve_complete(sums: Floats, count: int, noise: Floats) -> None:
    """Fills in [(K-1) S_i - T] / [(K-1)(K-2)], where every pair has so many samples."""
    others, total = noise.shape[0] - 1, 0.0
    for j in range(noise.shape[0]):
        first = j * (j - 1) // 2
        for i in range(j):
            noise[i] += sums[first + i]
            noise[j] += sums[first + i]
            total += sums[first + i]
    for voter in range(noise.shape[0]):
        noise[voter] = (others * noise[voter] - total) / (others * (others - 1.0) * count)


@request_kernel
def solve_noise(sums: Floats, counts: Integers, voters: int) -> Floats:
    """Returns the least-squares noise of every voter.

    Minimises sum_ij counts_ij (sums_ij / counts_ij - noise_i - noise_j)^2. Where
    all counts are equal this is the triplet estimate averaged over all pairs of
    other voters, noise_i = [(K-1) S_i - T] / [(K-1)(K-2)].

    Args:
        sums: (V(V-1)/2,) of the squared distances of the pair.
        counts: (V(V-1)/2,) samples that have the pair.
        voters: V.

    Returns:
        (V,) noise variances, NaN where the pairs don't determine them.
    """
    noise = np.zeros(voters)
    if voters > 2 and common_count(counts) > 0:
        solve_complete(sums, common_count(counts), noise)
        return noise
    known = identify(counts, voters)
    matrix = np.zeros((voters, voters))
    for j in range(voters):
        for i in range(j):
            cell = column(i, j)
            if known[i] == 1 and counts[cell] > 0:
                matrix[j, i] = counts[cell]
                matrix[i, i] += counts[cell]
                matrix[j, j] += counts[cell]
                noise[i] += sums[cell]
                noise[j] += sums[cell]
        # An equation of its own keeps the matrix definite.
        matrix[j, j] += 1 - known[j]
    factorise(matrix)
    substitute(matrix, noise)
    for voter in range(voters):
        noise[voter] = noise[voter] if known[voter] == 1 else np.nan
    return noise


@request_kernel
def solve_each(rows: Row, ends: Integers, voters: int, noise: Floats, usable: Integers) -> bool:
    """Solves for the noise of several neighbourhoods of one pool, in a single call.

    Args:
        rows: (m, V(V-1)/2) float32 squared distances of the samples of one neighbourhood after
            the other, NaN where a pair is missing.
        ends: (n,) where the rows of each neighbourhood end.
        voters: V.
        noise: (n, V) takes the noise variances, as `solve_noise` has them.
        usable: (n,) takes how many samples of each have any pair.

    Returns:
        Whether all are squared distances or NaN. If not, what is filled in means nothing.
    """
    begin, sound = 0, True
    for place in range(ends.shape[0]):
        sums = np.zeros(rows.shape[1])
        counts = np.zeros(rows.shape[1], np.int64)
        usable[place] = 0
        for sample in range(begin, ends[place]):
            told = 0
            for cell in range(rows.shape[1]):
                distance = rows[sample, cell]
                if not np.isnan(distance):
                    sound &= (distance >= 0) & (distance < np.inf)
                    sums[cell] += distance
                    counts[cell] += 1
                    told = 1
            usable[place] += told
        noise[place] = solve_noise(sums, counts, voters)
        begin = ends[place]
    return sound
