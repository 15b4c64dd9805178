"""Measures for how long the writer of the memory holds off its readers.

    python benchmarks/memory_pauses.py --samples 100000

A pool is filled to its capacity; to save time, three samples in four have one
of a hundred prompts. Then a voter joins, and nearly all samples of the first
graph pass their time to live, so that it is dissolved. Every hold of the write
lock is timed, by who asked for it: how long it took, and how long of that the
writer was at work. The rest it waited for a core, or for the interpreter.
"""

import argparse
import gc
import tempfile
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.memory_recall import Vectors, clustered
from benchmarks.speed.memory import as_in_the_server
from benchmarks.speed.pauses import Hold, TimedLock, rested
from scoring.kernels import warm_up
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewSample, pool

VOTERS = ("a", "b", "c", "d", "e")
LIFETIME = 1000.0


def fill(memory: Memory, space: EmbeddingSpace, vectors: Vectors, samples: int) -> None:
    """Learns `samples` samples; those of the first graph are the first to expire."""
    rng, distinct = np.random.default_rng(1), len(vectors)

    def learn(number: int, voters: tuple[str, ...] = VOTERS) -> NewSample:
        pairs = rng.random(len(voters) * (len(voters) - 1) // 2, np.float32)
        learned_at = 0.0 if number < 0.95 * distinct else LIFETIME
        vector = vectors[number if number < distinct else number % 100]
        return NewSample(str(number), vector, voters, pairs, learned_at)

    made = [learn(number) for number in range(samples)]
    gc.freeze()  # the server has no such list
    waiting = (memory.learn("pool", space, sample) for sample in rested(made))
    while batch := list(islice(waiting, 1000)):
        for receipt in batch:
            receipt.result()
    memory.learn("pool", space, learn(samples, (*VOTERS, "new"))).result()
    while memory._pools["pool"].neighbours.waiting:  # noqa: SLF001 — graphs complete
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    options = parser.parse_args()
    warm_up()
    vectors = clustered(options.samples // 4, options.dimension, np.random.default_rng(0))
    space, now = EmbeddingSpace("benchmark", options.dimension), [LIFETIME]
    with (
        tempfile.TemporaryDirectory() as directory,
        patch.object(pool, "SharedLock", TimedLock),
        as_in_the_server(),
    ):
        settings = MemorySettings(
            Path(directory), capacity=options.samples, time_to_live=LIFETIME * 1.5
        )
        with Memory.open(settings, clock=lambda: now[0]) as memory:
            fill(memory, space, vectors, options.samples)
            now[0] = LIFETIME * 2
            while memory.describe("pool").oldest_at == 0.0:
                time.sleep(0.05)
            lock = memory._pools["pool"].lock  # noqa: SLF001 — what is measured
    assert isinstance(lock, TimedLock)
    report(lock.holds)


def report(holds: list[Hold]) -> None:
    """Prints how long the holds were, by who asked for them."""
    by_method: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for hold in holds:
        by_method[hold.asked].append((hold.took, hold.worked))
    print(f"{'asked for by':28} {'holds':>7} {'median':>9} {'longest':>10} {'at work':>10}")
    for asked, held in sorted(by_method.items()):
        took, worked = np.array(held).T
        print(
            f"{asked:28} {len(held):7} {np.median(took):6.2f} ms {took.max():7.2f} ms "
            f"{worked.max():7.2f} ms"
        )


if __name__ == "__main__":
    main()
