import logging
import sqlite3
import threading
from dataclasses import replace

import pytest

from scoring.errors import MemoryStorageError
from scoring.memory import Memory
from scoring.memory.committer import Committer
from scoring.memory.graph_log import GraphLog
from scoring.memory.log import Log
from scoring.memory.pool import Pool
from scoring.memory.segment import Segment
from scoring.memory.snapshots import Snapshots


def limit_pages(memory, extra):
    connection = memory._log._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + extra}")


def test_a_full_disk_fails_the_samples_and_not_the_writer(settings, space, sample, learn):
    with Memory.open(settings) as memory:
        learn(memory, range(10))
        limit_pages(memory, 0)
        futures = [memory.learn("new", space, sample(n, voters="xyz")) for n in range(100)]
        errors = [future.exception(30) for future in futures]
        assert any(errors)
        refused = [number for number, error in enumerate(errors) if error]
        assert all(isinstance(errors[number], MemoryStorageError) for number in refused)
        assert "nothing was learned" in str(errors[refused[0]])
        limit_pages(memory, 10_000)
        kept = 100 - len(refused)
        assert not memory.has("new") or memory.describe("new").revision == kept
        receipts = learn(memory, refused, pool="new", voters="xyz")
        assert not any(receipt.existed for receipt in receipts)
        assert memory.describe("new").revision == 100
        assert memory.describe("pool").samples == 10
        assert not memory.failure.done()
    with Memory.open(settings) as memory:
        assert memory.describe("new").revision == 100
        assert memory.describe("new").voters == ("x", "y", "z")


@pytest.mark.parametrize("statement", ["add_pool", "add_voter", "add_sample", "advance"])
def test_a_commit_that_fails_anywhere_leaves_no_trace(
    opened, space, sample, learn, monkeypatch, statement
):
    learn(opened, [1, 2])
    before = opened.totals("pool", space)

    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(Log, statement, fail)
        pool = "other" if statement == "add_pool" else "pool"
        future = opened.learn(pool, space, sample(3, voters=("a", "new")))
        assert "disk I/O error" in str(future.exception(30))
    after = opened.totals("pool", space)
    assert after.voters == before.voters
    assert after.sums.tolist() == before.sums.tolist()
    assert not opened.has("other")
    assert learn(opened, [3], voters=("a", "new"))[0].revision == 3


def test_a_deletion_that_fails_keeps_the_pool(opened, learn, monkeypatch):
    learn(opened, range(5))

    def fail(*_):
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(Log, "drop_pool", fail)
        assert isinstance(opened.delete("pool").exception(30), MemoryStorageError)
    assert opened.describe("pool").samples == 5
    assert opened.delete("pool").result(30) == 5


def test_a_sweep_that_fails_is_tried_again(settings, learn, monkeypatch, until, caplog):
    now = [0]
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.01)
    failures = iter([True, True])

    def expire(self):
        if next(failures, False):
            raise sqlite3.OperationalError("database is locked")
        return real(self)

    real = Committer.expire
    monkeypatch.setattr(Committer, "expire", expire)
    with (
        caplog.at_level(logging.WARNING),
        Memory.open(replace(settings, time_to_live=5), clock=lambda: 1000.0 + now[0]) as memory,
    ):
        learn(memory, range(3))
        now[0] = 100
        until(lambda: memory.describe("pool").samples == 0)
    assert "could not be forgotten" in caplog.text


def test_a_graph_that_cannot_be_saved_costs_nothing_but_time(
    settings, space, sample, learn, settle, monkeypatch, caplog
):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Snapshots, "_save", fail)
        with caplog.at_level(logging.WARNING), Memory.open(settings) as memory:
            learn(memory, range(60))
            settle(memory)
    assert "could not be saved" in caplog.text
    with Memory.open(settings) as memory:
        for number in range(60):
            recalled = memory.recall("pool", space, sample(number).prompt, 1)
            assert recalled.squared_distances.tolist() == [0.0]


def _disk_error(*_):
    raise sqlite3.OperationalError("disk I/O error")


def _cut_short(_, path):
    path.write_bytes(b"the first half of a graph")
    raise MemoryStorageError("cut short")


@pytest.mark.parametrize(
    ("part", "method", "failure"),
    [(Segment, "save", _cut_short), (GraphLog, "put_segment", _disk_error)],
    ids=["the file", "the log"],
)
def test_a_save_that_fails_leaves_no_file_and_the_one_before_it(
    settings, learn, settle, monkeypatch, caplog, part, method, failure
):
    segments = settings.directory / "segments"
    with Memory.open(settings) as memory:
        learn(memory, range(10))
        settle(memory)
    before = {path.name: path.read_bytes() for path in segments.iterdir()}
    assert before
    monkeypatch.setattr(part, method, failure)
    monkeypatch.setattr("scoring.memory.writer.QUIET_SECONDS", 0.0)
    with caplog.at_level(logging.WARNING), Memory.open(settings) as memory:
        learn(memory, range(10, 60))
        settle(memory)
        assert "could not be saved" in caplog.text
        assert {path.name: path.read_bytes() for path in segments.iterdir()} == before


def test_a_log_that_cannot_be_read_while_a_graph_is_dropped_is_no_fault(
    settings, learn, settle, monkeypatch, caplog
):
    with caplog.at_level(logging.WARNING), Memory.open(settings) as memory:
        learn(memory, range(60))
        settle(memory)
        with monkeypatch.context() as broken:
            broken.setattr(GraphLog, "segments", _disk_error)
            learn(memory, range(60, 160))
            settle(memory)
        assert not memory.failure.done()
        assert learn(memory, [160])[0].revision == 161
    assert "A neighbour graph could not be removed: disk I/O error" in caplog.text


def test_a_dead_writer_says_so_and_leaves_nobody_waiting(
    settings, space, sample, learn, monkeypatch
):
    memory = Memory.open(settings)
    learn(memory, [1])
    fault, all_wait = RuntimeError("a fault of this program"), threading.Event()

    def fail(*_):
        assert all_wait.wait(30)
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(Pool, "admit", fail)
        futures = [memory.learn("pool", space, sample(n)) for n in range(2, 12)]
        all_wait.set()
        errors = [future.exception(30) for future in futures]
    assert all(isinstance(error, MemoryStorageError) for error in errors)
    assert memory.failure.exception(30) is fault
    with pytest.raises(MemoryStorageError, match="restart the process"):
        memory.learn("pool", space, sample(12))
    assert len(memory.recall("pool", space, sample(1).prompt, 5).rows) == 1  # reads go on
    memory.close()
    with Memory.open(settings) as again:  # the log had committed some of them
        assert again.describe("pool").samples >= 1
