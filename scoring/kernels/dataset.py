"""The parallel kernels of whole data sets."""

from typing import TypeAlias

import numpy as np
from numba import prange
from numpy.typing import NDArray

from scoring.kernels.compilation import DatasetKernel, request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row, column
from scoring.kernels.measure import inner_product
from scoring.kernels.request import add_row, conclude

Flags: TypeAlias = NDArray[np.bool_]

# Samples that one thread adds up before it looks for more: the sums don't depend
# on the number of threads.
BLOCK = 64


@request_kernel
def squared_distance(one: Row, other: Row) -> float:
    """Returns |a - b|^2 of two float32 vectors, in float64."""
    total = 0.0
    for cell in range(one.shape[0]):
        step = np.float64(one[cell]) - np.float64(other[cell])
        total += step * step
    return total


@request_kernel
def add_step(vector: Row, origin: Row, centre: Floats) -> tuple[float, float]:
    """Adds vector - origin, in float64; returns its squared length and that of vector."""
    length, norm = 0.0, 0.0
    for cell in range(vector.shape[0]):
        value = np.float64(vector[cell])
        step = value - np.float64(origin[cell])
        centre[cell] += step
        length += step * step
        norm += value * value
    return length, norm


@request_kernel
def project_step(vector: Row, origin: Row, centre: Floats) -> float:
    """Returns (vector - origin) . centre, in float64."""
    total = 0.0
    for cell in range(vector.shape[0]):
        total += (np.float64(vector[cell]) - np.float64(origin[cell])) * centre[cell]
    return total


@request_kernel
def add_sample(sample: Row, centre: Floats, totals: Floats, limit: float) -> int:
    """Adds S_i = K |e_i|^2 - 2 e_i . s + sum_j |e_j|^2 of one sample, s = sum_j e_j.

    The first voter's vector is taken as the origin, which changes no distance and
    makes those of identical answers exactly zero.

    Args:
        sample: (K, d) float32.
        centre: (d,) room for s.
        totals: (K,) takes S_i.
        limit: Largest usable squared norm.

    Returns:
        How many vectors have another norm.
    """
    voters, origin = sample.shape[0], sample[0]
    everyone, refused = 0.0, 0
    for cell in range(centre.shape[0]):
        centre[cell] = 0.0
    for i in range(voters):
        length, norm = add_step(sample[i], origin, centre)
        refused += not norm <= limit
        totals[i] += voters * length
        everyone += length
    for i in range(voters):
        totals[i] += everyone - 2 * project_step(sample[i], origin, centre)
    return refused


@DatasetKernel
def sum_distances(embeddings: Row, limit: float) -> tuple[Floats, int]:
    """Adds up each voter's distances over a data set in one pass, linear in K.

    Args:
        embeddings: (n, K, d) float32.
        limit: Largest usable squared norm.

    Returns:
        (blocks, K) sums of S_i, and how many vectors have another norm.
    """
    samples, voters, dimension = embeddings.shape
    blocks = (samples + BLOCK - 1) // BLOCK
    totals = np.zeros((blocks, voters))
    refused = 0
    for block in prange(blocks):
        centre = np.zeros(dimension)
        for sample in range(block * BLOCK, min((block + 1) * BLOCK, samples)):
            refused += add_sample(embeddings[sample], centre, totals[block], limit)
    return totals, refused


@request_kernel
def fill_row(sample: Row, present: Flags, row: Row, limit: float) -> int:
    """Fills in the distances between the voters present, NaN elsewhere.

    Args:
        sample: (K, d) float32.
        present: (K,) which voters answered.
        row: (K(K-1)/2,) float32.
        limit: Largest usable squared norm.

    Returns:
        How many vectors present have another norm.
    """
    refused = 0
    for j in range(sample.shape[0]):
        if present[j] and not inner_product(sample[j], sample[j]) <= limit:
            refused += 1
        for i in range(j):
            both = present[i] and present[j]
            row[column(i, j)] = squared_distance(sample[i], sample[j]) if both else np.nan
    return refused


@DatasetKernel
def pair_rows(embeddings: Row, present: Flags, limit: float) -> tuple[Row, int]:
    """Measures every sample of a data set.

    Args:
        embeddings: (n, K, d) float32; those of absent voters are not read.
        present: (n, K) which voters answered.
        limit: Largest usable squared norm.

    Returns:
        (n, K(K-1)/2) float32 squared distances, NaN where one of the two voters
        is absent, and how many vectors present have another norm.
    """
    samples, voters, _ = embeddings.shape
    rows = np.empty((samples, voters * (voters - 1) // 2), np.float32)
    refused = 0
    for sample in prange(samples):
        refused += fill_row(embeddings[sample], present[sample], rows[sample], limit)
    return rows, refused


@request_kernel
def judge_neighbours(
    rows: Row, neighbours: Integers, noise: Floats, weight: Floats, order: Integers
) -> None:
    """Fills in noise, weights and order over the samples that are named."""
    voters = noise.shape[0]
    sums, counts = np.zeros(rows.shape[1]), np.zeros(rows.shape[1], np.int64)
    used, position = np.zeros(voters, np.int64), np.zeros(voters, np.int64)
    seen = np.zeros(voters, np.int64)
    for voter in range(voters):
        position[voter] = voter
    for place in range(neighbours.shape[0]):
        add_row(rows[neighbours[place]], voters, sums, counts, used, position, seen)
    conclude(sums, counts, position, voters, noise, weight, order)


@DatasetKernel
def estimate_neighbourhoods(
    rows: Row, neighbours: Integers, voters: int
) -> tuple[Floats, Floats, Integers]:
    """Estimates for every prompt over its neighbours.

    Args:
        rows: (n, K(K-1)/2) float32, NaN where a pair is missing.
        neighbours: (n, k) samples that each prompt's estimate rests on.
        voters: K.

    Returns:
        (n, K) noise, (n, K) weights, (n, K) voters by noise ascending.
    """
    samples = neighbours.shape[0]
    noise, weight = np.empty((samples, voters)), np.empty((samples, voters))
    order = np.empty((samples, voters), np.int64)
    for sample in prange(samples):
        judge_neighbours(rows, neighbours[sample], noise[sample], weight[sample], order[sample])
    return noise, weight, order


@request_kernel
def summarise_voter(answers: Row, mean: Floats) -> float:
    """Adds the mean of one voter's samples; returns their mean squared distance to it."""
    samples, dimension = answers.shape
    for sample in range(samples):
        for cell in range(dimension):
            mean[cell] += np.float64(answers[sample, cell]) / samples
    spread = 0.0
    for sample in range(samples):
        for cell in range(dimension):
            step = np.float64(answers[sample, cell]) - mean[cell]
            spread += step * step
    return float(spread / samples)


@request_kernel
def cross_row(answers: Row, row: Row, limit: float) -> int:
    """Fills in the mean squared distance over all pairs of samples of each two voters.

    It is |mean_i - mean_j|^2 + spread_i + spread_j: linear in the samples.

    Args:
        answers: (K, s, d) float32.
        row: (K(K-1)/2,) float32.
        limit: Largest usable squared norm.

    Returns:
        How many vectors have another norm.
    """
    voters, samples, dimension = answers.shape
    means, spreads = np.zeros((voters, dimension)), np.zeros(voters)
    refused = 0
    for j in range(voters):
        for sample in range(samples):
            refused += not inner_product(answers[j, sample], answers[j, sample]) <= limit
        spreads[j] = summarise_voter(answers[j], means[j])
        for i in range(j):
            apart = 0.0
            for cell in range(dimension):
                apart += (means[i, cell] - means[j, cell]) ** 2
            row[column(i, j)] = apart + spreads[i] + spreads[j]
    return refused


@DatasetKernel
def cross_rows(embeddings: Row, limit: float) -> tuple[Row, int]:
    """Measures every prompt of a data set with several samples per voter.

    Args:
        embeddings: (n, K, s, d) float32.
        limit: Largest usable squared norm.

    Returns:
        (n, K(K-1)/2) float32 mean squared distances over all pairs of samples,
        and how many vectors have another norm.
    """
    prompts, voters = embeddings.shape[0], embeddings.shape[1]
    rows = np.empty((prompts, voters * (voters - 1) // 2), np.float32)
    refused = 0
    for prompt in prange(prompts):
        refused += cross_row(embeddings[prompt], rows[prompt], limit)
    return rows, refused
