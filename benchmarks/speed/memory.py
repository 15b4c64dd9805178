"""Measures the neighbour memory: what it finds, how long a recall takes, and its bytes.

    python -m benchmarks.speed.memory [--quick] [--json FILE]

100,000 samples of 384 dimensions and five voters, as in `benchmarks/memory_recall.py`, lie in a
memory that is built once, in about a minute, and kept (see `kept`); with `--quick` they are
10,000. A recall of the 20 nearest is timed in turn with one of none, which does all but search,
and with brute force in NumPy. The interpreter is as in the server: it changes hands as often, and
the garbage collector is as rare. `benchmarks.speed.pauses` measures the memory while it learns.
"""

import gc
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory_recall import Vectors, clustered, resident_bytes
from benchmarks.speed import traffic
from benchmarks.speed.kept import kept
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort, in_turn
from benchmarks.speed.traffic import DIMENSION, MODELS, POOL
from evaluation.speed import Figure, Spread, Target
from scoring.kernels import warm_up
from scoring.memory import Memory, MemorySettings, NewSample
from scoring.memory.values import HnswParameters
from server import lifecycle
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
    shape = HnswParameters()
    name = f"memory-{samples}-{DIMENSION}-{shape.m}-{shape.ef_construction}-{shape.ef_search}"
    shutil.copytree(kept(name, partial(_build, samples)), directory, dirs_exist_ok=True)
    return directory


def _build(samples: int, directory: Path) -> None:
    # First the log alone, then the graphs from it, which takes two threads and half the time.
    with Memory.open(MemorySettings(directory, capacity=SAMPLES, exact=samples)) as memory:
        learn_all(memory, made_samples(made_vectors(samples)[0]))
    with Memory.open(MemorySettings(directory, capacity=SAMPLES)):
        pass


def measure(effort: Effort) -> list[Figure]:
    """Measures a memory of 100,000 samples."""
    warm_up()
    samples = QUICK_SAMPLES if effort.quick else SAMPLES
    vectors, queries = made_vectors(samples)
    with tempfile.TemporaryDirectory() as directory:
        state = prepared_state(Path(directory, "memory"), samples)
        disk = sum(path.stat().st_size for path in state.rglob("*") if path.is_file())
        before = resident_bytes()
        with Memory.open(MemorySettings(state, capacity=SAMPLES)) as memory:
            held = resident_bytes() - before
            with as_in_the_server():
                found = _recall(memory, vectors, queries, effort)
    return [*found, *_bytes(held, disk, samples)]


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
    warm, cold = f"{what}, twenty in a row", f"{what}, each after one by brute force"
    return [
        Figure(
            "memory/recall-at-20",
            f"share of the {K} nearest that are recalled",
            "",
            Spread.of([hits / (K * len(queries))]),
            target=Target("at least", 0.98),
        ),
        Figure.paired(
            "memory/recall/empty", warm, "ms", _ms(ours), "recall of none", _ms(empty)
        ),
        Figure.paired(
            "memory/recall/brute-force", cold, "ms", _ms(again), "brute force in NumPy",
            _ms(brute), ratio_of="reference/ours",
            note="Brute force reads every vector, so that each recall finds cold caches.",
        ),
    ]  # fmt: skip


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
