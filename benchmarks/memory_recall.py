"""Measures the neighbour memory: recall, latency, memory, insertion and start.

    python benchmarks/memory_recall.py --samples 100000

The prompts are made: `clustered` is like sentence embeddings (topics of uneven
size, each of low dimension, and noise); `uniform` on the sphere is the hardest
case there is, which no text comes near, since all distances are nearly equal.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.kernels import row_contrasts
from scoring.memory import EmbeddingSpace, HnswParameters, Memory, MemorySettings, NewSample

VOTERS = ("a", "b", "c", "d", "e")
K = 20
Vectors = NDArray[np.float32]


def uniform(count: int, dimension: int, rng: np.random.Generator) -> Vectors:
    """Unit vectors (count, dimension), every direction alike."""
    return normalised(rng.normal(size=(count, dimension)))


def clustered(
    count: int, dimension: int, rng: np.random.Generator, *, topics: int = 500, latent: int = 24
) -> Vectors:
    """Unit vectors (count, dimension) around `topics` centres of uneven weight."""
    centres = rng.normal(size=(topics, dimension))
    basis = rng.normal(size=(latent, dimension)) / np.sqrt(latent)
    topic = rng.choice(topics, size=count, p=rng.dirichlet(np.full(topics, 0.3)))
    within = 0.8 * rng.normal(size=(count, latent)) @ basis
    return normalised(centres[topic] + within + 0.5 * rng.normal(size=(count, dimension)))


def normalised(vectors: NDArray[np.float64]) -> Vectors:
    """Rows of length 1."""
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def fill(memory: Memory, space: EmbeddingSpace, vectors: Vectors) -> float:
    """Learns a sample per vector, as fast as the memory takes them; returns the seconds."""
    rng, waiting, start = np.random.default_rng(1), list[Future[Any]](), time.perf_counter()
    for number, vector in enumerate(vectors):
        pairs = rng.random(10, np.float32)
        pairs[0] = number  # by which a recalled row is known; exact below 2^24
        sample = NewSample(str(number), vector, VOTERS, pairs, 0.0)
        waiting.append(memory.learn("pool", space, sample))
        if len(waiting) == 1000:
            for future in waiting:
                future.result()
            waiting.clear()
    for future in waiting:
        future.result()
    while memory._pools["pool"].neighbours.waiting:  # noqa: SLF001 — graphs complete
        time.sleep(0.05)
    return time.perf_counter() - start


def recall_and_latency(
    memory: Memory, space: EmbeddingSpace, vectors: Vectors, queries: Vectors
) -> tuple[float, list[float]]:
    """Share of the true neighbours that is found, and milliseconds of each query."""
    hits, times, recalled = 0, list[float](), list[set[int]]()
    for query in queries:
        start = time.perf_counter()
        found = memory.recall("pool", space, query, K)
        times.append(1e3 * (time.perf_counter() - start))
        recalled.append(set(found.rows[:, 0].astype(int).tolist()))
    for query, numbers in zip(queries, recalled, strict=True):
        truth = np.argpartition(-(vectors @ query), K)[:K]
        hits += len(numbers.intersection(truth.tolist()))
    return hits / (K * len(queries)), times


def timed(work: Callable[[], Memory]) -> tuple[float, Memory]:
    """Seconds that it takes to open a memory, and the memory."""
    start = time.perf_counter()
    memory = work()
    return time.perf_counter() - start, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--data", choices=["clustered", "uniform"], default="clustered")
    parser.add_argument("--m", type=int, default=HnswParameters().m)
    parser.add_argument("--ef-construction", type=int, default=HnswParameters().ef_construction)
    parser.add_argument("--ef-search", type=int, default=HnswParameters().ef_search)
    options = parser.parse_args()
    row_contrasts(np.zeros(3, np.float32), 3)
    made = {"clustered": clustered, "uniform": uniform}[options.data](
        options.samples + options.queries, options.dimension, np.random.default_rng(0)
    )
    with tempfile.TemporaryDirectory() as directory:
        measure(
            MemorySettings(
                Path(directory),
                capacity=options.samples,
                hnsw=HnswParameters(options.m, options.ef_construction, options.ef_search),
            ),
            made[: options.samples],
            made[options.samples :],
        )


def measure(settings: MemorySettings, vectors: Vectors, queries: Vectors) -> None:
    space = EmbeddingSpace("benchmark", vectors.shape[1])
    before = resident_bytes()
    memory = Memory.open(settings)
    seconds = fill(memory, space, vectors)
    held = resident_bytes() - before
    recall, times = recall_and_latency(memory, space, vectors, queries)
    closing = time.perf_counter()
    memory.close()
    closing = time.perf_counter() - closing
    del memory
    warm, memory = timed(lambda: Memory.open(settings))
    again, _ = recall_and_latency(memory, space, vectors, queries)
    memory.close()
    del memory
    shutil.rmtree(settings.directory / "segments")
    cold, memory = timed(lambda: Memory.open(settings))
    memory.close()
    disk = sum(path.stat().st_size for path in settings.directory.rglob("*") if path.is_file())
    print(f"samples x dimensions         {vectors.shape[0]} x {vectors.shape[1]}")
    print(f"graphs                       {settings.hnsw}")
    print(f"recall@{K}                    {recall:.4f}; after a restart {again:.4f}")
    print(f"query p50                    {statistics.median(times):.2f} ms")
    print(f"query p99                    {np.quantile(times, 0.99):.2f} ms")
    print(f"insertions                   {len(vectors) / seconds:.0f} per second")
    print(f"resident memory              {held / len(vectors):.0f} bytes per sample")
    print(f"on disk                      {disk / len(vectors):.0f} bytes per sample")
    print(f"closing                      {closing:.1f} s")
    print(f"start with saved graphs      {warm:.1f} s")
    print(f"start without them           {cold:.1f} s")


if __name__ == "__main__":
    main()
