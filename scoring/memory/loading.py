"""A pool from the log: its rows at once, its graphs from disk where they can be trusted."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring.memory.log import Log, PoolRecord, columns_of
from scoring.memory.pool import Pool
from scoring.memory.segment import Segment
from scoring.memory.snapshots import Snapshots
from scoring.memory.values import MemorySettings

Sample: TypeAlias = tuple[int, NDArray[np.float32]]

_BATCH = 256


def load_pool(log: Log, snapshots: Snapshots, record: PoolRecord, settings: MemorySettings) -> Pool:
    """Brings a pool back as the log has it.

    Graphs that were not saved are built on two threads: about a second for
    each thousand samples.
    """
    pool = Pool(record, settings)
    live = _load_agreements(log, pool)
    segments = _load_segments(log, snapshots, pool, set(live))
    covered = max((segment.last for segment in segments), default=-1)
    lost = [seq for seq in live if not any(segment.holds(seq) for segment in segments)]
    rebuilt = _place_older(log, pool, settings, [seq for seq in lost if seq < covered])
    pool.neighbours.segments = (*rebuilt, *segments)
    _place_newer(log, pool, settings, [seq for seq in lost if seq > covered])
    return pool


def _load_agreements(log: Log, pool: Pool) -> list[int]:
    """Fills the table of a pool; returns the numbers of its live samples, ascending."""
    live: list[int] = []
    for chunk in log.agreements(pool.id):
        samples, rows = defaultdict(list), defaultdict(list)
        for seq, sample_id, learned_at, voters, pairs in chunk:
            live.append(seq)
            samples[voters].append((seq, sample_id, learned_at))
            rows[voters].append(pairs)
        for voters, group in samples.items():
            pool.admit_stored(group, columns_of(voters), b"".join(rows[voters]))
    return live


def _load_segments(log: Log, snapshots: Snapshots, pool: Pool, live: set[int]) -> list[Segment]:
    """Reads the saved graphs, and buries in them what the log no longer has."""
    segments: list[Segment] = []
    for record in log.segments(pool.id):
        segment = snapshots.load(pool.id, pool.space.dimension, record)
        if segment is None or (segment.first, segment.last) != (record.first, record.last):
            snapshots.forget(pool.id, record.first)
            continue
        for seq in range(segment.first, segment.last + 1):
            if seq not in live and segment.holds(seq):
                segment.remove(seq)
        segments.append(segment)
    for segment in segments[:-1]:
        segment.sealed = True
    return segments


def _place_older(log: Log, pool: Pool, settings: MemorySettings, seqs: list[int]) -> list[Segment]:
    """Puts back what lived in graphs that were lost or dissolved; returns new graphs."""
    if len(seqs) <= settings.segment_size // 8:
        if seqs:
            found = [vector for _, vector in _prompts(log, pool, seqs)]
            pool.neighbours.add_elders(np.array(seqs, np.int64), np.stack(found))
        return []
    rebuilt: list[Segment] = []
    for start in range(0, len(seqs), settings.segment_size):
        segment = Segment(pool.space.dimension, settings.segment_size, settings.hnsw)
        _build(segment, _prompts(log, pool, seqs[start : start + settings.segment_size]))
        segment.sealed = True
        rebuilt.append(segment)
    return rebuilt


def _place_newer(log: Log, pool: Pool, settings: MemorySettings, seqs: list[int]) -> None:
    """Puts back what was learned after the last graph was saved."""
    buffered = max(0, len(seqs) - settings.exact)
    done = 0
    while done < buffered:
        youngest = pool.neighbours.youngest()
        step = min(buffered - done, youngest.size - youngest.count)
        _build(youngest, _prompts(log, pool, seqs[done : done + step]))
        done += step
    for seq, vector in _prompts(log, pool, seqs[buffered:]):
        pool.neighbours.make_room()
        pool.neighbours.add(seq, vector)


def _build(segment: Segment, samples: Iterator[Sample]) -> None:
    while batch := list(islice(samples, _BATCH)):
        seqs, vectors = zip(*batch, strict=True)
        segment.insert_many(np.array(seqs, np.int64), np.stack(vectors))


def _prompts(log: Log, pool: Pool, seqs: list[int]) -> Iterator[Sample]:
    """Samples of these numbers, which ascend, with their prompts (d,)."""
    if not seqs:
        return
    wanted = set(seqs)
    for found, vectors in log.prompts(pool.id, seqs[0], seqs[-1]):
        for seq, vector in zip(found.tolist(), vectors, strict=True):
            if seq in wanted:
                yield seq, vector
