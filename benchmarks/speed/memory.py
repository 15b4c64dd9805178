"""Measures the neighbour memory: recall, how long readers wait for the writer, insertion, bytes.

    python -m benchmarks.speed.memory

100,000 samples of 384 dimensions and five voters, as in `benchmarks/memory_recall.py`, lie in a
memory that is built once, in about a minute, and kept below `~/.cache/pointsman/benchmarks` (or
`POINTSMAN_BENCH_CACHE`); with `--quick` they are 10,000. A recall of the 20 nearest is timed in
turn with one of none, which does all but search, and with brute force in NumPy. Then a copy of
the memory learns as fast as it can at its capacity, so that each sample evicts another, beside a
reader; every hold of the write lock is timed, and so is every read. Reader, writer and the thread
that hands over the samples share what cores there are, and the interpreter as in the server: it
changes hands as often, and the garbage collector is as rare. The samples are made beforehand: a
thread that makes them gives the interpreter away and takes it back within microseconds, hundreds
of times in a row, and a writer that comes back from the graph with the lock in its hand waits for
the end of that (18 ms), whatever the interval. So would hundreds that are handed over at once, so
they come 0.2 ms apart, far faster than they are learned. Clients of the server are other processes.

Of each hold it is told how long the writer was at work; the rest of it, the writer waited for a
core or for the interpreter. How long a thread that only looks at the clock is stopped on this
machine stands beside the longest read. A graph is saved only when nobody reads, so what that takes
is measured apart.
"""

import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
from server import lifecycle
from server.spaces import vector_space

VOTERS = MODELS
K = 20
SPACE = vector_space(traffic.SPACE, DIMENSION)
SAMPLES = 100_000
QUICK_SAMPLES = 10_000
QUERIES = 400
_REST_SECONDS = 0.0002


def made_vectors(samples: int) -> tuple[Vectors, Vectors]:
    """Prompts (samples, 384) to learn, and others (400, 384) to ask for: the same each time."""
    made = clustered(samples + QUERIES, DIMENSION, np.random.default_rng(0))
    return made[:samples], made[samples:]


def made_sample(number: int, vector: NDArray[np.float32]) -> NewSample:
    """A sample whose first pair is its number, by which a recalled row is known."""
    pairs = np.random.default_rng(number).random(10, np.float32)
    pairs[0] = number
    return NewSample(str(number), vector, VOTERS, pairs, time.time())


def made_samples(vectors: Vectors, first: int = 0) -> Iterator[NewSample]:
    """A sample for each vector (n, 384), numbered from `first`."""
    return (made_sample(number, vector) for number, vector in enumerate(vectors, first))


def learn_all(memory: Memory, samples: Iterable[NewSample]) -> None:
    """Learns as fast as the memory takes it, and waits until all is in the graphs."""
    waiting = deque[Future[Any]]()
    for sample in samples:
        waiting.append(memory.learn(POOL, SPACE, sample))
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
        learn_all(memory, made_samples(made_vectors(samples)[0]))
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
            with as_in_the_server():
                return [
                    *_recall(memory, vectors, queries, effort),
                    *_pauses(memory, queries, effort, samples),
                    _save(memory, Path(directory)),
                    *_bytes(held, disk, samples),
                ]


@contextmanager
def as_in_the_server() -> Iterator[None]:
    """Sets the interpreter as the server does: how often it changes hands, when it collects."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(lifecycle.SWITCH_SECONDS)
    gc.set_threshold(*lifecycle.GARBAGE_THRESHOLDS)
    gc.collect()
    gc.freeze()  # else a collection of all that Numba has made is what is measured
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)


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


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold of the write lock, in milliseconds.

    Attributes:
        asked: The method that asked for it.
        took: In all.
        worked: Of that, for how long the writer had a core.
    """

    asked: str
    took: float
    worked: float


@dataclass
class TimedLock(locks.SharedLock):
    """Writes down how long the writer was in."""

    holds: list[Hold] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Holds off everybody, and looks at the clocks."""
        with super().write():
            began, idle = time.perf_counter(), time.perf_counter() - time.thread_time()
            try:
                yield
            finally:
                took = time.perf_counter() - began
                waited = time.perf_counter() - time.thread_time() - idle
                asked = sys._getframe(2).f_code.co_qualname  # noqa: SLF001 — behind contextlib
                self.holds.append(Hold(asked, 1e3 * took, 1e3 * (took - waited)))


def _pauses(memory: Memory, queries: Vectors, effort: Effort, samples: int) -> list[Figure]:
    count = 1_000 if effort.quick else 10_000
    fresh = list(made_samples(clustered(count, DIMENSION, np.random.default_rng(1)), samples))
    lock = memory._pools[POOL].lock  # noqa: SLF001 — what is measured
    assert isinstance(lock, TimedLock)
    gc.freeze()  # the server has no 10,000 samples waiting
    stopped = longest_stop(lambda: time.sleep(1 if effort.quick else 10))
    quiet = _reads(memory, queries, threading.Event(), 2_000)
    lock.holds.clear()
    finished, busy = threading.Event(), list[float]()
    reader = threading.Thread(target=lambda: busy.extend(_reads(memory, queries, finished, None)))
    reader.start()
    began = time.perf_counter()
    learn_all(memory, rested(fresh))
    rate = count / (time.perf_counter() - began)
    finished.set()
    reader.join()
    return [
        *_holds(lock.holds),
        _read_beside("p50", 0.5, busy, quiet),
        _read_beside("p999", 0.999, busy, quiet),
        Figure.paired(
            "memory/longest-read",
            "longest recall while it learns at full rate",
            "ms",
            [1e3 * max(busy)],
            "the longest stop of a thread that only looks at the clock, alone",
            [1e3 * stopped],
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


def _holds(holds: list[Hold]) -> list[Figure]:
    took = [hold.took for hold in holds]
    longest = max(holds, key=lambda hold: hold.took)
    hardest = max(holds, key=lambda hold: hold.worked)
    return [
        Figure(
            "memory/longest-hold",
            "longest hold of the write lock while it learns at full rate, a reader beside it",
            "ms",
            Spread.of([longest.took]),
            target=Target("at most", 5.0),
            note=f"{longest.asked}, {longest.worked:.2f} ms of it at work; of {len(holds):,} "
            f"holds, half of them under {float(np.median(took)):.3f} ms and 999 in 1,000 under "
            f"{float(np.quantile(took, 0.999)):.2f} ms",
        ),
        Figure(
            "memory/longest-hold/work",
            "longest that the writer was at work in a hold",
            "ms",
            Spread.of([hardest.worked]),
            note=hardest.asked,
        ),
    ]


def longest_stop(work: Callable[[], object]) -> float:
    """The most seconds that a thread which only looks at the clock stands still meanwhile."""
    done, stops = threading.Event(), list[float]()

    def watch() -> None:
        longest, last = 0.0, time.perf_counter()
        while not done.is_set():
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        stops.append(longest)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return stops[0]


def _save(memory: Memory, directory: Path) -> Figure:
    index = memory._pools[POOL].neighbours  # noqa: SLF001 — what is measured
    graph = index.segments[0]
    stop = longest_stop(lambda: graph.save(directory / "graph"))
    return Figure(
        "memory/save",
        f"longest that other threads stand still while a graph of {graph.count:,} is saved",
        "ms",
        Spread.of([1e3 * stop]),
        note="it waits until nobody has read for a second, or an hour at most",
    )


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
        time.sleep(_REST_SECONDS)
    return times


def rested(samples: Iterable[NewSample]) -> Iterator[NewSample]:
    """The same, with a rest between as between requests."""
    for sample in samples:
        yield sample
        time.sleep(_REST_SECONDS)


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
