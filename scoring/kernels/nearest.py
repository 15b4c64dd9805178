"""The nearest prompts of every prompt: found by float32 products, measured in float64."""

import numpy as np
from numba import prange

from scoring.kernels.compilation import DatasetKernel, request_kernel
from scoring.kernels.contrasts import Floats, Integers, Row
from scoring.kernels.dataset import Flags, squared_distance

# Products that are compared at once.
LANES = 32
# Columns that one thread reads: wide enough that memory is read in runs.
STRIP = 256


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
def list_nearest(products: Row, halves: Row, first: int, values: Floats, indices: Integers) -> None:
    """Keeps the least of |b|^2 / 2 - ab among those listed so far.

    Args:
        products: (m,) float32 of the point a with m points b.
        halves: (m or more,) float32, half their squared norms.
        first: The first of the points b.
        values: (l,) least so far, ascending; infinite where there are fewer.
        indices: (l,) whose they are.
    """
    last = values.shape[0] - 1
    for start in range(0, products.shape[0], LANES):
        stop = min(start + LANES, products.shape[0])
        worst, nearer = np.float32(values[last]), False
        for cell in range(start, stop):  # without a branch: several cells at once
            nearer |= halves[cell] - products[cell] < worst
        if nearer:
            for cell in range(start, stop):
                value = np.float64(halves[cell] - products[cell])
                if value < values[last]:
                    keep_least(value, first + cell, values, indices)


@request_kernel
def list_of_columns(
    products: Row,
    halves: Row,
    row: int,
    column: int,
    start: int,
    values: Floats,
    indices: Integers,
) -> None:
    """Lists, for the points of some columns from `start` on, those of the rows before them."""
    rows, width = products.shape[0], values.shape[0]
    turned = np.empty((width, LANES), np.float32)
    for top in range(0, min(rows, column + start + width - row), LANES):
        for place in range(top, min(top + LANES, rows)):
            for cell in range(width):
                turned[cell, place - top] = products[place, start + cell]
        for cell in range(width):
            before = min(LANES, rows - top, column + start + cell - row - top)
            if before > 0:
                near = turned[cell, :before]
                list_nearest(near, halves[row + top :], row + top, values[cell], indices[cell])


@request_kernel
def from_both_ends(count: int) -> Integers:
    """Returns 0, count - 1, 1, count - 2, ...: threads then share a triangle by equal parts."""
    order = np.empty(count, np.int64)
    for turn in range(count):
        order[turn] = count - 1 - turn // 2 if turn % 2 else turn // 2
    return order


@DatasetKernel
def list_nearest_of_tile(
    products: Row, halves: Row, row: int, column: int, values: Floats, indices: Integers
) -> None:
    """Lists near points by the products of some points with some, each of two points for the other.

    Args:
        products: (r, c) float32, of the points from `row` on with those from `column`
            on. Only those of a point with a later one are read.
        halves: (n,) float32, half the squared norms of all points.
        row: The first of the r points.
        column: The first of the c points, `row` or after all of the r.
        values: (n, l) least |b|^2 / 2 - ab so far of every point, ascending.
        indices: (n, l) whose they are.
    """
    rows, columns = products.shape
    places, strips = from_both_ends(rows), from_both_ends((columns + STRIP - 1) // STRIP)
    for turn in prange(places.shape[0]):
        place = places[turn]
        itself = row + place
        skipped = max(0, itself + 1 - column)
        first = column + skipped
        list_nearest(
            products[place, skipped:], halves[first:], first, values[itself], indices[itself]
        )
    for turn in prange(strips.shape[0]):
        start = strips[turn] * STRIP
        these = slice(column + start, column + min(start + STRIP, columns))
        list_of_columns(products, halves, row, column, start, values[these], indices[these])


@request_kernel
def settle(point: Row, points: Row, listed: Integers, nearest: Integers) -> float:
    """Fills in the nearest of those on a list; returns the largest distance."""
    if nearest.shape[0] == 0:
        return -np.inf
    values = np.full(nearest.shape[0], np.inf)
    for place in range(listed.shape[0]):
        apart = squared_distance(point, points[listed[place]])
        if apart < values[-1]:
            keep_least(apart, listed[place], values, nearest)
    return float(values[-1])


@DatasetKernel
def settle_all(
    points: Row, norms: Floats, values: Floats, indices: Integers, error: float, nearest: Integers
) -> Flags:
    """Finds the nearest among the points listed, whose values are a little wrong.

    Args:
        points: (n, d) float32.
        norms: (n,) their squared norms.
        values: (n, l) least |b|^2 / 2 - ab of every point, ascending.
        indices: (n, l) whose they are; none else has less.
        error: How far a value may be out.
        nearest: (n, k) filled in: the point itself first, then by distance.

    Returns:
        (n,) whether it is certain that no other point is nearer.
    """
    certain = np.zeros(points.shape[0], np.bool_)
    last = values.shape[1] - 1
    for itself in prange(points.shape[0]):
        nearest[itself, 0] = itself
        farthest = settle(points[itself], points, indices[itself], nearest[itself][1:])
        nearest_other = 2.0 * (values[itself, last] - error) + norms[itself]
        certain[itself] = last + 2 == points.shape[0] or nearest_other > farthest
    return certain
