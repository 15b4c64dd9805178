"""Kills a learning process again and again; counts what it acknowledged and lost.

    python benchmarks/memory_kill.py --rounds 100

Each round starts a process that opens the same memory, and learns and records
outcomes from several threads, printing every sample and outcome whose receipt
it holds. The process is killed with SIGKILL, at a random moment or at a chosen
point inside a write; then the memory is opened here, and every acknowledged
sample and outcome that the pool has not evicted since must be in the log and be
recalled, and so must be what was measured of the answers that an outcome is of.
"""

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scoring.features import FEATURES
from scoring.kernels import row_contrasts
from scoring.memory import (
    EmbeddingSpace,
    Memory,
    MemorySettings,
    NewOutcome,
    NewSample,
    StoredOutcome,
)
from scoring.memory.graph_log import GraphLog
from scoring.memory.log import Log
from scoring.memory.outcomes.judged import JudgedLog
from scoring.memory.outcomes.ledger import Ledger
from scoring.memory.outcomes.log import OutcomeLog
from scoring.memory.pool import Pool
from scoring.memory.segment import Segment

SPACE = EmbeddingSpace("kill/benchmark", 16)
VOTERS = ("a", "b", "c", "d")
CAPACITY = 4000
THREADS = 4
PROMPTS = 8
"""Prompts that one thread of one process records outcomes of, over and over."""
POINTS = {
    "commit": (Log, "advance", 40),
    "outcome": (OutcomeLog, "add", 150),
    "answers": (JudgedLog, "add", 12),
    "publish": (Pool, "admit", 300),
    "count": (Ledger, "admit", 200),
    "attach": (Ledger, "attach", 12),
    "merge": (Segment, "insert", 200),
    "save": (Segment, "save", 2),
    "vouch": (GraphLog, "put_segment", 2),
}
"""Where a process may kill itself: the n-th call of a method, half done."""


def settings(directory: Path) -> MemorySettings:
    """Small graphs, so that they are filled, saved and dropped all the time."""
    return MemorySettings(directory, capacity=CAPACITY, exact=64, segment_samples=256)


def make_sample(name: str) -> NewSample:
    """The sample of a name, always the same."""
    rng = np.random.default_rng(list(name.encode()))
    prompt = rng.normal(size=SPACE.dimension).astype(np.float32)
    count = int(rng.integers(1, len(VOTERS) + 1))
    pairs = rng.random(count * (count - 1) // 2, np.float32)
    features = rng.normal(size=(count, len(FEATURES))).astype(np.float32)
    return NewSample(name, prompt, VOTERS[:count], pairs, 0.0, features)


def make_outcome(name: str, thread: int, number: int) -> NewOutcome:
    """An outcome of a prompt: odd threads show its vector, the others name its sample."""
    model, quality = VOTERS[number % len(VOTERS)], number % 5 / 4
    subject = f"{name}-{thread}-{number % PROMPTS}"
    if thread % 2:
        prompt = make_sample(subject).prompt
        return NewOutcome(f"{name}-{thread}-{number}", model, quality, 0.0, prompt=prompt)
    return NewOutcome(f"{name}-{thread}-{number}", model, quality, 0.0, sample_id=subject)


def kill_at(point: str) -> None:
    """Makes this process kill itself inside a call of the method that `point` names."""
    owner, name, calls = POINTS[point]
    real: Any = getattr(owner, name)
    counter = itertools.count(1)

    def wrapped(self: object, *rest: object) -> object:
        if next(counter) == calls:
            if point == "save":  # half of the file is on disk
                Path(str(rest[0])).write_bytes(os.urandom(1000))
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *rest)

    setattr(owner, name, wrapped)


def learn_for_ever(directory: Path, prefix: str) -> None:
    """The process to kill: prints `ready`, then what each receipt says.

    That is the name of a sample and the revision, or of an outcome and its subject.
    """
    row_contrasts(np.zeros(3, np.float32), 3)  # compiled before the clock starts
    memory = Memory.open(settings(directory))
    os.write(1, b"ready\n")

    def run(thread: int) -> None:
        for number in itertools.count():
            name = f"{prefix}-{thread}-{number}"
            receipt = memory.learn("pool", SPACE, make_sample(name)).result()
            os.write(1, f"sample {name} {receipt.revision}\n".encode())
            outcome = make_outcome(prefix, thread, number)
            recorded = memory.record("pool", SPACE, outcome).result()
            os.write(1, f"outcome {name} {recorded.sample_id}\n".encode())

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_and_kill(directory: Path, prefix: str, delay: float, point: str) -> Iterator[str]:
    """Yields the lines of a process that lives for `delay` seconds after it is ready."""
    command = [sys.executable, __file__, "--learn", str(directory), "--prefix", prefix]
    child = subprocess.Popen([*command, "--point", point], stdout=subprocess.PIPE)  # noqa: S603 — our own script
    assert child.stdout is not None
    with child, child.stdout as lines:
        ready = lines.readline()
        assert ready == b"ready\n", "the learning process did not start"
        timer = threading.Timer(delay, child.kill)
        timer.start()
        for line in lines:
            if line.endswith(b"\n"):
                yield line.decode()
        timer.cancel()
    assert child.returncode == -signal.SIGKILL, f"it ended by itself: {child.returncode}"


@dataclass
class Tally:
    """What was acknowledged in all rounds, and what became of it."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Revision of each sample."""
    recorded: dict[str, str] = field(default_factory=dict)
    """Subject of each outcome."""
    lost: set[str] = field(default_factory=set)
    not_recalled: set[str] = field(default_factory=set)
    checked: int = 0
    outcomes_checked: int = 0
    answers_checked: int = 0
    opening_seconds: list[float] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Notes a receipt."""
        kind, name, rest = line.split()
        if kind == "sample":
            self.acknowledged[name] = int(rest)
        else:
            self.recorded[name] = rest

    def check(self, directory: Path) -> None:
        """Opens the memory and looks for everything that must be live."""
        start = time.perf_counter()
        with Memory.open(settings(directory)) as memory:
            self.opening_seconds.append(time.perf_counter() - start)
            if not self.acknowledged:
                return
            pool = memory.describe("pool")
            stored = {sample.sample_id: sample for sample in memory.samples("pool")}
            assert pool.samples == len(stored) == memory.totals("pool", SPACE).samples
            oldest = pool.revision - pool.capacity
            for name, revision in self.acknowledged.items():
                if revision > oldest:
                    self._check(memory, name, found=name in stored)
            self._check_outcomes(memory)

    def _check(self, memory: Memory, name: str, *, found: bool) -> None:
        self.checked += 1
        if not found:
            self.lost.add(name)
            return
        wanted = make_sample(name)
        nearest = memory.recall("pool", SPACE, wanted.prompt, 1)
        row = nearest.rows[0]
        same = np.array_equal(row[: len(wanted.pairs)], wanted.pairs)
        if nearest.squared_distances[0] > 0 or not same:
            self.not_recalled.add(name)

    def _check_outcomes(self, memory: Memory) -> None:
        stored = {outcome.outcome_id: outcome for outcome in memory.outcomes("pool")}
        counts = memory.outcome_totals("pool").counts
        assert memory.describe("pool").outcomes == len(stored) == counts.sum()
        # Few prompts were begun without a receipt: half of the capacity is surely live.
        subjects = dict.fromkeys(reversed(self.recorded.values()))
        live = set(itertools.islice(subjects, CAPACITY // 2))
        wanted = {name for name, subject in self.recorded.items() if subject in live}
        self.outcomes_checked += len(wanted)
        self.lost |= wanted - stored.keys()
        self._check_answers(memory, list(stored.values()))
        of_subject = Counter(outcome.sample_id for outcome in stored.values())
        for outcome in {each.sample_id: each for each in stored.values()}.values():
            near = memory.recall_outcomes("pool", SPACE, outcome.prompt, 2)
            found = near.counts[near.squared_distances == 0].sum(axis=1)
            if of_subject[outcome.sample_id] not in found:
                self.not_recalled.add(outcome.outcome_id)

    def _check_answers(self, memory: Memory, stored: list[StoredOutcome]) -> None:
        subjects = list(dict.fromkeys(outcome.sample_id for outcome in stored))
        measured = memory.judged("pool").measured
        assert len(measured) == len(subjects)
        known = {outcome.sample_id: outcome.answers for outcome in stored}
        for name, row in zip(subjects, measured, strict=True):
            if name.startswith("prompt-"):
                assert known[name] is None
                continue
            wanted, answers = make_sample(name), known[name]
            assert wanted.features is not None
            self.answers_checked += 1
            if answers is None or answers.features is None:
                self.lost.add(f"answers {name}")
            elif not (
                np.array_equal(answers.features, wanted.features)
                and np.array_equal(answers.pairs, wanted.pairs)
                and np.array_equal(row[: len(wanted.voters), 1:], wanted.features)
            ):
                self.not_recalled.add(f"answers {name}")


def kill_rounds(directory: Path, rounds: int, seed: int) -> Tally:
    """Runs, kills and checks; every second round dies at a chosen point."""
    rng, tally = random.Random(seed), Tally()  # noqa: S311 — no secret
    points = itertools.cycle(["", *itertools.chain(*zip(POINTS, [""] * len(POINTS), strict=True))])
    for number, point in zip(range(rounds), points, strict=False):
        # A process that waits for its point has time to come there.
        delay = 20.0 if point else rng.uniform(0.0, 0.8)
        for line in run_and_kill(directory, f"r{seed}.{number}", delay, point):
            tally.take(line)
        tally.check(directory)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learn", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default="", help=argparse.SUPPRESS)
    parser.add_argument("--point", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        if options.point:
            kill_at(options.point)
        learn_for_ever(options.learn, options.prefix)
    with tempfile.TemporaryDirectory() as directory:
        tally = kill_rounds(Path(directory), options.rounds, options.seed)
    print(f"rounds killed                {options.rounds}")
    print(f"samples acknowledged         {len(tally.acknowledged)}")
    print(f"checks of live samples       {tally.checked}")
    print(f"outcomes acknowledged        {len(tally.recorded)}")
    print(f"checks of live outcomes      {tally.outcomes_checked}")
    print(f"checks of their answers      {tally.answers_checked}")
    print(f"acknowledged, but lost       {len(tally.lost)}")
    print(f"in the log, not recalled     {len(tally.not_recalled)}")
    print(f"longest start after a kill   {max(tally.opening_seconds):.2f} s")


if __name__ == "__main__":
    main()
