"""The serial kernels of a recall: the nearest samples, and where they lie."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.compilation import request_kernel
from scoring.kernels.contrasts import Integers, Row


@request_kernel
def squared_norm(vector: Row) -> float:
    """Returns |a|^2 of a float32 vector (d,), in float64."""
    total = 0.0
    for cell in range(vector.shape[0]):
        total += np.float64(vector[cell]) * np.float64(vector[cell])
    return total


@request_kernel
def squared_distance(one: Row, other: Row) -> np.float32:
    """Returns |a - b|^2 of two float32 vectors (d,), in float32.

    Differences are summed, not |a|^2 - 2ab + |b|^2, which loses all digits
    between near duplicates.
    """
    total = np.float32(0.0)
    for cell in range(one.shape[0]):
        step = one[cell] - other[cell]
        total += step * step
    return total


@request_kernel
def keep_nearest(
    squared: np.float32, seq: int, kept: int, nearest: Integers, distances: Row
) -> int:
    """Puts a sample among the nearest so far, if it belongs there; returns how many they are.

    Args:
        squared: Its squared distance.
        seq: Its number; among equals the later comes first.
        kept: How many are there.
        nearest: (k,) numbers of samples, the first `kept` of them filled in.
        distances: (k,) float32, theirs, ascending.
    """
    place = kept
    while place > 0 and (
        squared < distances[place - 1]
        or (squared == distances[place - 1] and seq > nearest[place - 1])
    ):
        place -= 1
    if place == nearest.shape[0]:
        return kept
    last = min(kept, nearest.shape[0] - 1)
    for moved in range(last, place, -1):
        distances[moved] = distances[moved - 1]
        nearest[moved] = nearest[moved - 1]
    distances[place] = squared
    nearest[place] = seq
    return int(last + 1)


@request_kernel
def keep_found(seqs: Integers, squared: Row, kept: int, nearest: Integers, distances: Row) -> int:
    """Puts samples (n,) of squared distances (n,) among the nearest; as `keep_nearest`."""
    for place in range(seqs.shape[0]):
        kept = keep_nearest(squared[place], seqs[place], kept, nearest, distances)
    return kept


@request_kernel
def keep_living(
    query: Row,
    vectors: Row,
    alive: NDArray[np.bool_],
    seqs: Integers,
    kept: int,
    nearest: Integers,
    distances: Row,
) -> int:
    """Measures the living among vectors (n, d), and keeps the nearest; as `keep_nearest`."""
    most = nearest.shape[0]
    for place in range(vectors.shape[0]):
        if alive[place]:
            squared = squared_distance(vectors[place], query)
            if kept < most or squared <= distances[most - 1]:
                kept = keep_nearest(squared, seqs[place], kept, nearest, distances)
    return kept


@request_kernel
def place_others(
    seqs: Integers,
    squared: Row,
    slot_of: NDArray[np.int32],
    names: NDArray[np.uint64],
    without: np.uint64,
    slots: Integers,
    distances: Row,
) -> int:
    """Finds the slots of live samples but for one, as far as there is room.

    Args:
        seqs: (n,) their numbers.
        squared: (n,) float32.
        slot_of: (capacity,) int32, one more than the slot of the sample `seq % capacity`.
        names: (slots,) hashes of the names of the samples in them, which are never 0.
        without: Of the name that is left out; 0 for none.
        slots: (k,) takes the slots.
        distances: (k,) float32, takes their squared distances.

    Returns:
        How many were filled in.
    """
    count = 0
    for place in range(seqs.shape[0]):
        slot = np.int64(slot_of[seqs[place] % slot_of.shape[0]]) - 1
        if count < slots.shape[0] and names[slot] != without:
            slots[count] = slot
            distances[count] = squared[place]
            count += 1
    return count
