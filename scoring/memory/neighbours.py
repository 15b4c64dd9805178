"""The nearest prompts of a pool: young ones exactly, older ones by graphs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.memory.exact import ExactBuffer, Window
from scoring.memory.graph_log import Collection
from scoring.memory.locks import SharedLock
from scoring.memory.segment import Segment, few, side_by_side
from scoring.memory.values import MemorySettings


class Near(NamedTuple):
    """Where the nearest to n prompts are: among what graphs have found, and in two buffers.

    Attributes:
        seqs: Shape (n, m), int64, numbers of samples; below 0 where there is none.
        squared: Shape (n, m), float32, their squared distances.
        recent: In no graph yet.
        elders: In no graph any more.
    """

    seqs: NDArray[np.int64]
    squared: NDArray[np.float32]
    recent: Window
    elders: Window


class NeighbourIndex:
    """Prompt vectors in order of time.

    A new vector goes into a small buffer that is searched exactly, so it is
    found at once. Up to `exact` of them there is no graph, and they stay there.
    Once they are more, the writer moves the oldest of the buffer into the
    youngest graph, one at a time until none is left, and readers run between
    two insertions; from then on nothing stays in the buffer. Forgotten samples
    are marked dead in their graph; a graph with little left alive is dissolved
    into a second exact buffer, and its memory freed.

    `search` runs under the read lock. `add` and `forget` run under the write
    lock. The others are called by the writer without the lock and take it
    themselves, for one insertion, or to put in what was built beside the readers.

    Attributes:
        vectors: Whose vectors they are.
        segments: The graphs, in order of time.
    """

    def __init__(self, vectors: Collection, settings: MemorySettings, lock: SharedLock) -> None:
        self.vectors = vectors
        self._settings = settings
        self._lock = lock
        self._recent = ExactBuffer(vectors.dimension)
        self._elders = ExactBuffer(vectors.dimension)
        self.segments: tuple[Segment, ...] = ()

    @property
    def waiting(self) -> int:
        """Samples in the buffer that belong into a graph."""
        return self._recent.live if self.belongs_in_graph(self._recent.live) else 0

    def belongs_in_graph(self, buffered: int) -> bool:
        """Whether so many in the buffer belong into a graph: all do, where there is one."""
        return bool(self.segments) or buffered > self._settings.exact

    def make_room(self) -> None:
        """Makes sure that one sample can be added."""
        if self._recent.full:
            recent = self._recent.roomier()
            with self._lock.write():
                self._recent = recent

    def add(self, seq: int, vector: NDArray[np.float32]) -> None:
        """Appends a sample (d,), found by the next search. There must be room."""
        self._recent.add(seq, vector)

    def add_elders(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Keeps old samples (n,), (n, d) outside the graphs."""
        elders = self._elders.joined(seqs, vectors)
        with self._lock.write():
            self._elders = elders

    def forget(self, seq: int) -> None:
        """Takes out a live sample."""
        for segment in self.segments:
            if segment.holds(seq):
                segment.remove(seq)
                return
        if not self._recent.remove(seq):
            self._elders.remove(seq)

    def search(self, prompts: NDArray[np.float32], k: int) -> Near:
        """Where the `k` nearest to each of some prompts (n, d) are."""
        found = [segment.search(prompts, k) for segment in self.segments]
        seqs, squared = found[0] if len(found) == 1 else side_by_side(found, len(prompts))
        return Near(seqs, squared, self._recent.window, self._elders.window)

    def merge(self) -> None:
        """Moves the oldest sample of the buffer into the youngest graph."""
        seq, vector = self._recent.oldest()
        segment = self.youngest()
        twin = segment.twin_of(vector)
        if twin is None and segment.crowded:
            with self._lock.write():
                segment.grow()
            segment.prefer_huge_pages()
        with self._lock.write():
            segment.insert(seq, vector, twin)
            self._recent.remove(seq)

    def youngest(self) -> Segment:
        """The graph that takes new samples."""
        if not self.segments or self.segments[-1].full:
            segment = Segment(
                self.vectors.dimension,
                self._settings.segment_size,
                self._settings.hnsw,
                roomy=bool(self.segments),
            )
            self.segments = (*self.segments, segment)
        return self.segments[-1]

    @property
    def due(self) -> Segment | None:
        """A graph to save."""
        return next((segment for segment in self.segments if segment.due), None)

    def sparse(self) -> Segment | None:
        """A graph to dissolve."""
        return next((each for each in self.segments if each.sparse or self._outlived(each)), None)

    def _outlived(self, segment: Segment) -> bool:
        # Many graphs may come to this, and what they leave behind is compared together.
        return segment.full and few(self._elders.live + segment.live, segment.count)

    def dissolve(self, segment: Segment) -> None:
        """Moves what is left alive of a graph into the exact buffer, and drops the graph."""
        elders = self._elders.joined(*segment.survivors())
        with self._lock.write():
            self._elders = elders
            self.segments = tuple(other for other in self.segments if other is not segment)
