"""Neighbour graphs at start: from disk where they can be trusted, else from the log."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring.memory.graph_log import Collection, GraphLog
from scoring.memory.neighbours import NeighbourIndex
from scoring.memory.segment import Segment, few
from scoring.memory.snapshots import Snapshots
from scoring.memory.values import MemorySettings

Vector: TypeAlias = tuple[int, NDArray[np.float32]]

_BATCH = 256


class GraphLoader:
    """Fills the index of a pool whose live samples, or subjects, are known by number.

    Graphs that were not saved are built on two threads: 20 seconds to a minute
    for 100,000 vectors of 384 dimensions.
    """

    def __init__(self, log: GraphLog, snapshots: Snapshots, settings: MemorySettings) -> None:
        self._log = log
        self._snapshots = snapshots
        self._settings = settings

    def load(self, index: NeighbourIndex, live: list[int]) -> None:
        """Puts the vectors of these numbers, which ascend, into an empty index."""
        segments = self._segments(index.vectors, set(live))
        covered = max((segment.last for segment in segments), default=-1)
        lost = [seq for seq in live if not any(segment.holds(seq) for segment in segments)]
        rebuilt = self._place_older(index, [seq for seq in lost if seq < covered])
        index.segments = (*rebuilt, *segments)
        self._place_newer(index, [seq for seq in lost if seq > covered])

    def _segments(self, vectors: Collection, live: set[int]) -> list[Segment]:
        """Reads the saved graphs, and buries in them what the log no longer has."""
        segments: list[Segment] = []
        for record in self._log.segments(vectors):
            segment = self._snapshots.load(vectors, record)
            if segment is None or (segment.first, segment.last) != (record.first, record.last):
                self._snapshots.forget(vectors, record.first)
                continue
            for seq in range(segment.first, segment.last + 1):
                if seq not in live and segment.holds(seq):
                    segment.remove(seq)
            segments.append(segment)
        for segment in segments[:-1]:
            segment.sealed = True
        return segments

    def _place_older(self, index: NeighbourIndex, seqs: list[int]) -> list[Segment]:
        """Puts back what lived in graphs that were lost or dissolved; returns new graphs."""
        size = self._settings.segment_size
        if len(seqs) <= size // 8 or few(len(seqs), size):
            if seqs:
                found = [vector for _, vector in self._prompts(index.vectors, seqs)]
                index.add_elders(np.array(seqs, np.int64), np.stack(found))
            return []
        rebuilt: list[Segment] = []
        for start in range(0, len(seqs), size):
            segment = Segment(index.vectors.dimension, size, self._settings.hnsw)
            _build(segment, self._prompts(index.vectors, seqs[start : start + size]))
            segment.sealed = True
            rebuilt.append(segment)
        return rebuilt

    def _place_newer(self, index: NeighbourIndex, seqs: list[int]) -> None:
        """Puts back what came after the last graph was saved."""
        buffered = len(seqs) if index.belongs_in_graph(len(seqs)) else 0
        done = 0
        while done < buffered:
            youngest = index.youngest()
            step = min(buffered - done, youngest.size - youngest.count)
            _build(youngest, self._prompts(index.vectors, seqs[done : done + step]))
            done += step
        for seq, vector in self._prompts(index.vectors, seqs[buffered:]):
            index.make_room()
            index.add(seq, vector)

    def _prompts(self, vectors: Collection, seqs: list[int]) -> Iterator[Vector]:
        """Vectors (d,) of these numbers, which ascend."""
        if not seqs:
            return
        wanted = set(seqs)
        for found, prompts in self._log.prompts(vectors, seqs[0], seqs[-1]):
            for seq, vector in zip(found.tolist(), prompts, strict=True):
                if seq in wanted:
                    yield seq, vector


def _build(segment: Segment, vectors: Iterator[Vector]) -> None:
    while batch := list(islice(vectors, _BATCH)):
        seqs, found = zip(*batch, strict=True)
        segment.insert_many(np.array(seqs, np.int64), np.stack(found))
