"""The serial kernels of a recall: the samples nearest to prompts, and where they lie."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.compilation import brief_kernel, request_kernel
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
    """Puts samples (m,) of squared distances (m,) among the nearest; as `keep_nearest`.

    A number below 0 is no sample.
    """
    for place in range(seqs.shape[0]):
        if seqs[place] >= 0:
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
    """Measures the living among vectors (m, d), and keeps the nearest; as `keep_nearest`."""
    most = nearest.shape[0]
    for place in range(vectors.shape[0]):
        if alive[place]:
            squared = squared_distance(vectors[place], query)
            if kept < most or squared <= distances[most - 1]:
                kept = keep_nearest(squared, seqs[place], kept, nearest, distances)
    return kept


@request_kernel
def find_slots(
    prompts: Row,
    seqs: Integers,
    squared: Row,
    recent: Row,
    recent_alive: NDArray[np.bool_],
    recent_seqs: Integers,
    elders: Row,
    elders_alive: NDArray[np.bool_],
    elders_seqs: Integers,
    slot_of: NDArray[np.int32],
    names: NDArray[np.uint64],
    without: NDArray[np.uint64],
    slots: Integers,
    distances: Row,
    ends: Integers,
) -> None:
    """Finds the slots of the samples nearest to each prompt, but for one of them.

    All that a recall does after its search in the graphs, in one call: each costs some
    microseconds, and in a server more than what it does.

    Args:
        prompts: (n, d) float32.
        seqs: (n, m) numbers of samples that graphs have found for each; below 0 where there is
            none.
        squared: (n, m) float32, their squared distances.
        recent: (a, d) float32, vectors that are in no graph.
        recent_alive: (a,) which of them live.
        recent_seqs: (a,) numbers of their samples.
        elders: (b, d) others, likewise.
        elders_alive: (b,).
        elders_seqs: (b,).
        slot_of: (capacity,) int32, one more than the slot of the sample `seq % capacity`.
        names: (slots,) hashes of the names of the samples in them, which are never 0.
        without: (n,) hash of the name that is left out of each; 0 for none.
        slots: (n * k,) takes the slots, of one prompt after the other, nearest first; among
            equals the later sample comes first.
        distances: (n * k,) float32, takes their squared distances.
        ends: (n,) takes where the slots of each prompt end.
    """
    most, end = slots.shape[0] // prompts.shape[0], 0
    nearest, apart = np.empty(most + 1, np.int64), np.empty(most + 1, np.float32)
    for prompt in range(prompts.shape[0]):
        query, begin = prompts[prompt], end
        kept = int(np.int64(0))  # a literal would have kernels compiled for it
        kept = keep_found(seqs[prompt], squared[prompt], kept, nearest, apart)
        kept = keep_living(query, recent, recent_alive, recent_seqs, kept, nearest, apart)
        kept = keep_living(query, elders, elders_alive, elders_seqs, kept, nearest, apart)
        for place in range(kept):
            slot = np.int64(slot_of[nearest[place] % slot_of.shape[0]]) - 1
            if end - begin < most and names[slot] != without[prompt]:
                slots[end] = slot
                distances[end] = apart[place]
                end += 1
        ends[prompt] = end


@brief_kernel
def copy_rows(table: Row, slots: Integers, rows: Row, first: int) -> None:
    """Copies rows of a table (m, c) float32 into `rows` (n, w), from column `first` on.

    Args:
        table: To copy from.
        slots: (n,) which rows.
        rows: Takes them.
        first: Place of the first of their c columns.
    """
    for place in range(slots.shape[0]):
        for cell in range(table.shape[1]):
            rows[place, first + cell] = table[slots[place], cell]
