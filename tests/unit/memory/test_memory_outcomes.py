import threading
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import (
    InvalidArrayError,
    MemoryBusyError,
    MemoryStorageError,
    PoolNotFoundError,
    SampleNotFoundError,
    SpaceMismatchError,
    TooManyPoolsError,
    TooManyVotersError,
)
from scoring.memory import Durability, EmbeddingSpace, Memory


def tally(memory, pool="pool"):
    totals = memory.outcome_totals(pool)
    return dict(
        zip(
            totals.models,
            zip(totals.counts.tolist(), totals.quality_sums.tolist(), strict=True),
            strict=True,
        )
    )


def test_prompts_that_are_asked_for_together_recall_what_each_does_alone(
    opened, space, outcome, sample
):
    for number in range(40):
        opened.record("pool", space, outcome(number)).result(30)
    prompts = [sample(number).prompt for number in (3, 50, 3, 17)]
    together = opened.recall_outcomes_each("pool", space, prompts, 5)
    assert len(together) == 4
    for prompt, found in zip(prompts, together, strict=True):
        alone = opened.recall_outcomes("pool", space, prompt, 5)
        assert found.models == alone.models
        for name in ("quality_sums", "counts", "squared_distances"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
            assert len(getattr(found, name)) == 5


def test_an_outcome_is_recalled_at_once(opened, space, outcome):
    for number in range(50):
        wanted = outcome(number, model=f"m{number % 3}")
        receipt = opened.record("pool", space, wanted).result(30)
        assert receipt.outcome_id == wanted.outcome_id
        assert receipt.durability is Durability.PROCESS
        assert (receipt.existed, receipt.expired) == (False, False)
        found = opened.recall_outcomes("pool", space, wanted.prompt, 1)
        column = found.models.index(wanted.model)
        assert found.squared_distances.tolist() == [0.0]
        assert found.counts[0].tolist() == np.eye(len(found.models), dtype=int)[column].tolist()
        assert found.quality_sums[0, column] == wanted.quality
    assert opened.describe("pool").outcomes == 50
    assert opened.describe("pool").samples == opened.revision("pool") == 0


def test_outcomes_of_one_prompt_and_model_add_up(opened, space, outcome, record):
    for name, model, quality in [("1", "a", 0.5), ("2", "a", 0.25), ("3", "b", 1.0)]:
        record(opened, [7], outcome_id=name, model=model, quality=quality)
    record(opened, [8], model="b", quality=0.5)
    found = opened.recall_outcomes("pool", space, outcome(7).prompt, 9)
    assert found.models == ("a", "b")
    assert found.quality_sums.tolist() == [[0.75, 1.0], [0.0, 0.5]]
    assert found.counts.tolist() == [[2, 1], [0, 1]]
    assert found.squared_distances[0] == 0 < found.squared_distances[1]
    assert tally(opened) == {"a": (2, 0.75), "b": (2, 1.5)}


def test_k_counts_prompts(opened, space, outcome, record):
    for model in "abc":
        record(opened, range(20), model=model)
    for k in (0, 1, 5, 20, 99):
        found = opened.recall_outcomes("pool", space, outcome(3).prompt, k)
        assert found.counts.tolist() == [[1, 1, 1]] * min(k, 20)
        assert np.all(np.diff(found.squared_distances) >= 0)


def test_equal_vectors_are_one_prompt(opened, space, outcome):
    zero = np.zeros(8, np.float32)
    vectors = [zero, -zero, zero + np.float32(1e-30)]
    receipts = [
        opened.record("pool", space, outcome(n, prompt=vector)).result(30)
        for n, vector in enumerate(vectors)
    ]
    assert receipts[0].sample_id == receipts[1].sample_id != receipts[2].sample_id
    assert receipts[0].sample_id.startswith("prompt-")
    again = opened.record("pool", None, outcome(9, sample_id=receipts[0].sample_id)).result(30)
    assert again.sample_id == receipts[0].sample_id
    counts = opened.recall_outcomes("pool", space, zero, 9).counts
    assert sorted(counts[:, 0].tolist()) == [1, 3]


def test_outcomes_outlive_the_sample_that_they_name(opened, space, sample, outcome, learn):
    learn(opened, [1])
    first = opened.record("pool", None, outcome(1, sample_id="sample-1")).result(30)
    assert (first.sample_id, first.existed) == ("sample-1", False)
    learn(opened, range(2, 80))  # the capacity is 64
    found = opened.recall_outcomes("pool", space, sample(1).prompt, 1)
    assert (found.squared_distances.tolist(), found.counts.tolist()) == ([0.0], [[1]])
    later = opened.record("pool", space, outcome(2, sample_id="sample-1")).result(30)
    assert later.sample_id == "sample-1"
    assert tally(opened) == {"a": (2, 0.375)}
    gone = opened.record("pool", None, outcome(3, sample_id="sample-2"))
    with pytest.raises(SampleNotFoundError, match="sample-2") as caught:
        gone.result(30)
    assert caught.value.field == "sample_id"
    assert tally(opened) == {"a": (2, 0.375)}


def test_a_sample_and_its_outcome_may_share_a_commit(opened, space, sample, outcome, learn, until):
    learn(opened, [0], pool="gate")
    with opened._pools["gate"].lock.read():  # the writer waits here with the next sample
        opened.learn("gate", space, sample(1))
        until(lambda: not len(opened._writer.inbox))
        early = opened.record("pool", None, outcome(1, sample_id="sample-5"))
        for number in (5, 6):
            opened.learn("pool", space, sample(number))
        found = opened.record("pool", None, outcome(2, sample_id="sample-5"))
        for number in range(100, 164):  # as many as the capacity
            opened.learn("pool", space, sample(number))
        late = opened.record("pool", None, outcome(3, sample_id="sample-5"))
        gone = opened.record("pool", None, outcome(4, sample_id="sample-6"))
    assert isinstance(early.exception(30), PoolNotFoundError)
    assert found.result(30).sample_id == late.result(30).sample_id == "sample-5"
    assert isinstance(gone.exception(30), SampleNotFoundError)
    assert tally(opened) == {"a": (2, 0.25 + 0.375)}


def test_recording_a_name_twice_adds_it_once(opened, space, outcome, record):
    first = [opened.record("pool", space, outcome(1)) for _ in range(5)]
    receipts = [future.result(30) for future in first]
    assert [receipt.existed for receipt in receipts] == [False] + [True] * 4
    assert len({receipt.sample_id for receipt in receipts}) == 1
    other = outcome(2, outcome_id=outcome(1).outcome_id, model="new", quality=1.0)
    again = opened.record("pool", space, other).result(30)
    assert (again.existed, again.sample_id) == (True, receipts[0].sample_id)
    unknown = replace(other, sample_id="never learned", prompt=None)
    assert opened.record("pool", None, unknown).result(30).sample_id == receipts[0].sample_id
    assert tally(opened) == {"a": (1, 0.125)}
    assert not record(opened, [1], pool="other")[0].existed


def test_a_named_prompt_is_taken_as_given_the_first_time(opened, space, sample, outcome):
    for number, seed in [(1, 10), (2, 20)]:
        named = outcome(number, sample_id="mine", prompt=sample(seed).prompt)
        assert opened.record("pool", space, named).result(30).sample_id == "mine"
    assert opened.recall_outcomes("pool", space, sample(10).prompt, 9).counts.tolist() == [[2]]
    assert opened.recall_outcomes("pool", space, sample(10).prompt, 1).squared_distances[0] == 0


def test_a_pool_without_outcomes_gives_empty_arrays(opened, space, sample, learn):
    learn(opened, [1])
    found = opened.recall_outcomes("pool", space, sample(1).prompt, 5)
    assert found.models == ()
    assert found.counts.shape == found.quality_sums.shape == (0, 0)
    assert (found.counts.dtype, found.quality_sums.dtype) == (np.int64, np.float64)
    assert (found.squared_distances.shape, found.squared_distances.dtype) == ((0,), np.float32)
    totals = opened.outcome_totals("pool")
    assert totals.models == ()
    assert totals.counts.shape == totals.quality_sums.shape == (0,)
    assert opened.describe("pool").outcomes == 0
    assert list(opened.outcomes("pool")) == []


def test_a_pool_may_begin_with_an_outcome(opened, space, sample, outcome, learn):
    prompt = sample(1).prompt
    refused = opened.record("pool", space, outcome(1), create=False)
    assert isinstance(refused.exception(30), PoolNotFoundError)
    nothing_to_begin_with = opened.record("pool", space, outcome(1, sample_id="sample-1"))
    assert isinstance(nothing_to_begin_with.exception(30), PoolNotFoundError)
    assert not opened.has("pool")
    opened.record("pool", space, outcome(1)).result(30)
    assert opened.space("pool") == space
    assert len(opened.recall("pool", space, prompt, 5).rows) == 0
    learn(opened, [1])
    assert opened.describe("pool").voters == ("a", "b", "c")
    assert opened.outcome_totals("pool").models == ("a",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome_id", ""),
        ("outcome_id", "\ud800"),
        ("model", ""),
        ("quality", -0.01),
        ("quality", 1.01),
        ("quality", float("nan")),
        ("quality", float("inf")),
        ("recorded_at", float("nan")),
        ("sample_id", "\ud800"),
        ("prompt", np.zeros(7, np.float32)),
        ("prompt", np.full(8, np.nan, np.float32)),
        ("prompt", np.full(8, 1e19, np.float32)),
    ],
)
def test_a_malformed_outcome_is_refused_before_it_waits(opened, space, outcome, field, value):
    with pytest.raises(InvalidArrayError) as caught:
        opened.record("pool", space, replace(outcome(1), **{field: value}))
    assert caught.value.field == field
    assert not opened.has("pool")
    opened.record("pool", space, outcome(1)).result(30)


def test_an_outcome_is_of_something(opened, space, outcome):
    with pytest.raises(InvalidArrayError) as caught:
        opened.record("pool", space, replace(outcome(1), prompt=None))
    assert caught.value.field == "sample_id"
    with pytest.raises(InvalidArrayError, match="space") as caught:
        opened.record("pool", None, outcome(1))
    assert caught.value.field == "space"


@pytest.mark.parametrize("pool", ["", "\ud800"])
def test_a_pool_of_outcomes_needs_a_name(opened, space, outcome, pool):
    with pytest.raises(InvalidArrayError):
        opened.record(pool, space, outcome(1))
    assert not opened.descriptions()


def test_another_space_is_refused(opened, space, outcome, record, learn):
    record(opened, [1])
    learn(opened, [1])
    other = EmbeddingSpace("other", 8)
    for refused in (
        lambda: opened.record("pool", other, outcome(2)),
        lambda: opened.record("pool", other, outcome(2, sample_id="sample-1")),
        lambda: opened.recall_outcomes("pool", other, outcome(1).prompt, 1),
    ):
        with pytest.raises(SpaceMismatchError, match="pool"):
            refused()
    with pytest.raises(InvalidArrayError):
        opened.recall_outcomes("pool", space, outcome(1).prompt, -1)
    with pytest.raises(InvalidArrayError):
        opened.recall_outcomes("pool", space, np.zeros(7, np.float32), 1)


def test_nothing_is_known_of_outcomes_in_other_pools(opened, space):
    for ask in (
        lambda: opened.recall_outcomes("none", space, np.zeros(8, np.float32), 1),
        lambda: opened.outcome_totals("none"),
        lambda: opened.outcomes("none"),
    ):
        with pytest.raises(PoolNotFoundError, match="none"):
            ask()


def test_too_many_models(settings, space, outcome, record, learn):
    with Memory.open(replace(settings, max_voters=3)) as memory:
        learn(memory, [1], voters="xyz")  # voters are others than models
        for model in "abc":
            record(memory, [1], model=model)
        before = list(memory.outcomes("pool"))
        refused = memory.record("pool", space, outcome(2, model="d"))
        with pytest.raises(TooManyVotersError, match="max_voters") as caught:
            refused.result(30)
        assert caught.value.field == "model"
        assert len(before) == len(list(memory.outcomes("pool"))) == 3
        assert len(memory.recall_outcomes("pool", space, outcome(2).prompt, 9).counts) == 1
        assert not record(memory, [2], model="c")[0].existed


def test_too_many_pools_by_outcomes(settings, space, outcome, record):
    with Memory.open(replace(settings, max_pools=1)) as memory:
        record(memory, [1])
        with pytest.raises(TooManyPoolsError, match="max_pools"):
            memory.record("two", space, outcome(1))
        refused = memory.record("two", space, outcome(1, sample_id="x"))
        assert isinstance(refused.exception(30), PoolNotFoundError)


def test_outcomes_wait_in_the_same_queue(settings, space, sample, outcome, learn, until):
    with Memory.open(replace(settings, queue=2)) as memory:
        learn(memory, [0], pool="gate")
        with memory._pools["gate"].lock.read():
            memory.learn("gate", space, sample(1))
            until(lambda: not len(memory._writer.inbox))
            futures = [memory.record("gate", space, outcome(n)) for n in (1, 2)]
            assert futures[0].cancel()
            with pytest.raises(MemoryBusyError):
                memory.record("gate", space, outcome(3))
        futures[1].result(30)
        assert memory.describe("gate").outcomes == 1


def test_the_callers_vector_may_change_afterwards(opened, space, outcome):
    wanted = outcome(1)
    original = wanted.prompt.copy()
    future = opened.record("pool", space, wanted)
    wanted.prompt[:] = 9
    future.result(30)
    assert opened.recall_outcomes("pool", space, original, 1).squared_distances[0] == 0


def test_outcomes_go_with_their_pool(opened, record, learn):
    learn(opened, range(3))
    record(opened, range(40))
    assert opened.delete("pool").result(30) == 3
    record(opened, [1], model="z")
    assert tally(opened) == {"z": (1, 0.125)}
    assert len(list(opened.outcomes("pool"))) == 1


def test_a_closed_memory_records_no_more(settings, space, outcome):
    memory = Memory.open(settings)
    waiting = [memory.record("pool", space, outcome(n)) for n in range(20)]
    memory.close()
    assert not any(future.result(0).existed for future in waiting)
    with pytest.raises(MemoryStorageError, match="closed"):
        memory.record("pool", space, outcome(21))
    with pytest.raises(MemoryStorageError, match="closed"):
        memory.outcomes("pool")


def test_a_reader_never_sees_a_prompt_without_its_outcomes(opened, space, outcome, record):
    record(opened, [0])
    stop, faults = threading.Event(), []

    def read():
        while not stop.is_set():
            found = opened.recall_outcomes("pool", space, outcome(5).prompt, 99)
            if not found.counts.sum(axis=1).all():
                faults.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for start in range(1, 601, 60):
            record(opened, range(start, start + 60), model=f"m{start}"[:3])
    finally:
        stop.set()
        reader.join()
    assert not faults
    assert opened.describe("pool").outcomes == 64
