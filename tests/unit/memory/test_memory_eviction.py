import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import MemoryStorageError, PoolNotFoundError
from scoring.memory import Memory
from scoring.memory.graph_log import Collection
from scoring.memory.locks import SharedLock
from scoring.memory.log import Log
from scoring.memory.neighbours import NeighbourIndex


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.01)
    return Clock()


def test_the_oldest_go_when_the_pool_is_full(opened, space, sample, learn, settle):
    learn(opened, range(200))
    pool = opened.describe("pool")
    assert (pool.samples, pool.revision, pool.oldest_at) == (64, 200, 1136.0)
    assert [s.sample_id for s in opened.samples("pool")] == [f"sample-{n}" for n in range(136, 200)]
    settle(opened)
    for number in range(200):
        (nearest,) = opened.recall("pool", space, sample(number).prompt, 1).squared_distances
        assert (nearest == 0) == (number >= 136)
    assert not learn(opened, [0])[0].existed  # its name is free again


def test_one_commit_may_take_more_than_the_pool_holds(settings, space, learn):
    with Memory.open(replace(settings, capacity=3)) as memory:
        learn(memory, range(50))
        assert memory.totals("pool", space).samples == 3
        assert memory.totals("pool", space).sums[0] == 47 + 48 + 49


def names(memory):
    return [each.sample_id for each in memory.samples("pool")]


def test_samples_are_evicted_one_by_one_within_a_commit(settings, space, sample, learn, until):
    small = replace(settings, capacity=2)
    with Memory.open(small) as memory:
        learn(memory, [1, 2])
        learn(memory, [0], pool="gate")
        with memory._pools["gate"].lock.read():  # the writer waits here with the next sample
            memory.learn("gate", space, sample(1))
            until(lambda: not len(memory._writer.inbox))
            futures = [memory.learn("pool", space, sample(number)) for number in (3, 1, 1, 2)]
        existed = [future.result(30).existed for future in futures]
        assert existed == [False, False, True, False]
        assert names(memory) == ["sample-1", "sample-2"]
        assert memory.totals("pool", space).sums[0] == 1 + 2
    with Memory.open(small) as memory:
        assert names(memory) == ["sample-1", "sample-2"]


def test_a_sample_that_is_there_already_takes_nobodys_place(settings, learn):
    with Memory.open(replace(settings, capacity=3)) as memory:
        learn(memory, range(5))
        assert [receipt.existed for receipt in learn(memory, [4, 2, 3])] == [True] * 3
        assert names(memory) == ["sample-2", "sample-3", "sample-4"]


def test_graphs_are_dropped_with_their_last_samples(opened, settings, learn, settle):
    learn(opened, range(400))
    settle(opened)
    segments = opened._pools["pool"].neighbours.segments
    assert len(segments) <= 6
    assert min(segment.first for segment in segments) >= 400 - 64 - 16
    files = {path.name for path in (settings.directory / "segments").iterdir()}
    assert files == {
        f"1-samples-{s.first}-{s.saved_last}.hnsw" for s in segments if s.saved_last >= 0
    }


def test_a_sparse_graph_is_dissolved_and_its_last_samples_are_found(
    opened, space, sample, learn, settle
):
    learn(opened, range(20))
    settle(opened)
    learn(opened, range(20, 79))  # of the first graph, 15 and the one after it live
    settle(opened)
    index = opened._pools["pool"].neighbours
    assert index._elders.live == 1
    recalled = opened.recall("pool", space, sample(15).prompt, 1)
    assert recalled.squared_distances.tolist() == [0.0]
    np.testing.assert_array_equal(recalled.rows, sample(15).pairs[None])
    learn(opened, [79])
    assert index._elders.live == 0
    assert opened.recall("pool", space, sample(15).prompt, 1).squared_distances[0] > 0


def test_what_is_left_of_graphs_is_compared_one_by_one_while_it_is_few(settings, monkeypatch):
    """Of 16, eight or fewer are; what earlier graphs left counts among them."""
    monkeypatch.setattr("scoring.memory.segment._FEW", 4)
    index = NeighbourIndex(Collection(1, "samples", 8), settings, SharedLock())
    vectors = np.random.default_rng(0).normal(size=(48, 8)).astype(np.float32)
    for seq, vector in enumerate(vectors):
        index.make_room()
        index.add(seq, vector)
        if index.waiting:
            index.merge()
    first, second, growing = index.segments
    for seq in range(8):
        assert index.sparse() is None
        index.forget(seq)
    assert index.sparse() is first
    index.dissolve(first)
    for seq in range(16, 28):
        index.forget(seq)
    assert (index.sparse(), second.live, growing.full) == (None, 4, False)
    for seq in range(8, 12):
        index.forget(seq)
    assert index.sparse() is second
    index.dissolve(second)
    assert index.segments == (growing,)
    live = np.r_[12:16, 28:48]
    near = index.search(vectors, 48)
    assert near.recent.seqs.tolist() == [44, 45, 46, 47]
    assert near.elders.seqs[near.elders.alive].tolist() == live[live < 32].tolist()
    for query, seqs, squared in zip(vectors, near.seqs, near.squared, strict=True):
        expected = {seq: ((vectors[seq] - query) ** 2).sum() for seq in range(32, 44)}
        assert sorted(seqs.tolist()) == sorted(expected)
        np.testing.assert_allclose(squared, [expected[seq] for seq in seqs.tolist()], rtol=1e-5)


@pytest.mark.parametrize("lost", [False, True])
def test_the_few_that_are_left_are_found_after_a_restart(
    settings, space, sample, learn, settle, monkeypatch, lost
):
    monkeypatch.setattr("scoring.memory.segment._FEW", 4)
    with Memory.open(settings) as memory:
        learn(memory, range(64))
        settle(memory)
        learn(memory, range(64, 90))
        settle(memory)
        assert memory._pools["pool"].neighbours._elders.live == 6
    if lost:
        (settings.directory / "segments" / "1-samples-32-47.hnsw").unlink()
    with Memory.open(settings) as memory:
        index = memory._pools["pool"].neighbours
        assert (index._elders.live, index.segments[0].first) == ((0, 26) if lost else (6, 32))
        for number in range(90):
            recalled = memory.recall("pool", space, sample(number).prompt, 1)
            assert (recalled.squared_distances[0] == 0) == (number >= 26)


def test_samples_expire_in_any_order(settings, space, sample, clock, until):
    with Memory.open(replace(settings, time_to_live=100), clock=clock) as memory:
        for number, learned_at in enumerate([990.0, 950.0, 1000.0, 920.0]):
            memory.learn("pool", space, sample(number, learned_at=learned_at)).result(30)
        clock.now = 1055.0
        until(lambda: memory.describe("pool").samples == 2)
        assert [s.sample_id for s in memory.samples("pool")] == ["sample-0", "sample-2"]
        assert memory.describe("pool").oldest_at == 990
        assert memory.totals("pool", space).sums[0] == 0 + 2
        clock.now = 2000.0
        until(lambda: memory.describe("pool").samples == 0)
        pool = memory.describe("pool")
        assert (pool.oldest_at, pool.newest_at, pool.revision) == (None, None, 4)
        assert memory.recall("pool", space, sample(0).prompt, 3).rows.shape == (0, 3)
        totals = memory.totals("pool", space)
        assert not totals.sums.any()
        assert not totals.contrast_squares.any()
        memory.learn("pool", space, sample(9, learned_at=2000.0)).result(30)
        assert memory.describe("pool").revision == 5


def test_what_is_past_its_time_on_arrival_is_not_kept(settings, space, sample, clock):
    with Memory.open(replace(settings, time_to_live=100), clock=clock) as memory:
        memory.learn("pool", space, sample(1, learned_at=1000.0)).result(30)
        receipt = memory.learn("pool", space, sample(2, learned_at=899.0)).result(30)
        assert (receipt.existed, receipt.expired, receipt.revision) == (False, True, 1)
        known = sample(3, sample_id="sample-1", learned_at=899.0)
        receipt = memory.learn("pool", space, known).result(30)
        assert (receipt.existed, receipt.expired) == (False, True)
        receipt = memory.learn("pool", space, sample(1, learned_at=1000.0)).result(30)
        assert (receipt.existed, receipt.expired) == (True, False)
        assert [s.sample_id for s in memory.samples("pool")] == ["sample-1"]


def test_many_expire_at_once(settings, learn, clock, until, monkeypatch):
    monkeypatch.setattr("scoring.memory.committer.SWEEP", 5)
    with Memory.open(replace(settings, time_to_live=500), clock=clock) as memory:
        learn(memory, range(60))
        clock.now = 1540.5
        until(lambda: memory.describe("pool").samples == 19)
        assert len(list(memory.samples("pool"))) == 19


def test_what_expired_while_the_memory_was_closed_does_not_come_back(settings, space, learn, clock):
    with Memory.open(replace(settings, time_to_live=500), clock=clock) as memory:
        learn(memory, range(60))
    clock.now = 1540.5
    with Memory.open(replace(settings, time_to_live=500), clock=clock) as memory:
        assert memory.describe("pool").samples == 19
        assert memory.totals("pool", space).samples == 19
        assert memory.describe("pool").revision == 60


@pytest.fixture
def unswept(settings, monkeypatch):
    """A memory whose samples live for 100 seconds, and which forgets none until it is opened."""
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 3600.0)
    return replace(settings, time_to_live=100)


def test_a_name_past_its_time_is_free_before_it_is_swept(unswept, space, sample, learn, settle):
    clock = Clock()
    with Memory.open(unswept, clock=clock) as memory:
        learn(memory, range(8))
        settle(memory)
        clock.now = 1105.0  # samples 0 to 4 are past their time
        again = [sample(number, learned_at=1105.0, voters="ad") for number in (3, 5)]
        futures = [memory.learn("pool", space, each) for each in (*again, again[0])]
        assert [future.result(30).existed for future in futures] == [False, True, True]
        assert memory.describe("pool").samples == 8
        nearest, next_nearest = memory.recall("pool", space, sample(3).prompt, 2).squared_distances
        assert nearest == 0 < next_nearest
        assert memory.totals("pool", space).voter_samples.tolist() == [8, 7, 7, 1]
    with Memory.open(unswept, clock=clock) as memory:
        assert names(memory) == ["sample-5", "sample-6", "sample-7", "sample-3"]
        assert memory.totals("pool", space).sums[0] == 5 + 6 + 7


def test_a_commit_that_fails_leaves_what_is_past_its_time(
    unswept, space, sample, learn, monkeypatch
):
    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    clock = Clock()
    with Memory.open(unswept, clock=clock) as memory:
        learn(memory, range(3))
        clock.now = 1200.0
        with monkeypatch.context() as broken:
            broken.setattr(Log, "advance", fail)
            future = memory.learn("pool", space, sample(1, learned_at=1200.0))
            assert isinstance(future.exception(30), MemoryStorageError)
        assert names(memory) == ["sample-0", "sample-1", "sample-2"]
        assert memory.totals("pool", space).sums[0] == 0 + 1 + 2


def test_what_is_past_its_time_begins_no_pool(settings, space, sample, outcome, clock):
    timed = replace(settings, time_to_live=100, max_pools=1)
    with Memory.open(timed, clock=clock) as memory:
        receipt = memory.learn("old", space, sample(1, learned_at=899.0)).result(30)
        assert (receipt.existed, receipt.expired, receipt.revision) == (False, True, 0)
        assert memory.record("old", space, outcome(1, recorded_at=899.0)).result(30).expired
        refused = memory.learn("old", space, sample(1, learned_at=899.0), create=False)
        assert isinstance(refused.exception(30), PoolNotFoundError)
        assert not memory.has("old")
        memory.learn("pool", space, sample(2, learned_at=1000.0)).result(30)
    with Memory.open(timed, clock=clock) as memory:
        assert [pool.name for pool in memory.descriptions()] == ["pool"]
