"""A small memory, and samples for it."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from scoring.memory import (
    EmbeddingSpace,
    HnswParameters,
    Memory,
    MemorySettings,
    NewOutcome,
    NewSample,
)

SPACE = EmbeddingSpace("test/encoder", 8)


def make_sample(number: int, voters: Sequence[str] = ("a", "b", "c"), **fields) -> NewSample:
    """The same sample for the same number: its pairs are number, number + 1/8, ..."""
    pairs = len(voters) * (len(voters) - 1) // 2
    values = {
        "sample_id": f"sample-{number}",
        "prompt": np.random.default_rng(number).normal(size=SPACE.dimension).astype(np.float32),
        "voters": tuple(voters),
        "pairs": np.float32(number) + np.arange(pairs, dtype=np.float32) / 8,
        "learned_at": 1000.0 + number,
    }
    return NewSample(**(values | fields))


def make_outcome(number: int, model: str = "a", **fields) -> NewOutcome:
    """The same outcome of the prompt of the same sample for the same number and model."""
    values = {
        "outcome_id": f"outcome-{number}-{model}",
        "model": model,
        "quality": number % 8 / 8,
        "recorded_at": 1000.0 + number,
    }
    if "sample_id" not in fields:
        values["prompt"] = make_sample(number).prompt
    return NewOutcome(**(values | fields))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.002)


@pytest.fixture
def space():
    return SPACE


@pytest.fixture
def sample():
    return make_sample


@pytest.fixture
def outcome():
    return make_outcome


@pytest.fixture
def until():
    return wait_until


@pytest.fixture
def settings(tmp_path):
    return MemorySettings(
        tmp_path / "memory",
        capacity=64,
        exact=4,
        segment_samples=16,
        hnsw=HnswParameters(m=8, ef_construction=32, ef_search=32),
    )


@pytest.fixture
def learn():
    """Learns numbered samples and waits for their receipts."""

    def _learn(memory, numbers, pool="pool", **fields):
        futures = [memory.learn(pool, SPACE, make_sample(n, **fields)) for n in numbers]
        return [future.result(30) for future in futures]

    return _learn


@pytest.fixture
def record():
    """Records numbered outcomes and waits for their receipts."""

    def _record(memory, numbers, pool="pool", **fields):
        futures = [memory.record(pool, SPACE, make_outcome(n, **fields)) for n in numbers]
        return [future.result(30) for future in futures]

    return _record


@pytest.fixture
def settle():
    """Waits until the writer has nothing left to do."""

    def _settle(memory):
        wait_until(lambda: not memory._writer._busy and not len(memory._writer.inbox))

    return _settle


@pytest.fixture
def opened(settings):
    with Memory.open(settings) as memory:
        yield memory
