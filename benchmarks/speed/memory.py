"""Measures the neighbour memory: recall, how long readers wait for the writer, insertion, bytes.

    python -m benchmarks.speed.memory

100,000 samples of 384 dimensions and five voters, as in `benchmarks/memory_recall.py`, lie in a
memory that is built once, in about a minute, and kept below `~/.cache/pointsman/benchmarks` (or
`POINTSMAN_BENCH_CACHE`); with `--quick` they are 10,000. A recall of the 20 nearest is timed in
turn with one of none, which does all but search, and with brute force in NumPy. Then a copy of
the memory learns as fast as it can at its capacity, so that each sample evicts another, beside a
reader; every hold of the write lock is timed, and so is every read. The garbage collector is
frozen meanwhile, and readers and writer share what cores there are.
"""

import gc
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory_recall import Vectors, clustered, resident_bytes
from benchmarks.speed import traffic
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort, in_turn
from benchmarks.speed.traffic import DIMENSION, MODELS, POOL
from evaluation.speed import Figure, Spread, Target
from scoring.kernels import warm_up
from scoring.memory import Memory, MemorySettings, NewSample, locks, pool
from scoring.memory.values import HnswParameters
from server.spaces import vector_space

VOTERS = MODELS
K = 20
SPACE = vector_space(traffic.SPACE, DIMENSION)
SAMPLES = 100_000
QUICK_SAMPLES = 10_000
QUERIES = 400


def made_vectors(samples: int) -> tuple[Vectors, Vectors]:
    """Prompts (samples, 384) to learn, and others (400, 384) to ask for: the same each time."""
    made = clustered(samples + QUERIES, DIMENSION, np.random.default_rng(0))
    return made[:samples], made[samples:]


def made_sample(number: int, vector: NDArray[np.float32]) -> NewSample:
    """A sample whose first pair is its number, by which a recalled row is known."""
    pairs = np.random.default_rng(number).random(10, np.float32)
    pairs[0] = number
    return NewSample(str(number), vector, VOTERS, pairs, time.time())


def learn_all(memory: Memory, vectors: Vectors, first: int = 0) -> None:
    """Learns as fast as the memory takes it, and waits until all is in the graphs."""
    waiting = deque[Future[Any]]()
    for number, vector in enumerate(vectors, first):
        waiting.append(memory.learn(POOL, SPACE, made_sample(number, vector)))
        if len(waiting) == 1000:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    while memory._pools[POOL].neighbours.waiting:  # noqa: SLF001 — graphs complete
        time.sleep(0.01)


def prepared_state(directory: Path, samples: int = SAMPLES) -> Path:
    """Makes `directory` a memory with these samples in the pool of `traffic`.

    It is a copy of one that is kept between runs, and built on the first. To be opened with a
    capacity of 100,000.

    Args:
        directory: Must not be there yet, or be empty.
        samples: How many.

    Returns:
        The directory.
    """
    kept = _kept_state(samples)
    shutil.copytree(kept, directory, dirs_exist_ok=True)
    return directory


def _kept_state(samples: int) -> Path:
    chosen = os.environ.get("POINTSMAN_BENCH_CACHE", "~/.cache/pointsman/benchmarks")
    home = Path(chosen).expanduser()
    shape = HnswParameters()
    name = f"memory-{samples}-{DIMENSION}-{shape.m}-{shape.ef_construction}-{shape.ef_search}"
    kept = home / name
    if kept.is_dir():
        return kept
    home.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=home))
    # In a process of its own, so that the memory it needs is not there to be used again.
    process = get_context("spawn").Process(target=_build, args=(building, samples))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"The memory of {samples} samples could not be built.")
    shutil.rmtree(kept, ignore_errors=True)
    building.replace(kept)
    return kept


def _build(directory: Path, samples: int) -> None:
    # First the log alone, then the graphs from it, which takes two threads and half the time.
    with Memory.open(MemorySettings(directory, capacity=SAMPLES, exact=samples)) as memory:
        learn_all(memory, made_vectors(samples)[0])
    with Memory.open(MemorySettings(directory, capacity=SAMPLES)):
        pass


def measure(effort: Effort) -> list[Figure]:
    """Measures everything on a memory of 100,000 samples."""
    warm_up()
    samples = QUICK_SAMPLES if effort.quick else SAMPLES
    vectors, queries = made_vectors(samples)
    with tempfile.TemporaryDirectory() as directory:
        state = prepared_state(Path(directory, "memory"), samples)
        disk = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
        before = resident_bytes()
        with (
            patch.object(pool, "SharedLock", TimedLock),
            Memory.open(MemorySettings(state, capacity=SAMPLES)) as memory,
        ):
            held = resident_bytes() - before
            gc.collect()
            gc.freeze()  # else a collection of all that Numba has made is what is measured
            try:
                return [
                    *_recall(memory, vectors, queries, effort),
                    *_pauses(memory, queries, effort, samples),
                    *_bytes(held, disk, samples),
                ]
            finally:
                gc.unfreeze()


def _recall(memory: Memory, vectors: Vectors, queries: Vectors, effort: Effort) -> list[Figure]:
    hits = 0
    for query in queries:
        truth = np.argpartition(-(vectors @ query), K)[:K].tolist()
        rows = memory.recall(POOL, SPACE, query, K).rows
        hits += len(set(rows[:, 0].astype(int).tolist()) & set(truth))
    turn = iter(range(10**9))

    def recalls(k: int) -> object:
        return memory.recall(POOL, SPACE, queries[next(turn) % QUERIES], k)

    def brute_force() -> object:
        squared = 2 - 2 * (vectors @ queries[next(turn) % QUERIES])
        return np.argpartition(squared, K)[:K]

    repeats = effort.repeats(60)
    ours, empty = in_turn(lambda: recalls(K), lambda: recalls(0), repeats=repeats, calls=20)
    again, brute = in_turn(lambda: recalls(K), brute_force, repeats=repeats)
    what = f"recall of {K} among {len(vectors):,}"
    return [
        Figure(
            "memory/recall-at-20",
            f"share of the {K} nearest that are recalled",
            "",
            Spread.of([hits / (K * len(queries))]),
            target=Target("at least", 0.98),
        ),
        Figure.paired(
            "memory/recall/empty", what, "ms", _ms(ours), "recall of none", _ms(empty)
        ),
        Figure.paired(
            "memory/recall/brute-force", what, "ms", _ms(again), "brute force in NumPy",
            _ms(brute), ratio_of="reference/ours", note="one at a time, with cold caches",
        ),
    ]  # fmt: skip


@dataclass
class TimedLock(locks.SharedLock):
    """Writes down how long the writer was in, in seconds."""

    holds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Holds off everybody, and looks at the clock."""
        with super().write():
            began = time.perf_counter()
            try:
                yield
            finally:
                self.holds.append(time.perf_counter() - began)


def _pauses(memory: Memory, queries: Vectors, effort: Effort, samples: int) -> list[Figure]:
    count = 1_000 if effort.quick else 10_000
    fresh = clustered(count, DIMENSION, np.random.default_rng(1))
    lock = memory._pools[POOL].lock  # noqa: SLF001 — what is measured
    assert isinstance(lock, TimedLock)
    quiet = _reads(memory, queries, threading.Event(), 2_000)
    lock.holds.clear()
    finished, busy = threading.Event(), list[float]()
    reader = threading.Thread(target=lambda: busy.extend(_reads(memory, queries, finished, None)))
    reader.start()
    began = time.perf_counter()
    learn_all(memory, fresh, samples)
    rate = count / (time.perf_counter() - began)
    finished.set()
    reader.join()
    longest = Target("at most", 5.0)
    return [
        Figure(
            "memory/longest-hold",
            "longest hold of the write lock while it learns at full rate, a reader beside it",
            "ms",
            Spread.of([1e3 * max(lock.holds)]),
            target=longest,
            note=f"of {len(lock.holds):,} holds, half of them under "
            f"{1e3 * float(np.median(lock.holds)):.3f} ms and 999 in 1,000 under "
            f"{1e3 * float(np.quantile(lock.holds, 0.999)):.2f} ms",
        ),
        _read_beside("p50", 0.5, busy, quiet),
        _read_beside("p999", 0.999, busy, quiet),
        Figure(
            "memory/longest-read",
            "longest recall while it learns at full rate",
            "ms",
            Spread.of([1e3 * max(busy)]),
            note=f"of {len(busy):,}; beside the writer's hold, it is what the reader waited for "
            "a core and for the interpreter",
        ),
        Figure(
            "memory/insertions",
            "samples learned per second, each durable, in the graph, and evicting another",
            "1/s",
            Spread.of([rate]),
        ),
    ]


def _read_beside(name: str, share: float, busy: list[float], quiet: list[float]) -> Figure:
    return Figure.paired(
        f"memory/read-while-learning/{name}",
        f"recall of {K} while it learns at full rate, {name}",
        "ms",
        [1e3 * float(np.quantile(busy, share))],
        "the same before",
        [1e3 * float(np.quantile(quiet, share))],
    )


def _reads(
    memory: Memory, queries: Vectors, finished: threading.Event, count: int | None
) -> list[float]:
    """Seconds of each recall, one after another, with a rest between as between requests."""
    times = list[float]()
    while not finished.is_set() and (count is None or len(times) < count):
        began = time.perf_counter()
        memory.recall(POOL, SPACE, queries[len(times) % QUERIES], K)
        times.append(time.perf_counter() - began)
        time.sleep(0.0002)
    return times


def _bytes(held: int, disk: int, samples: int) -> list[Figure]:
    least = 4 * DIMENSION + 40  # the vector and ten distances
    what = "of a sample of 384 dimensions and 5 voters"
    return [
        Figure.paired(
            f"memory/bytes/{name}", f"bytes {what}, {name}", "B", [each / samples],
            "its vector and distances alone", [least],
        )
        for name, each in (("resident", held), ("on-disk", disk))
    ]  # fmt: skip


def _ms(seconds: list[float]) -> list[float]:
    return [1e3 * each for each in seconds]


if __name__ == "__main__":
    run_alone(measure)
