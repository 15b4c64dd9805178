from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import (
    InvalidArrayError,
    MemoryBusyError,
    MemoryStorageError,
    PoolNotFoundError,
    SpaceMismatchError,
    TooManyPoolsError,
    TooManyVotersError,
)
from scoring.memory import Durability, EmbeddingSpace, Memory, Receipt


def test_a_learned_sample_is_recalled_at_once(opened, space, sample):
    for number in range(50):
        wanted = sample(number)
        receipt = opened.learn("pool", space, wanted).result(30)
        assert receipt == Receipt(wanted.sample_id, Durability.PROCESS, False, False, number + 1)
        recalled = opened.recall("pool", space, wanted.prompt, 1)
        assert recalled.squared_distances.tolist() == [0.0]
        np.testing.assert_array_equal(recalled.rows, wanted.pairs[None])


def test_a_new_pool_describes_itself(opened, space, learn):
    learn(opened, [1, 2], voters=("x", "y"))
    pool = opened.describe("pool")
    assert (pool.name, pool.space, pool.samples, pool.capacity) == ("pool", space, 2, 64)
    assert (pool.revision, pool.voters) == (2, ("x", "y"))
    assert (pool.oldest_at, pool.newest_at) == (1001.0, 1002.0)
    assert opened.has("pool")
    assert not opened.has("other")


def test_space_and_revision_wait_for_nobody(opened, space, learn):
    learn(opened, range(3))
    with opened._pools["pool"].lock.write():  # as the writer would hold it
        assert opened.space("pool") == space
        assert opened.revision("pool") == 3
        assert opened.has("pool")


def test_pools_are_listed_by_name_and_kept_apart(opened, space, sample, learn):
    learn(opened, [1], pool="b")
    learn(opened, [2], pool="a")
    assert [pool.name for pool in opened.descriptions()] == ["a", "b"]
    recalled = opened.recall("a", space, sample(1).prompt, 5)
    np.testing.assert_array_equal(recalled.rows, sample(2).pairs[None])


def test_rows_follow_the_columns_of_the_pool(opened, space, sample, learn):
    learn(opened, [1], voters=("a", "b", "c"))
    learn(opened, [2], voters=("d", "b"))
    learn(opened, [3], voters=("e",))
    nan = np.nan
    recalled = opened.recall("pool", space, sample(2).prompt, 1)
    assert recalled.voters == ("a", "b", "c", "d", "e")
    expected = np.full((1, 10), nan, np.float32)
    expected[0, 4] = 2.0  # (b, d)
    np.testing.assert_array_equal(recalled.rows, expected)
    assert np.isnan(opened.recall("pool", space, sample(3).prompt, 1).rows).all()
    assert opened.totals("pool", space).voter_samples.tolist() == [1, 2, 1, 1, 1]


def test_fewer_are_recalled_where_there_are_fewer(opened, space, sample, learn):
    learn(opened, range(3))
    assert len(opened.recall("pool", space, sample(0).prompt, 10).rows) == 3
    none = opened.recall("pool", space, sample(0).prompt, 0)
    assert none.rows.shape == (0, 3)
    assert none.squared_distances.shape == (0,)


def test_learning_a_name_twice_adds_it_once(opened, space, sample, learn):
    first = [opened.learn("pool", space, sample(1)) for _ in range(5)]  # one commit or several
    assert [future.result(30).existed for future in first] == [False] + [True] * 4
    again = replace(sample(2), sample_id=sample(1).sample_id, voters=("new", "b", "c"))
    receipt = opened.learn("pool", space, again).result(30)
    assert (receipt.existed, receipt.revision) == (True, 1)
    assert opened.describe("pool").voters == ("a", "b", "c")
    assert opened.totals("pool", space).samples == 1
    assert not learn(opened, [1], pool="other")[0].existed


def test_the_callers_arrays_may_change_afterwards(opened, space, sample):
    wanted = sample(1)
    future = opened.learn("pool", space, wanted)
    original = wanted.prompt.copy()
    wanted.prompt[:] = 9
    wanted.pairs[:] = 9
    future.result(30)
    recalled = opened.recall("pool", space, original, 1)
    assert recalled.squared_distances.tolist() == [0.0]
    np.testing.assert_array_equal(recalled.rows, sample(1).pairs[None])


def test_read_only_and_strided_arrays_are_taken(opened, space, sample):
    wide = np.zeros((8, 2), np.float32)
    prompt = np.frombuffer(sample(1).prompt.tobytes(), np.float32)
    wide[:, 0] = prompt
    opened.learn("pool", space, replace(sample(1), prompt=wide[:, 0])).result(30)
    assert opened.recall("pool", space, prompt, 1).squared_distances.tolist() == [0.0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", np.zeros(7, np.float32)),
        ("prompt", np.zeros((1, 8), np.float32)),
        ("prompt", np.array([0, 0, 0, np.nan, 0, 0, 0, 0], np.float32)),
        ("prompt", np.full(8, 1e19, np.float32)),
        ("pairs", np.zeros(2, np.float32)),
        ("pairs", np.array([1, np.nan, 1], np.float32)),
        ("pairs", np.array([1, np.inf, 1], np.float32)),
        ("pairs", np.array([1, -1, 1], np.float32)),
        ("voters", ("a", "b", "a")),
        ("voters", ()),
        ("voters", ("a", "b", "")),
        ("voters", ("a", "b", "\ud800")),
        ("sample_id", ""),
        ("sample_id", "\ud800"),
        ("learned_at", float("nan")),
    ],
)
def test_a_malformed_sample_is_refused_before_it_waits(opened, space, sample, field, value):
    with pytest.raises(InvalidArrayError):
        opened.learn("pool", space, replace(sample(1), **{field: value}))
    assert not opened.has("pool")
    opened.learn("pool", space, sample(1)).result(30)


@pytest.mark.parametrize("pool", ["", "\ud800"])
def test_a_pool_needs_a_name(opened, space, sample, pool):
    with pytest.raises(InvalidArrayError):
        opened.learn(pool, space, sample(1))


def test_a_space_needs_a_dimension(opened, sample):
    with pytest.raises(InvalidArrayError):
        opened.learn("pool", EmbeddingSpace("x", 0), sample(1))


@pytest.mark.parametrize(
    "prompt", [np.zeros(7, np.float32), np.full(8, np.nan, np.float32), np.full(8, 1e30)]
)
def test_a_malformed_query_is_refused(opened, space, learn, prompt):
    learn(opened, [1])
    with pytest.raises(InvalidArrayError):
        opened.recall("pool", space, prompt, 1)
    with pytest.raises(InvalidArrayError):
        opened.recall("pool", space, np.zeros(8, np.float32), -1)


@pytest.mark.parametrize("other", [EmbeddingSpace("other", 8), EmbeddingSpace("test/encoder", 9)])
def test_another_space_is_refused_everywhere(opened, space, sample, learn, other):
    learn(opened, [1])
    opened.require_space("pool", space)
    prompt = np.zeros(other.dimension, np.float32)
    for refused in (
        lambda: opened.require_space("pool", other),
        lambda: opened.recall("pool", other, prompt, 1),
        lambda: opened.totals("pool", other),
        lambda: opened.learn("pool", other, replace(sample(2), prompt=prompt)),
    ):
        with pytest.raises(SpaceMismatchError, match="pool"):
            refused()


def held(memory):
    """Keeps the writer from the log, so that what is learned comes in one commit."""
    return memory._pools["gate"].lock.read()


def test_two_first_samples_of_different_spaces_race(opened, space, sample, learn, until):
    learn(opened, [0], pool="gate")
    with held(opened):  # the writer waits here to publish the next sample of the gate
        gate = opened.learn("gate", space, sample(1))
        until(lambda: not len(opened._writer.inbox))
        first = opened.learn("pool", space, sample(1))
        other = EmbeddingSpace("other", 3)
        vector = np.zeros(3, np.float32)
        second = opened.learn("pool", other, replace(sample(2), prompt=vector))
        third = opened.learn("pool", space, sample(3))
    assert gate.result(30).revision == 2
    assert first.result(30).revision == 1
    assert isinstance(second.exception(30), SpaceMismatchError)
    assert third.result(30).revision == 2


def test_too_many_pools(settings, space, sample, learn, until):
    with Memory.open(replace(settings, max_pools=3)) as memory:
        learn(memory, [0], pool="gate")
        learn(memory, [0], pool="one")
        with held(memory):
            memory.learn("gate", space, sample(1))
            until(lambda: not len(memory._writer.inbox))
            futures = [memory.learn(name, space, sample(1)) for name in ("two", "three")]
        assert futures[0].result(30).revision == 1
        assert isinstance(futures[1].exception(30), TooManyPoolsError)
        with pytest.raises(TooManyPoolsError, match="max_pools"):
            memory.learn("four", space, sample(1))
        memory.delete("one").result(30)
        learn(memory, [1], pool="four")


def test_too_many_voters(settings, space, sample, learn):
    with Memory.open(replace(settings, max_voters=3)) as memory:
        with pytest.raises(TooManyVotersError, match="max_voters"):
            memory.learn("pool", space, sample(1, voters="abcd"))
        learn(memory, [1], voters="ab")
        refused = memory.learn("pool", space, sample(2, voters="acd"))
        assert isinstance(refused.exception(30), TooManyVotersError)
        learn(memory, [3], voters="ac")
        assert memory.describe("pool").voters == ("a", "b", "c")
        assert memory.describe("pool").revision == 2


def test_a_full_queue_is_refused_at_once(settings, space, sample, learn, until):
    with Memory.open(replace(settings, queue=2)) as memory:
        learn(memory, [0], pool="gate")
        with held(memory):
            taken = memory.learn("gate", space, sample(1))
            until(lambda: not len(memory._writer.inbox))
            waiting = [memory.learn("gate", space, sample(n)) for n in (2, 3)]
            with pytest.raises(MemoryBusyError, match="2 samples"):
                memory.learn("gate", space, sample(4))
        assert [future.result(30).revision for future in (taken, *waiting)] == [2, 3, 4]


def test_a_cancelled_sample_that_still_waits_is_not_learned(opened, space, sample, learn, until):
    learn(opened, [0], pool="gate")
    with held(opened):
        opened.learn("gate", space, sample(1))
        until(lambda: not len(opened._writer.inbox))
        futures = [opened.learn("gate", space, sample(n)) for n in (2, 3, 4)]
        assert futures[1].cancel()
    assert [future.result(30).revision for future in (futures[0], futures[2])] == [3, 4]


def test_nothing_is_known_of_other_pools(opened, space):
    for ask in (
        lambda: opened.describe("none"),
        lambda: opened.space("none"),
        lambda: opened.revision("none"),
        lambda: opened.recall("none", space, np.zeros(8, np.float32), 1),
        lambda: opened.totals("none", space),
        lambda: opened.require_space("none", space),
        lambda: opened.samples("none"),
        lambda: opened.delete("none"),
    ):
        with pytest.raises(PoolNotFoundError, match="none"):
            ask()


def test_a_deleted_pool_begins_anew(opened, settings, sample, learn, settle):
    learn(opened, range(40))
    settle(opened)
    assert list((settings.directory / "segments").iterdir())
    deleted, again = opened.delete("pool"), opened.delete("pool")
    assert deleted.result(30) == 40
    assert isinstance(again.exception(30), PoolNotFoundError)
    assert not opened.has("pool")
    assert not list((settings.directory / "segments").iterdir())
    other = EmbeddingSpace("other", 3)
    new = replace(sample(1, voters=("z",)), prompt=np.zeros(3, np.float32))
    assert opened.learn("pool", other, new).result(30).revision == 1
    assert opened.describe("pool").voters == ("z",)
    assert opened.totals("pool", other).voter_samples.tolist() == [1]


def test_learning_after_a_deletion_in_the_queue_finds_the_pool_gone(opened, space, sample, learn):
    learn(opened, [1, 2])
    futures = [opened.delete("pool"), opened.learn("pool", space, sample(1))]
    assert futures[0].result(30) == 2
    assert futures[1].result(30).existed is False
    assert opened.describe("pool").revision == 1


def test_a_closed_memory_learns_no_more(settings, space, sample):
    memory = Memory.open(settings)
    waiting = [memory.learn("pool", space, sample(n)) for n in range(20)]
    memory.close()
    memory.close()
    assert [future.result(0).revision for future in waiting] == list(range(1, 21))
    assert memory.failure.result(0) is None
    with pytest.raises(MemoryStorageError, match="closed"):
        memory.learn("pool", space, sample(21))
    with pytest.raises(MemoryStorageError, match="closed"):
        memory.samples("pool")
