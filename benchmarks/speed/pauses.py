"""Measures how long readers of the neighbour memory wait for its writer, and how fast it learns.

    python -m benchmarks.speed.pauses [--quick] [--json FILE]

A copy of the memory of `benchmarks.speed.memory` learns as fast as it can at its capacity of
100,000 samples (with `--quick` it holds 10,000 and is not full), so that each sample evicts
another, beside a reader; every hold of the write lock is timed, and so is every read. Reader,
writer and the thread that hands over the samples share what cores there are, and the interpreter
as in the server. The samples are made beforehand: a thread that makes them gives the interpreter
away and takes it back within microseconds, hundreds of times in a row, and a writer that comes
back from the graph with the lock in its hand waits for the end of that (18 ms), whatever the
interval. So would hundreds that are handed over at once, so they come 0.2 ms apart, far faster
than they are learned. Clients of the server are other processes.

Of each hold it is told how long the writer was at work; the rest of it, the writer waited for a
core or for the interpreter. How long a thread that only looks at the clock is stopped on this
machine stands beside the longest read. A graph is saved only when nobody reads, so what that takes
is measured apart.
"""

import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.memory_recall import Vectors, clustered
from benchmarks.speed.memory import (
    QUERIES,
    QUICK_SAMPLES,
    SAMPLES,
    SPACE,
    K,
    as_in_the_server,
    learn_all,
    made_samples,
    made_vectors,
    prepared_state,
)
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from benchmarks.speed.traffic import DIMENSION, POOL
from evaluation.speed import Figure, Spread, Target
from scoring.kernels import warm_up
from scoring.memory import Memory, MemorySettings, NewSample, locks, pool

_REST_SECONDS = 0.0002


def measure(effort: Effort) -> list[Figure]:
    """Measures the pauses of a memory of 100,000 samples."""
    warm_up()
    samples = QUICK_SAMPLES if effort.quick else SAMPLES
    queries = made_vectors(samples)[1]
    with tempfile.TemporaryDirectory() as directory:
        state = prepared_state(Path(directory, "memory"), samples)
        with (
            patch.object(pool, "SharedLock", TimedLock),
            Memory.open(MemorySettings(state, capacity=SAMPLES)) as memory,
            as_in_the_server(),
        ):
            return [
                *_pauses(memory, queries, effort, samples),
                _save(memory, Path(directory)),
            ]


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


if __name__ == "__main__":
    run_alone(measure)
