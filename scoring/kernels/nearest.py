"""The nearest prompts of every prompt: found by float32 products, measured in float64."""

import numpy as np
from numba import prange

from scoring.kernels.compilation import DatasetKernel, request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row
from scoring.kernels.dataset import Flags, squared_distance

# How many more than wanted are measured in float64.
MORE = 12


@request_kernel
def keep_least(value: float, index: int, values: Floats, indices: Integers) -> None:
    """Puts a value in its place among the least so far, behind its equals."""
    place = values.shape[0] - 1
    while place > 0 and values[place - 1] > value:
        values[place] = values[place - 1]
        indices[place] = indices[place - 1]
        place -= 1
    values[place] = value
    indices[place] = index


@request_kernel
def shortlist(products: Row, norms: Floats, itself: int, values: Floats, indices: Integers) -> None:
    """Fills in the least of |b|^2 - 2 ab, all but the point's own, and whose they are."""
    last = values.shape[0] - 1
    for place in range(values.shape[0]):
        values[place] = np.inf
        indices[place] = -1
    for other in range(products.shape[0]):
        value = norms[other] - 2.0 * np.float64(products[other])
        if value < values[last] and other != itself:
            keep_least(value, other, values, indices)


@request_kernel
def settle(points: Row, itself: int, listed: Integers, nearest: Integers) -> float:
    """Fills in the nearest of those on a list, itself first; returns the largest distance."""
    others = nearest.shape[0] - 1
    nearest[0] = itself
    if others == 0:
        return -np.inf
    values = np.full(others, np.inf)
    for place in range(listed.shape[0]):
        apart = squared_distance(points[itself], points[listed[place]])
        if apart < values[others - 1]:
            keep_least(apart, listed[place], values, nearest[1:])
    return float(values[others - 1])


@DatasetKernel
def nearest_of_block(
    points: Row, norms: Floats, products: Row, start: int, error: float, nearest: Integers
) -> Flags:
    """Finds the nearest of some points, from products that are a little wrong.

    Args:
        points: (n, d) float32.
        norms: (n,) their squared norms.
        products: (b, n) float32, of the points from `start` on with all.
        start: The first of the b points.
        error: How far a product may be out.
        nearest: (b, k) filled in: the point itself first, then by distance.

    Returns:
        (b,) whether it is certain that no other point is nearer.
    """
    certain = np.zeros(products.shape[0], np.bool_)
    listed = min(nearest.shape[1] + MORE, points.shape[0]) - 1
    for query in prange(products.shape[0]):
        itself = start + query
        values, indices = np.empty(listed), np.empty(listed, np.int64)
        if listed > 0:
            shortlist(products[query], norms, itself, values, indices)
        farthest = settle(points, itself, indices, nearest[query])
        if listed == points.shape[0] - 1:
            certain[query] = True
        else:
            certain[query] = values[listed - 1] + norms[itself] - 2.0 * error > farthest
    return certain
