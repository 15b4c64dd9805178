"""The memory against a list of samples: learned, evicted, expired, deleted, reopened."""

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scoring.kernels import row_contrasts
from scoring.memory import (
    EmbeddingSpace,
    HnswParameters,
    Memory,
    MemorySettings,
    NewSample,
    segment,
)
from scoring.pairs import pair_column, pair_count

DIMENSION, CAPACITY, LIFETIME = 4, 12, 100.0
SPACE = EmbeddingSpace("model", DIMENSION)
NAMES = "abcde"


@pytest.fixture(autouse=True, scope="module")
def sweep_often():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.001)
        yield


class Model:
    """One pool, the slow way."""

    def __init__(self):
        self.voters = []
        self.samples = []  # (number, NewSample), oldest first
        self.revision = 0

    def learn(self, sample, now):
        if sample.learned_at >= now - LIFETIME:
            if any(old.sample_id == sample.sample_id for _, old in self.samples):
                return True
            self.voters += [name for name in sample.voters if name not in self.voters]
            self.samples.append((self.revision, sample))
            self.revision += 1
            self.samples = [each for each in self.samples if each[0] >= self.revision - CAPACITY]
        return False

    def expire(self, now):
        self.samples = [each for each in self.samples if each[1].learned_at >= now - LIFETIME]

    def row(self, sample):
        row = np.full(pair_count(len(self.voters)), np.nan, np.float32)
        columns = [self.voters.index(name) for name in sample.voters]
        for j in range(len(columns)):
            for i in range(j):
                row[pair_column(columns[i], columns[j])] = sample.pairs[pair_column(i, j)]
        return row

    def rows(self):
        rows = [self.row(sample) for _, sample in self.samples]
        return np.array(rows, np.float32).reshape(len(rows), pair_count(len(self.voters)))


class MemoryMachine(RuleBasedStateMachine):
    @initialize(few=st.sampled_from([segment._FEW, 1]))
    def begin(self, few):
        # With 1, what is left of a graph of five is compared one by one from two on.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(segment, "_FEW", few)
        self.directory = Path(tempfile.mkdtemp())
        self.now = 1000.0
        self.models = {}
        self.counter = 0
        self.settings = MemorySettings(
            self.directory,
            capacity=CAPACITY,
            time_to_live=LIFETIME,
            exact=2,
            segment_samples=5,
            hnsw=HnswParameters(m=8, ef_construction=40, ef_search=40),
        )
        self.memory = Memory.open(self.settings, clock=lambda: self.now)

    def sample(self, seed, voters, age, name):
        rng = np.random.default_rng(seed)
        prompt = rng.integers(-2, 3, DIMENSION).astype(np.float32)  # few, so that many coincide
        pairs = rng.random(pair_count(len(voters)), np.float32)
        return NewSample(name, prompt, tuple(voters), pairs, self.now - age)

    @rule(
        pool=st.sampled_from("pq"),
        seed=st.integers(0, 50),
        voters=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        age=st.sampled_from([0.0, 30.0, 90.0, 101.0]),
        copies=st.integers(1, 16),
        fresh=st.booleans(),
    )
    def learn(self, pool, seed, voters, age, copies, fresh):
        """Samples that may share commits, of new names or of more names than a pool keeps."""
        futures = []
        for step in range(copies):
            self.counter += 1
            name = str(self.counter) if fresh else f"again-{(seed + step) % (CAPACITY + 2)}"
            sample = self.sample(seed + step, voters, age, name)
            futures.append((self.memory.learn(pool, SPACE, sample), sample))
        model = self.models.get(pool, Model())
        for future, sample in futures:
            assert future.result(30).existed == model.learn(sample, self.now)
        if model.revision:  # what is past its time begins no pool
            self.models[pool] = model

    @precondition(lambda self: any(model.samples for model in self.models.values()))
    @rule(choice=st.integers(0, 1000))
    def learn_again(self, choice):
        pool = sorted(name for name, model in self.models.items() if model.samples)[0]
        samples = self.models[pool].samples
        old = samples[choice % len(samples)][1]
        again = replace(old, voters=(*old.voters, "new"), pairs=np.zeros(
            pair_count(len(old.voters) + 1), np.float32))  # fmt: skip
        assert self.memory.learn(pool, SPACE, again).result(30).existed

    @precondition(lambda self: self.models)
    @rule(seconds=st.sampled_from([40.0, 120.0]), seed=st.integers(0, 50))
    def learn_as_time_passes(self, seconds, seed):
        """What is past its time may be swept by then, or not yet."""
        self.now += seconds
        for model in self.models.values():
            model.expire(self.now)
        self.learn(sorted(self.models)[0], seed, ["a", "b"], 0.0, 3, fresh=False)
        self.wait_for_the_sweep()

    @rule(seconds=st.sampled_from([10.0, 40.0, 120.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.wait_for_the_sweep()
        for model in self.models.values():
            model.expire(self.now)

    def wait_for_the_sweep(self):
        deadline = time.monotonic() + 30
        while self.stale():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def stale(self):
        oldest = [self.memory.describe(name).oldest_at for name in self.models]
        return any(time is not None and time < self.now - LIFETIME for time in oldest)

    @precondition(lambda self: self.models)
    @rule()
    def delete(self):
        name = sorted(self.models)[0]
        assert self.memory.delete(name).result(30) == len(self.models.pop(name).samples)

    @rule(lose_graphs=st.booleans())
    def reopen(self, lose_graphs):
        self.memory.close()
        if lose_graphs:
            shutil.rmtree(self.directory / "segments")
        self.memory = Memory.open(self.settings, clock=lambda: self.now)

    @invariant()
    def pools_agree(self):
        assert [pool.name for pool in self.memory.descriptions()] == sorted(self.models)
        for name, model in self.models.items():
            pool = self.memory.describe(name)
            assert pool.voters == tuple(model.voters)
            assert (pool.samples, pool.revision) == (len(model.samples), model.revision)
            stored = [each.sample_id for each in self.memory.samples(name)]
            assert stored == [sample.sample_id for _, sample in model.samples]

    @invariant()
    def totals_agree(self):
        for name, model in self.models.items():
            totals, rows = self.memory.totals(name, SPACE), model.rows()
            assert totals.samples == len(model.samples)
            answered = [sum(v in s.voters for _, s in model.samples) for v in model.voters]
            assert totals.voter_samples.tolist() == answered
            assert totals.counts.tolist() == (~np.isnan(rows)).sum(axis=0).tolist()
            np.testing.assert_allclose(totals.sums, np.nansum(rows.astype(np.float64), axis=0))
            contrasts = np.array([row_contrasts(row, len(model.voters)) for row in rows])
            contrasts = contrasts.reshape(rows.shape)
            assert totals.contrast_counts.tolist() == (~np.isnan(contrasts)).sum(axis=0).tolist()
            close = {"rtol": 1e-9, "atol": 1e-12}
            np.testing.assert_allclose(totals.contrast_sums, np.nansum(contrasts, axis=0), **close)
            np.testing.assert_allclose(
                totals.contrast_squares, np.nansum(contrasts**2, axis=0), **close
            )

    @invariant()
    def recall_agrees(self):
        for name, model in self.models.items():
            query = np.full(DIMENSION, 0.3, np.float32)
            found = self.memory.recall(name, SPACE, query, CAPACITY)
            distances = [((s.prompt - query) ** 2).sum() for _, s in model.samples]
            np.testing.assert_allclose(found.squared_distances, sorted(distances), rtol=1e-5)
            recalled = sorted(np.nan_to_num(found.rows, nan=-1).tolist())
            assert recalled == sorted(np.nan_to_num(model.rows(), nan=-1).tolist())

    def teardown(self):
        if hasattr(self, "memory"):
            self.memory.close()
            self.patch.undo()
            shutil.rmtree(self.directory)


MemoryMachine.TestCase.settings = hypothesis_settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
TestMemoryModel = MemoryMachine.TestCase
