"""Graphs of a memory over up to a million vectors, built once and kept between runs.

    python -m benchmarks.speed.graphs  # the largest, in under ten minutes

The vectors have 16 dimensions, each from a normal distribution: of 384, as texts have, a graph of
a million would take 2 GB.
"""

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.memory_recall import Vectors
from benchmarks.speed.kept import is_kept, kept
from scoring.memory.segment import Segment
from scoring.memory.values import HnswParameters

_DIMENSION = 16
_FILE = "graph.hnsw"
LARGEST = 1_000_000


def made_queries(count: int) -> Vectors:
    """Vectors (count, 16) to look for in a graph: the same each time."""
    return np.random.default_rng(1).standard_normal((count, _DIMENSION), dtype=np.float32)


def made_nodes(size: int) -> Vectors:
    """The vectors (size, 16) of a graph, in order."""
    return np.random.default_rng(0).standard_normal((size, _DIMENSION), dtype=np.float32)


def kept_graph(size: int) -> Segment:
    """A memory's graph of so many vectors, no two of which coincide."""
    directory = kept(_name(size), partial(_build_graph, size))
    twins = np.empty((0, 2), np.int64)
    return Segment.load(directory / _FILE, _DIMENSION, size, HnswParameters(), twins)


def has_largest() -> bool:
    """Whether the graph of a million was built: too long to be built on the way."""
    return is_kept(_name(LARGEST))


def _name(size: int) -> str:
    shape = HnswParameters()
    return f"graph-{size}-{_DIMENSION}-{shape.m}-{shape.ef_construction}"


def _build_graph(size: int, directory: Path) -> None:
    segment = Segment(_DIMENSION, size, HnswParameters(), roomy=True)
    vectors = made_nodes(size)
    for start in range(0, size, 250):
        seqs = np.arange(start, start + 250, dtype=np.int64)
        segment.insert_many(seqs, vectors[start : start + 250])
    assert not segment.twins().size
    segment.save(directory / _FILE)


if __name__ == "__main__":
    kept_graph(LARGEST)
