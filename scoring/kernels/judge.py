"""From noise to a ranking and weights, defined for every noise."""

import numpy as np

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Floats, Integers, column

# Noise below this share of the scale counts as this share in weights.
FLOOR = 1e-3
# Noise equal within this share of the scale is a tie.
TIE = 1e-9


@request_kernel
def mean_distance(sums: Floats, counts: Integers) -> float:
    """Returns the mean squared distance over every pair of every sample, 0 with none."""
    total, samples = 0.0, 0
    for cell in range(counts.shape[0]):
        if counts[cell] > 0:
            total += sums[cell]
            samples += counts[cell]
    return max(total / max(samples, 1), 0.0)


@request_kernel
def scale_of(sums: Floats, counts: Integers, position: Integers) -> float:
    """Returns the mean squared distance between the voters at these positions.

    It is over all samples that have the pair: voters who aren't judged don't move
    it. Where that mean is 0 or has no pair, it is over every pair instead, so that
    rounding stays small beside it.

    Args:
        sums: (V(V-1)/2,) of the squared distances of the pair.
        counts: (V(V-1)/2,) samples that have the pair.
        position: (K,) places of the voters judged, among the V.
    """
    total, samples = 0.0, 0
    for j in range(position.shape[0]):
        for i in range(j):
            cell = column(position[i], position[j])
            if counts[cell] > 0:
                total += sums[cell]
                samples += counts[cell]
    scale = total / max(samples, 1)
    return scale if scale > 0 else mean_distance(sums, counts)


@request_kernel
def rank_noise(noise: Floats, scale: float, order: Integers) -> int:
    """Orders voters by noise ascending, NaN last.

    Voters within `TIE` of the best are equal: they keep their own order, so that
    rounding doesn't decide between identical answers.

    Args:
        noise: (K,) noise variances, NaN where unknown.
        scale: As from `scale_of`.
        order: (K,) filled with voters, best first.

    Returns:
        How many of them are as good as the first.
    """
    voters, best = noise.shape[0], np.inf
    for voter in range(voters):
        if noise[voter] < best:
            best = noise[voter]
    keys, ties = np.zeros(voters), 0
    for voter in range(voters):
        keys[voter] = np.inf if np.isnan(noise[voter]) else noise[voter]
        if keys[voter] <= best + TIE * scale:
            keys[voter] = best
            ties += 1
        place = voter
        while place > 0 and keys[order[place - 1]] > keys[voter]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = voter
    return ties


@request_kernel
def weigh_noise(noise: Floats, scale: float, weight: Floats) -> None:
    """Fills in weights in proportion to 1 / max(noise, FLOOR * scale), that sum to 1.

    A voter of unknown noise weighs 0, unless all are unknown: then all weigh the
    same. So do all known voters where every distance is zero.

    Args:
        noise: (K,) noise variances, NaN where unknown.
        scale: As from `scale_of`.
        weight: (K,) takes them: finite, at least 0.
    """
    floor, total = FLOOR * scale, 0.0
    for voter in range(weight.shape[0]):
        weight[voter] = 0.0
        if not np.isnan(noise[voter]):
            weight[voter] = floor / noise[voter] if noise[voter] > floor else 1.0
            total += weight[voter]
    for voter in range(weight.shape[0]):
        weight[voter] = weight[voter] / total if total > 0 else 1.0 / weight.shape[0]
