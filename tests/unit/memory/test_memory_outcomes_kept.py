"""Outcomes through eviction, expiry, restarts and failures."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import MemoryStorageError, SampleNotFoundError
from scoring.memory import Memory
from scoring.memory.log import Log
from scoring.memory.outcomes.log import OutcomeLog
from scoring.memory.segment import Segment


def state(memory, space, sample):
    totals = memory.outcome_totals("pool")
    found = [memory.recall_outcomes("pool", space, sample(n).prompt, 5) for n in range(90)]
    return (
        memory.describe("pool"),
        totals.models,
        totals.counts.tolist(),
        totals.quality_sums.tolist(),
        [each.squared_distances.tolist() for each in found],
        [each.counts.tolist() for each in found],
        [each.quality_sums.tolist() for each in found],
        [(each.outcome_id, each.sample_id) for each in memory.outcomes("pool")],
    )


def record_all(memory, record, learn):
    learn(memory, range(20))
    record(memory, range(50), quality=0.1)
    record(memory, range(30, 80), model="b", quality=1 / 3)
    record(memory, range(60, 90), model="c", quality=0.7)
    record(memory, [70], outcome_id="again", quality=0.9)


@pytest.fixture
def built(monkeypatch):
    """The numbers that went into graphs built at start."""
    seqs = []
    real = Segment.insert_many

    def insert_many(self, numbers, vectors):
        seqs.extend(numbers.tolist())
        real(self, numbers, vectors)

    monkeypatch.setattr(Segment, "insert_many", insert_many)
    return seqs


def test_the_oldest_prompts_go_with_all_their_outcomes(opened, space, outcome, record, settle):
    record(opened, range(64))
    record(opened, range(64), model="b")
    record(opened, [0], model="c")  # the first does not become younger by it
    settle(opened)
    assert opened.describe("pool").outcomes == 129
    record(opened, [100])
    settle(opened)
    assert opened.describe("pool").outcomes == 127
    assert opened.outcome_totals("pool").counts.tolist() == [64, 63, 0]
    assert opened.outcome_totals("pool").models == ("a", "b", "c")
    assert opened.recall_outcomes("pool", space, outcome(0).prompt, 1).squared_distances[0] > 0
    assert len(list(opened.outcomes("pool"))) == 127
    assert not record(opened, [0])[0].existed  # its names went as well
    record(opened, range(200, 500))
    settle(opened)
    index = opened._pools["pool"].outcomes.neighbours
    assert len(index.segments) <= 6
    assert opened.outcome_totals("pool").counts.tolist() == [64, 0, 0]
    assert opened.outcome_totals("pool").quality_sums.tolist()[1:] == [0.0, 0.0]


def test_graphs_of_prompts_have_their_own_files(opened, settings, record, learn, settle):
    learn(opened, range(40))
    record(opened, range(40))
    settle(opened)
    names = {path.name for path in (settings.directory / "segments").iterdir()}
    assert {"1-samples-0-15.hnsw", "1-subjects-0-15.hnsw"} <= names
    opened.delete("pool").result(30)
    assert not list((settings.directory / "segments").iterdir())


def test_a_graph_of_samples_goes_without_the_one_of_prompts_that_began_alike(
    settings, space, sample, record, learn, settle, built
):
    with Memory.open(settings) as memory:
        learn(memory, range(30))
        record(memory, range(30))
        settle(memory)
        learn(memory, range(100, 170))
        settle(memory)
        names = {path.name for path in (settings.directory / "segments").iterdir()}
        assert "1-samples-0-15.hnsw" not in names
        assert "1-subjects-0-15.hnsw" in names
    with Memory.open(settings) as memory:
        assert built == []
        for number in range(30):
            found = memory.recall_outcomes("pool", space, sample(number).prompt, 1)
            assert found.squared_distances[0] == 0


def test_nothing_of_a_deleted_pool_stays_in_the_log(opened, settings, record, learn):
    learn(opened, range(40))
    record(opened, range(40))
    opened.delete("pool").result(30)
    connection = sqlite3.connect(settings.directory / "memory.sqlite3")
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    left = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}
    connection.close()
    assert len(left) == 8
    assert not any(left.values())


def test_prompts_are_evicted_one_by_one_within_a_commit(opened, outcome, record, until):
    record(opened, [0])
    with opened._pools["pool"].lock.read():
        opened.record("pool", opened.space("pool"), outcome(1))
        until(lambda: not len(opened._writer.inbox))
        name = opened.record("pool", opened.space("pool"), outcome(2))
        for number in range(100, 164):  # as many as the capacity
            opened.record("pool", opened.space("pool"), outcome(number))
        again = opened.record("pool", opened.space("pool"), outcome(2))
        gone = opened.record("pool", None, outcome(3, sample_id="prompt-of-nobody"))
    assert name.result(30).existed is False
    assert again.result(30).existed is False  # it went with its prompt
    assert isinstance(gone.exception(30), SampleNotFoundError)
    assert opened.describe("pool").outcomes == 64


@pytest.fixture
def timed(settings, monkeypatch):
    """A memory whose prompts live for 50 seconds, and what sets its clock."""
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.005)
    now = [1000.0]
    settings = replace(settings, time_to_live=50)
    with Memory.open(settings, clock=lambda: now[0]) as memory:
        yield memory, now


def test_a_prompt_expires_by_its_newest_outcome(timed, space, outcome, record, until):
    memory, now = timed
    record(memory, range(10))
    record(memory, [3], model="b", recorded_at=1040.0)
    record(memory, [3], model="c", recorded_at=1001.0)
    now[0] = 1060.0
    until(lambda: memory.describe("pool").outcomes == 3)
    assert memory.outcome_totals("pool").counts.tolist() == [1, 1, 1]
    found = memory.recall_outcomes("pool", space, outcome(3).prompt, 9)
    assert (found.squared_distances.tolist(), found.counts.tolist()) == ([0.0], [[1, 1, 1]])
    now[0] = 1091.0
    until(lambda: memory.describe("pool").outcomes == 0)
    assert list(memory.outcomes("pool")) == []
    assert memory.outcome_totals("pool").quality_sums.tolist() == [0.0, 0.0, 0.0]


def test_an_outcome_that_is_too_old_on_arrival_is_not_added(timed, space, outcome, record):
    memory, _ = timed
    record(memory, [1])
    receipt = memory.record("pool", space, outcome(2, recorded_at=949.0)).result(30)
    assert (receipt.expired, receipt.existed) == (True, False)
    assert receipt.sample_id.startswith("prompt-")
    assert memory.describe("pool").outcomes == len(list(memory.outcomes("pool"))) == 1
    assert not memory.record("pool", space, outcome(2, recorded_at=951.0)).result(30).existed


def test_what_expired_in_the_meantime_is_gone_at_start(settings, space, sample, record):
    settings = replace(settings, time_to_live=50)
    with Memory.open(settings, clock=lambda: 1000.0) as memory:
        record(memory, range(40))
        record(memory, [1], model="b", recorded_at=1035.0)
    with Memory.open(settings, clock=lambda: 1080.0) as memory:
        left = [each.outcome_id for each in memory.outcomes("pool")]
        assert left == [f"outcome-{n}-a" for n in (1, *range(30, 40))] + ["outcome-1-b"]
        assert memory.describe("pool").outcomes == 12
        found = memory.recall_outcomes("pool", space, sample(1).prompt, 1)
        assert found.counts.tolist() == [[1, 1]]
        assert len(memory.recall_outcomes("pool", space, sample(1).prompt, 99).counts) == 11


def test_a_clean_restart_reads_the_graphs_of_prompts(
    settings, space, sample, record, learn, settle, built
):
    with Memory.open(settings) as memory:
        record_all(memory, record, learn)
        settle(memory)
        before = state(memory, space, sample)
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == before
        assert built == []
        record(memory, range(90, 200))
        assert memory.outcome_totals("pool").models == ("a", "b", "c")


def remove_files(directory):
    for path in (directory / "segments").glob("*-subjects-*"):
        path.unlink()


def ruin_checksum(directory):
    for path in (directory / "segments").glob("*-subjects-*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


@pytest.mark.parametrize("damage", [remove_files, ruin_checksum])
def test_graphs_of_prompts_that_cannot_be_trusted_are_built_anew(
    settings, space, sample, record, learn, settle, built, damage
):
    with Memory.open(settings) as memory:
        record_all(memory, record, learn)
        settle(memory)
        before = state(memory, space, sample)
    damage(settings.directory)
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == before
        assert built


def test_a_smaller_capacity_forgets_the_oldest_prompts(settings, space, sample, record):
    with Memory.open(settings) as memory:
        record(memory, range(60))
        record(memory, range(60), model="b")
    with Memory.open(replace(settings, capacity=30)) as memory:
        assert memory.outcome_totals("pool").counts.tolist() == [30, 30]
        assert memory.describe("pool").outcomes == 60
        for number, there in [(29, False), (30, True)]:
            found = memory.recall_outcomes("pool", space, sample(number).prompt, 1)
            assert (found.squared_distances[0] == 0) == there


def test_an_export_recorded_elsewhere_is_the_same(opened, space, sample, record, learn):
    learn(opened, [3])
    record(opened, range(5), sample_id="sample-3", quality=0.3)
    record(opened, range(10), model="b")
    for stored in opened.outcomes("pool"):
        opened.record("copy", space, stored).result(30)
    one, two = list(opened.outcomes("pool")), list(opened.outcomes("copy"))
    assert len(one) == len(two) == 15
    for each, other in zip(one, two, strict=True):
        assert each.prompt.tolist() == other.prompt.tolist()
        assert replace(each, prompt=None, answers=None) == replace(other, prompt=None, answers=None)
    assert one[0].prompt.dtype == np.float32
    assert one[0].prompt.tolist() == sample(3).prompt.tolist()
    same = [opened.recall_outcomes(p, space, sample(3).prompt, 99) for p in ("pool", "copy")]
    assert same[0].counts.tolist() == same[1].counts.tolist()
    assert same[0].quality_sums.tolist() == same[1].quality_sums.tolist()


def test_an_export_of_outcomes_sees_one_moment(opened, record, monkeypatch):
    monkeypatch.setattr("scoring.memory.export._CHUNK", 4)
    record(opened, range(30), pool="other")
    record(opened, range(30))
    stream = opened.outcomes("pool")
    seen = [next(stream).outcome_id]
    record(opened, range(30, 100), model="new")
    seen += [stored.outcome_id for stored in stream]
    assert seen == [f"outcome-{number}-a" for number in range(30)]


@pytest.mark.parametrize(
    ("owner", "statement"),
    [(Log, "add_pool"), (OutcomeLog, "add_model"), (OutcomeLog, "add"), (OutcomeLog, "advance")],
)
def test_an_outcome_whose_commit_fails_leaves_no_trace(
    opened, space, sample, outcome, record, monkeypatch, owner, statement
):
    record(opened, [1, 2])
    before = state(opened, space, sample)

    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(owner, statement, fail)
        pool = "other" if statement == "add_pool" else "pool"
        future = opened.record(pool, space, outcome(3, model="new"))
        assert "disk I/O error" in str(future.exception(30))
        assert isinstance(future.exception(30), MemoryStorageError)
    assert state(opened, space, sample) == before
    assert not opened.has("other")
    assert not record(opened, [3], model="new")[0].existed


def test_a_refused_outcome_does_not_harm_its_commit(opened, outcome, learn, until):
    learn(opened, [0])
    with opened._pools["pool"].lock.read():
        learned = opened.record("pool", None, outcome(0, sample_id="sample-0"))
        until(lambda: not len(opened._writer.inbox))
        futures = [
            opened.record("pool", None, outcome(n, sample_id=name))
            for n, name in enumerate(["sample-0", "nothing", "sample-0"], start=1)
        ]
    assert not learned.result(30).existed
    assert isinstance(futures[1].exception(30), SampleNotFoundError)
    assert not futures[0].result(30).existed
    assert not futures[2].result(30).existed
    assert opened.outcome_totals("pool").counts.tolist() == [3]


def test_a_name_past_its_time_is_free_before_it_is_swept(
    settings, space, sample, record, monkeypatch
):
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 3600.0)
    now, timed = [1000.0], replace(settings, time_to_live=50)
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        record(memory, range(4))
        record(memory, [1, 2], model="b")
        record(memory, [2], model="c", recorded_at=1040.0)
        now[0] = 1060.0  # the prompts 0, 1 and 3 are past their time
        again = record(memory, [1, 2, 1], quality=1.0, recorded_at=1060.0)
        assert [receipt.existed for receipt in again] == [False, True, True]
        assert memory.outcome_totals("pool").counts.tolist() == [4, 1, 1]
        found = memory.recall_outcomes("pool", space, sample(1).prompt, 1)
        assert found.counts.tolist() == [[1, 0, 0]]
        assert found.quality_sums.tolist() == [[1.0, 0, 0]]
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        kept = [each.outcome_id for each in memory.outcomes("pool")]
        assert kept == ["outcome-2-a", "outcome-2-b", "outcome-2-c", "outcome-1-a"]


def test_a_prompt_past_its_time_goes_even_if_its_outcome_is_refused(
    settings, space, sample, outcome, record, monkeypatch
):
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 3600.0)
    now = [1000.0]
    with Memory.open(replace(settings, time_to_live=50), clock=lambda: now[0]) as memory:
        named = outcome(1, sample_id="sample-1", prompt=sample(1).prompt)
        memory.record("pool", space, named).result(30)
        record(memory, [2])
        now[0] = 1060.0
        refused = memory.record("pool", None, replace(named, prompt=None, recorded_at=1060.0))
        assert isinstance(refused.exception(30), SampleNotFoundError)
        assert memory.outcome_totals("pool").counts.tolist() == [1]
        assert [each.outcome_id for each in memory.outcomes("pool")] == ["outcome-2-a"]
