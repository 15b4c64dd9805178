"""A small memory whose samples are made from known noise."""

from itertools import combinations

import numpy as np
import pytest

from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewSample

SPACE = EmbeddingSpace("test/encoder", 4)


class Traffic:
    """Prompts of two topics, and what scoring learned of the answers to them."""

    def __init__(self, memory):
        self.memory = memory
        self.taken = 0

    def prompt(self, topic, shift=0.0):
        vector = np.zeros(SPACE.dimension, np.float32)
        vector[topic] = 10.0
        vector[-1] = shift
        return vector

    def learn(self, topic, noise, samples=6, pool="pool"):
        """Each sample's squared distances are exactly noise_i + noise_j."""
        voters = tuple(noise)
        pairs = [
            noise[a] + noise[b] for a, b in sorted(combinations(voters, 2), key=_column(voters))
        ]
        for _ in range(samples):
            self.taken += 1
            sample = NewSample(
                sample_id=f"sample-{self.taken}",
                prompt=self.prompt(topic, self.taken / 1000),
                voters=voters,
                pairs=np.array(pairs, np.float32),
                learned_at=1000.0,
            )
            self.memory.learn(pool, SPACE, sample).result(30)


def _column(voters):
    def column(pair):
        i, j = voters.index(pair[0]), voters.index(pair[1])
        return j * (j - 1) // 2 + i

    return column


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path / "memory", capacity=200)) as memory:
        yield memory


@pytest.fixture
def traffic(memory):
    return Traffic(memory)


@pytest.fixture
def space():
    return SPACE
