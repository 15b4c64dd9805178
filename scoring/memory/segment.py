"""One HNSW graph over a stretch of time."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import hnswlib
import numpy as np
from numpy.typing import NDArray

from scoring.errors import MemoryStorageError
from scoring.memory.huge_pages import ask_for_huge_pages
from scoring.memory.values import HnswParameters

TWIN_DISTANCE = 1e-4
"""Prompts nearer than this share of their length are one node of the graph."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Numbers of samples int64, below 0 where there is none, and squared distances float32."""

_FEW = 2048
_FLOAT_BYTES = 4
_FIRST_ROOM = 1024
_FETCH = 16  # hnswlib takes 0.1 ms for a vector and keeps the interpreter meanwhile


class Segment:
    """A graph that samples are appended to in order, and that they die out of.

    Equal prompts would fill each other's links and cut the graph into islands
    (recall fell to 0.75 with a hundred copies of each prompt), so they share
    one node: the first is its label, the others are its twins.

    Nothing here locks. `insert`, `grow` and `remove` exclude `search`; what
    only looks (`twin_of`, `survivors`, `twins`, `save`) and `prefer_huge_pages`
    may run beside it, in the thread that writes.

    Args:
        dimension: Of the vectors.
        size: Samples after which it is full.
        hnsw: Shape of the graph.
        file: A saved graph.
        roomy: Takes all the room that it will need at once, before anybody reads it, and so
            never grows: for a graph that is sure to become large.
    """

    def __init__(
        self,
        dimension: int,
        size: int,
        hnsw: HnswParameters,
        file: Path | None = None,
        *,
        roomy: bool = False,
    ) -> None:
        self.dimension = dimension
        self.size = size
        self.first = -1
        self.last = -1
        self.count = 0
        self.live = 0
        self.saved_last = -1
        self.sealed = False
        self._alive = bytearray()
        self._live_nodes = 0
        self._node_of: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._graph: Any = hnswlib.Index("l2", dimension)
        if file is None:
            room = size if roomy else min(_FIRST_ROOM, size)
            self._graph.init_index(room, M=hnsw.m, ef_construction=hnsw.ef_construction)
        else:
            self._graph.load_index(str(file), max_elements=size)
        self._graph.set_ef(hnsw.ef_search)  # which a file does not keep
        self._room = self._graph.get_max_elements()
        self.prefer_huge_pages()

    @property
    def full(self) -> bool:
        """No more samples belong here."""
        return self.sealed or self.count >= self.size

    @property
    def sparse(self) -> bool:
        """So little is left alive that comparing it one by one is quicker."""
        return self.count > 0 and 8 * self.live <= self.count

    @property
    def unsaved(self) -> bool:
        """Samples were added since the graph was last saved."""
        return self.saved_last < self.last

    @property
    def due(self) -> bool:
        """It is to be saved: it is full, or has grown by a quarter of its size since."""
        grown = self.last - max(self.saved_last, self.first)
        return self.unsaved and (self.full or 4 * grown >= self.size)

    def holds(self, seq: int) -> bool:
        """Whether a sample lives here."""
        place = seq - self.first
        return bool(0 <= place < len(self._alive) and self._alive[place])

    def twin_of(self, vector: NDArray[np.float32]) -> int | None:
        """The live node that a vector (d,) coincides with."""
        nodes, squared = self._nearest_nodes(vector[None], min(1, self._live_nodes))
        if not nodes.size or squared[0, 0] > TWIN_DISTANCE**2 * float(vector @ vector):
            return None
        return int(nodes[0, 0])

    def _twins_of(self, vectors: NDArray[np.float32]) -> list[int | None]:
        """The same for vectors (n, d), on two threads."""
        if not self._live_nodes:
            return [None] * len(vectors)
        try:
            nodes, squared = self._graph.knn_query(vectors, 1, num_threads=2)
        except RuntimeError:  # for one of them no node was reached
            return [self.twin_of(vector) for vector in vectors]
        near = squared[:, 0] <= TWIN_DISTANCE**2 * np.einsum("ij,ij->i", vectors, vectors)
        return [int(node) if close else None for node, close in zip(nodes[:, 0], near, strict=True)]

    @property
    def crowded(self) -> bool:
        """The graph must grow before the next insertion."""
        return bool(self._graph.element_count >= self._room)

    def grow(self) -> None:
        """Gives the graph all the room that it will need.

        By doubling it would copy itself, 40 MB at the default capacity, while
        nobody may read. The system hands out the memory as it is written to.
        """
        self._room = max(self._room + 1, self.size)
        self._graph.resize_index(self._room)

    def prefer_huge_pages(self) -> None:
        """Asks the system for them, once the graph has new room. May run beside anything."""
        ask_for_huge_pages(self._room * self.dimension * _FLOAT_BYTES)

    def insert(self, seq: int, vector: NDArray[np.float32], twin: int | None) -> None:
        """Appends a sample, as a node of its own or beside its twin."""
        if twin is None:
            label = np.array([seq], np.uint64)
            self._graph.add_items(vector, label, num_threads=1)
        self._enter(seq, twin)

    def insert_many(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Appends samples (n,), (n, d) on two threads, while nobody else has the graph."""
        twins = self._twins_of(vectors)
        _find_twins_within(seqs, vectors, twins)
        nodes = np.array([twin is None for twin in twins])
        while self._graph.element_count + nodes.sum() > self._room:
            self.grow()
            self.prefer_huge_pages()
        if nodes.any():
            self._graph.add_items(vectors[nodes], seqs[nodes].astype(np.uint64), num_threads=2)
        for seq, twin in zip(seqs.tolist(), twins, strict=True):
            self._enter(seq, twin)

    def _enter(self, seq: int, twin: int | None) -> None:
        if self.first < 0:
            self.first = seq
        self._alive.extend(bytes(seq - self.first - len(self._alive)))
        self._alive.append(1)
        self.last = seq
        self.count += 1
        self.live += 1
        if twin is None:
            self._live_nodes += 1
        else:
            self._node_of[seq] = twin
            self._members.setdefault(twin, [twin]).append(seq)

    def remove(self, seq: int) -> None:
        """Takes out a sample that lives here."""
        self._alive[seq - self.first] = 0
        self.live -= 1
        node = self._node_of.pop(seq, seq)
        members = self._members.get(node, [node])
        members.remove(seq)
        if not members:
            self._members.pop(node, None)
            self._live_nodes -= 1
            with suppress(RuntimeError):  # it was dead already when the graph was saved
                self._graph.mark_deleted(node)

    def search(self, vectors: NDArray[np.float32], k: int) -> Found:
        """The `k` nearest samples to each of some vectors (n, d), or fewer; unordered."""
        nodes, squared = self._nearest_nodes(vectors, min(k, self._live_nodes))
        if not self._members:
            return nodes, squared
        expanded = [self._with_twins(*each, k) for each in zip(nodes, squared, strict=True)]
        return one_below_the_other(expanded)

    def _with_twins(self, nodes: NDArray[np.int64], squared: NDArray[np.float32], k: int) -> Found:
        """The samples of the nodes (m,) of one row."""
        # Among equals the later comes first, so each follows the one before without moving it.
        groups = [self._members.get(node, [node])[-k:][::-1] for node in nodes.tolist()]
        seqs = np.array([seq for group in groups for seq in group], np.int64)
        return seqs, np.repeat(squared, [len(group) for group in groups])

    def _nearest_nodes(self, vectors: NDArray[np.float32], k: int) -> Found:
        if not k:
            return side_by_side([], len(vectors))
        try:
            nodes, squared = self._graph.knn_query(vectors, k, num_threads=1)
        except RuntimeError:  # fewer than k were reached: hnswlib gives none of them
            if len(vectors) == 1:
                return self._nearest_nodes(vectors, k // 2)
            rows = [self._nearest_nodes(vector[None], k) for vector in vectors]
            return one_below_the_other([(nodes[0], squared[0]) for nodes, squared in rows])
        return nodes.astype(np.int64), squared

    def survivors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every live sample (n,) in order, and their vectors (n, d)."""
        seqs = self.first + np.flatnonzero(np.frombuffer(bytes(self._alive), np.bool_))
        nodes = np.array([self._node_of.get(seq, seq) for seq in seqs.tolist()], np.uint64)
        vectors = np.empty((len(nodes), self.dimension), np.float32)
        for start in range(0, len(nodes), _FETCH):
            chunk = slice(start, start + _FETCH)
            vectors[chunk] = self._graph.get_items(nodes[chunk])
        return seqs, vectors

    def twins(self) -> NDArray[np.int64]:
        """Samples that share the node of another, and that node (t, 2)."""
        return np.array(list(self._node_of.items()), np.int64).reshape(-1, 2)

    def save(self, path: Path) -> str:
        """Writes the graph to a file; returns the sha256 of it.

        Raises:
            MemoryStorageError: Not all of it could be written.
        """
        self._graph.save_index(str(path))
        # hnswlib ignores a full disk.
        if path.stat().st_size != self._graph.index_file_size():
            raise MemoryStorageError(f"{path} was cut short: make room on its disk.")
        return checksum(path)

    @classmethod
    def load(
        cls,
        path: Path,
        dimension: int,
        size: int,
        hnsw: HnswParameters,
        twins: NDArray[np.int64],
        *,
        last: int = -1,
    ) -> Self:
        """Reads a graph whose checksum was verified. Every sample in it counts as live.

        The last that it took, `last`, need not be among them: a twin that has
        died is neither in the file nor in `twins`.
        """
        segment = cls(dimension, size, hnsw, path)
        segment._restore(dict(twins.tolist()), last)
        return segment

    def _restore(self, twins: dict[int, int], last: int) -> None:
        nodes = set(self._graph.get_ids_list())
        for seq in sorted(nodes | twins.keys()):
            self._enter(seq, twins.get(seq))
        self._alive.extend(bytes(max(0, last - self.last)))
        self.last = self.saved_last = max(self.last, last)


def _find_twins_within(
    seqs: NDArray[np.int64], vectors: NDArray[np.float32], twins: list[int | None]
) -> None:
    """Completes `twins` with those among the vectors (n, d) themselves."""
    wide = vectors.astype(np.float64)
    norms = np.einsum("ij,ij->i", wide, wide)
    squared = norms[:, None] + norms[None] - 2 * wide @ wide.T
    for later, earlier in np.argwhere(squared <= TWIN_DISTANCE**2 * norms[:, None]).tolist():
        if earlier < later and twins[later] is None and twins[earlier] is None:
            twins[later] = int(seqs[earlier])


def few(live: int, count: int) -> bool:
    """Whether what is left alive of `count` samples is compared one by one as quickly.

    A search goes further in a graph the more of it are dead. At 384 dimensions the two meet at a
    third of 20,000, a fifth of 50,000, a seventh of 100,000. In a small graph it makes no odds.
    """
    return count >= 4 * _FEW and live * live <= _FEW * count


def side_by_side(found: Sequence[Found], rows: int) -> Found:
    """Joins what several graphs have found, (rows, m) each."""
    seqs = [np.empty((rows, 0), np.int64), *(each for each, _ in found)]
    squared = [np.empty((rows, 0), np.float32), *(each for _, each in found)]
    return np.concatenate(seqs, axis=1), np.concatenate(squared, axis=1)


def one_below_the_other(found: Sequence[Found]) -> Found:
    """Joins what was found for n vectors, (m,) each, into (n, the most m)."""
    most = max(len(seqs) for seqs, _ in found)
    joined = np.full((len(found), most), -1, np.int64), np.zeros((len(found), most), np.float32)
    for row, (seqs, squared) in enumerate(found):
        joined[0][row, : len(seqs)], joined[1][row, : len(seqs)] = seqs, squared
    return joined


def checksum(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
