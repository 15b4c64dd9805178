"""The outcomes of a memory against plain lists: recorded, evicted, expired, deleted, reopened.

So is how the answers lay that outcomes are of.
"""

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scoring.errors import PoolNotFoundError, SampleNotFoundError
from scoring.memory import (
    EmbeddingSpace,
    HnswParameters,
    MeasuredAnswers,
    Memory,
    MemorySettings,
    NewOutcome,
    NewSample,
)
from scoring.pairs import pair_column

DIMENSION, CAPACITY, LIFETIME = 3, 9, 100.0
SPACE = EmbeddingSpace("model", DIMENSION)
QUALITIES = [0.0, 0.1, 0.25, 1 / 3, 0.7, 1.0]


@pytest.fixture(autouse=True, scope="module")
def sweep_often():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.001)
        yield


def make_sample(name, prompt, at, seed):
    rng = np.random.default_rng(seed)
    voters = tuple(rng.permutation(list("abcx"))[: rng.integers(1, 5)].tolist())
    pairs = rng.random(len(voters) * (len(voters) - 1) // 2, np.float32)
    features = rng.random((len(voters), 2), np.float32) if seed % 3 else None
    return NewSample(name, prompt, voters, pairs, at, features)


def answers_of(sample):
    return MeasuredAnswers(sample.voters, sample.pairs, sample.features)


def plain(answers):
    """Answers as lists, which can be compared."""
    if answers is None:
        return None
    features = None if answers.features is None else answers.features.tolist()
    return answers.voters, answers.pairs.tolist(), features


def measured(answers, voters):
    """What is known (V, 3) of the answers to a subject."""
    rows = np.full((len(voters), 3), np.nan)
    own = () if answers is None else answers.voters
    for i, voter in enumerate(own):
        others = [answers.pairs[pair_column(i, j)] for j in range(len(own)) if j != i]
        features = [np.nan] * 2 if answers.features is None else answers.features[i]
        rows[voters.index(voter)] = np.mean(others) if others else np.nan, *features
    return rows


def named_after(prompt):
    return f"prompt-{hashlib.sha256(prompt.astype('<f4').tobytes()).hexdigest()[:32]}"


@dataclass
class Subject:
    number: int
    name: str
    prompt: np.ndarray
    outcomes: list  # (number, NewOutcome)
    answers: MeasuredAnswers | None = None

    def row(self, models):
        own = [[o.quality for _, o in self.outcomes if o.model == model] for model in models]
        return [(len(qualities), sum(qualities)) for qualities in own]


class Model:
    """One pool, the slow way."""

    def __init__(self):
        self.models = []
        self.samples = []  # (number, NewSample), oldest first
        self.subjects = []
        self.learned = self.begun = self.recorded = 0

    def learn(self, sample):
        if any(s.sample_id == sample.sample_id for _, s in self.samples):
            return
        self.samples.append((self.learned, sample))
        self.learned += 1
        self.samples = [each for each in self.samples if each[0] >= self.learned - CAPACITY]
        for subject in self.subjects:
            if subject.name == sample.sample_id and subject.answers is None:
                subject.answers = answers_of(sample)

    def outcomes(self):
        every = [(number, s, o) for s in self.subjects for number, o in s.outcomes]
        return [(s, o) for _, s, o in sorted(every, key=lambda each: each[0])]

    def record(self, outcome, now):
        """Name of the subject, whether it existed, whether it expired; or an error."""
        name = outcome.sample_id or named_after(outcome.prompt)
        if outcome.recorded_at < now - LIFETIME:
            return name, False, True
        for subject, old in self.outcomes():
            if old.outcome_id == outcome.outcome_id:
                return subject.name, True, False
        subject = self.subject(name, outcome.prompt)
        if subject is None:
            return SampleNotFoundError
        self.recorded += 1
        subject.outcomes.append((self.recorded, outcome))
        self.models += [outcome.model] if outcome.model not in self.models else []
        return name, False, False

    def subject(self, name, prompt):
        for subject in self.subjects:
            if subject.name == name:
                return subject
        sample = next((s for _, s in self.samples if s.sample_id == name), None)
        if prompt is None and sample is not None:
            prompt = sample.prompt
        if prompt is None:
            return None
        answers = None if sample is None else answers_of(sample)
        self.subjects.append(Subject(self.begun, name, prompt, [], answers))
        self.begun += 1
        self.subjects = [s for s in self.subjects if s.number >= self.begun - CAPACITY]
        return self.subjects[-1]

    def expire(self, now):
        self.samples = [each for each in self.samples if each[1].learned_at >= now - LIFETIME]
        self.subjects = [
            s for s in self.subjects if max(o.recorded_at for _, o in s.outcomes) >= now - LIFETIME
        ]


class OutcomeMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.directory = Path(tempfile.mkdtemp())
        self.now = 1000.0
        self.models = {}
        self.counter = 0
        self.settings = MemorySettings(
            self.directory,
            capacity=CAPACITY,
            time_to_live=LIFETIME,
            exact=2,
            segment_samples=4,
            hnsw=HnswParameters(m=8, ef_construction=40, ef_search=40),
        )
        self.memory = Memory.open(self.settings, clock=lambda: self.now)

    def prompt(self, seed):
        rng = np.random.default_rng(seed)
        return rng.integers(-2, 3, DIMENSION).astype(np.float32)  # few, so that many coincide

    def new_id(self):
        self.counter += 1
        return str(self.counter)

    def check(self, pool, batch):
        """Waits for a batch, and asks the model for the same, one after the other."""
        for outcome, future in batch:
            model = self.models.get(pool, Model())
            if pool not in self.models and outcome.prompt is None:
                expected = PoolNotFoundError
            else:
                expected = model.record(outcome, self.now)
            if model.recorded:  # what is past its time begins no pool
                self.models[pool] = model
            if isinstance(expected, type):
                assert isinstance(future.exception(30), expected)
                continue
            receipt = future.result(30)
            assert receipt.outcome_id == outcome.outcome_id
            assert (receipt.sample_id, receipt.existed, receipt.expired) == expected

    @rule(
        pool=st.sampled_from("pq"),
        seed=st.integers(0, 30),
        copies=st.integers(1, 4),
        name=st.sampled_from([None, None, "a name"]),
    )
    def learn(self, pool, seed, copies, name):
        model = self.models.setdefault(pool, Model())
        for step in range(copies):
            own = name or self.new_id()
            sample = make_sample(own, self.prompt(seed + step), self.now, seed + step)
            self.memory.learn(pool, SPACE, sample).result(30)
            model.learn(sample)

    @rule(
        pool=st.sampled_from("pq"),
        seeds=st.lists(st.integers(0, 30), min_size=1, max_size=14),
        model=st.sampled_from("xyz"),
        quality=st.sampled_from(QUALITIES),
        age=st.sampled_from([0.0, 30.0, 90.0, 101.0]),
    )
    def record_prompts(self, pool, seeds, model, quality, age):
        batch = []
        for seed in seeds:
            outcome = NewOutcome(
                self.new_id(), model, quality, self.now - age, prompt=self.prompt(seed)
            )
            batch.append((outcome, self.memory.record(pool, SPACE, outcome)))
        self.check(pool, batch)

    @rule(
        pool=st.sampled_from("pq"),
        backs=st.lists(st.integers(1, 40), min_size=1, max_size=6),
        model=st.sampled_from("wx"),
        quality=st.sampled_from(QUALITIES),
    )
    def record_names(self, pool, backs, model, quality):
        """Some are names of samples, live or gone, some of subjects, some of nothing."""
        batch, latest = [], self.counter
        names = [str(latest - back) for back in backs]
        names += [s.name for s in self.models[pool].subjects[:2]] if pool in self.models else []
        for name in names:
            outcome = NewOutcome(self.new_id(), model, quality, self.now, sample_id=name)
            batch.append((outcome, self.memory.record(pool, None, outcome)))
        self.check(pool, batch)

    @precondition(lambda self: any(model.subjects for model in self.models.values()))
    @rule(choice=st.integers(0, 1000))
    def record_again(self, choice):
        pool = sorted(name for name, model in self.models.items() if model.subjects)[0]
        every = self.models[pool].outcomes()
        _, old = every[choice % len(every)]
        again = replace(old, model="never seen", sample_id="", prompt=self.prompt(choice))
        self.check(pool, [(again, self.memory.record(pool, SPACE, again))])

    @precondition(lambda self: self.models)
    @rule(name=st.sampled_from(["a name", "another"]), seed=st.integers(0, 30))
    def record_a_named_prompt(self, name, seed):
        outcome = NewOutcome(self.new_id(), "x", 0.5, self.now, name, self.prompt(seed))
        pool = sorted(self.models)[0]
        self.check(pool, [(outcome, self.memory.record(pool, SPACE, outcome))])

    @rule(seconds=st.sampled_from([10.0, 40.0, 120.0]))
    def time_passes(self, seconds):
        self.now += seconds
        for model in self.models.values():
            model.expire(self.now)
        deadline = time.monotonic() + 30
        while not all(self.swept(name) for name in self.models):
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def swept(self, name):
        pool, model = self.memory.describe(name), self.models[name]
        return (pool.samples, pool.outcomes) == (len(model.samples), len(model.outcomes()))

    @precondition(lambda self: self.models)
    @rule()
    def delete(self):
        name = sorted(self.models)[0]
        del self.models[name]
        self.memory.delete(name).result(30)

    @rule(lose_graphs=st.booleans(), seconds=st.sampled_from([0.0, 50.0]))
    def reopen(self, lose_graphs, seconds):
        self.memory.close()
        self.now += seconds
        for model in self.models.values():
            model.expire(self.now)
        if lose_graphs:
            shutil.rmtree(self.directory / "segments")
        self.memory = Memory.open(self.settings, clock=lambda: self.now)

    @rule()
    def copy_a_pool(self):
        """What is exported and recorded elsewhere is the same again."""
        for name in self.models:
            copied = [
                self.memory.record("copy", SPACE, each).result(30)
                for each in self.memory.outcomes(name)
            ]
            if not copied:
                continue
            assert not any(receipt.existed for receipt in copied)
            kept = {each.outcome_id for each in copied if not each.expired}
            originals = [
                (outcome.outcome_id, subject.name, subject.prompt.tolist(), plain(subject.answers))
                for subject, outcome in self.models[name].outcomes()
                if outcome.outcome_id in kept
            ]
            copies = [
                (each.outcome_id, each.sample_id, each.prompt.tolist(), plain(each.answers))
                for each in self.memory.outcomes("copy")
            ]
            assert copies == originals
            self.memory.delete("copy").result(30)

    @invariant()
    def totals_agree(self):
        for name, model in self.models.items():
            totals = self.memory.outcome_totals(name)
            rows = np.array([s.row(model.models) for s in model.subjects])
            rows = rows.reshape(len(model.subjects), len(model.models), 2)
            assert totals.models == tuple(model.models)
            assert totals.counts.tolist() == rows[..., 0].sum(axis=0).tolist()
            np.testing.assert_allclose(totals.quality_sums, rows[..., 1].sum(axis=0), atol=1e-8)
            assert not totals.quality_sums[totals.counts == 0].any()
            assert self.memory.describe(name).outcomes == totals.counts.sum()

    @invariant()
    def recall_agrees(self):
        query = np.full(DIMENSION, 0.5, np.float32)
        for name, model in self.models.items():
            found = self.memory.recall_outcomes(name, SPACE, query, CAPACITY)
            near = self.memory.recall_outcomes(name, SPACE, query, 3)
            distances = sorted(float(((s.prompt - query) ** 2).sum()) for s in model.subjects)
            assert found.squared_distances.tolist() == distances
            assert near.squared_distances.tolist() == distances[:3]
            assert found.models == tuple(model.models)
            assert found.counts.shape == found.quality_sums.shape
            assert found.counts.shape == (len(distances), len(model.models))
            rows = np.concatenate([found.counts, found.quality_sums.round(6)], axis=1).tolist()
            expected = [zip(*s.row(model.models), strict=True) for s in model.subjects]
            expected = [[*counts, *np.round(sums, 6)] for counts, sums in expected]
            assert sorted(rows) == sorted(expected)

    @invariant()
    def exports_agree(self):
        for name, model in self.models.items():
            stored = list(self.memory.outcomes(name))
            assert len(stored) == len(model.outcomes())
            for each, (subject, outcome) in zip(stored, model.outcomes(), strict=True):
                assert each.sample_id == subject.name
                assert each.prompt.tolist() == subject.prompt.tolist()
                assert plain(each.answers) == plain(subject.answers)
                for field in ("outcome_id", "model", "quality", "recorded_at"):
                    assert getattr(each, field) == getattr(outcome, field)

    @invariant()
    def what_was_judged_agrees(self):
        for name, model in self.models.items():
            found = self.memory.judged(name)
            assert found.models == tuple(model.models)
            assert len(found.measured) == len(found.counts) == len(model.subjects)
            for counts, rows, subject in zip(
                found.counts, found.measured, model.subjects, strict=True
            ):
                assert counts.tolist() == [count for count, _ in subject.row(model.models)]
                np.testing.assert_allclose(rows, measured(subject.answers, found.voters), rtol=1e-6)

    def teardown(self):
        if hasattr(self, "memory"):
            self.memory.close()
            shutil.rmtree(self.directory)


OutcomeMachine.TestCase.settings = hypothesis_settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
TestOutcomeModel = OutcomeMachine.TestCase
