import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import MemoryStorageError
from scoring.memory import HnswParameters, Memory
from scoring.memory.segment import Segment


def state(memory, space, sample):
    totals = memory.totals("pool", space)
    found = [memory.recall("pool", space, sample(n).prompt, 5) for n in range(60)]
    return (
        memory.describe("pool"),
        totals.sums.tolist(),
        totals.counts.tolist(),
        totals.voter_samples.tolist(),
        [each.squared_distances.tolist() for each in found],
        [np.nan_to_num(each.rows, nan=-1).tolist() for each in found],
    )


def graphs(memory):
    return [
        (s.first, s.last, s.sealed or s.full) for s in memory._pools["pool"].neighbours.segments
    ]


def learn_all(memory, learn):
    learn(memory, range(50))
    learn(memory, range(50, 70), voters=("c", "x", "a"))
    learn(memory, range(70, 80), voters=("y",))
    learn(memory, range(80, 90), voters=("y", "b"))


@pytest.fixture
def built(monkeypatch):
    """The samples that went into graphs built at start."""
    seqs = []
    real = Segment.insert_many

    def insert_many(self, numbers, vectors):
        seqs.extend(numbers.tolist())
        real(self, numbers, vectors)

    monkeypatch.setattr(Segment, "insert_many", insert_many)
    return seqs


def test_a_clean_restart_reads_the_graphs_from_disk(settings, space, sample, learn, settle, built):
    with Memory.open(settings) as memory:
        learn_all(memory, learn)
        settle(memory)
        before, shape = state(memory, space, sample), graphs(memory)
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == before
        assert graphs(memory) == shape
        assert built == []
        learn(memory, range(90, 200))
        assert memory.describe("pool").revision == 200


def test_a_graph_whose_last_sample_was_a_twin_and_is_gone_is_trusted(
    settings, space, sample, learn, settle, built, monkeypatch
):
    monkeypatch.setattr("scoring.memory.writer.QUIET_SECONDS", 3600.0)  # is saved when closed
    twin = sample(99, prompt=sample(0).prompt, learned_at=500.0)
    now = [550.0]
    timed = replace(settings, time_to_live=100)
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        learn(memory, range(9))
        memory.learn("pool", space, twin).result(30)
        settle(memory)
        now[0] = 650.0
        memory._writer._next_sweep = 0.0
        learn(memory, [0])  # wakes the writer
        settle(memory)
        assert memory.describe("pool").samples == 9
        (before,) = graphs(memory)
        assert before == (0, 9, False)
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        assert graphs(memory) == [before]
        assert not memory._pools["pool"].neighbours.segments[0].unsaved
        learn(memory, range(100, 150))
        settle(memory)
        for number in (*range(9), *range(100, 150)):
            recalled = memory.recall("pool", space, sample(number).prompt, 2)
            assert recalled.squared_distances[0] == 0
            assert recalled.squared_distances[1] > 0
    assert built == []


def ruin_checksum(directory):
    for path in (directory / "segments").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def remove_files(directory):
    for path in (directory / "segments").iterdir():
        path.unlink()


def remove_one(directory):
    sorted((directory / "segments").iterdir())[1].unlink()


def forget_rows(directory):
    with sqlite3.connect(directory / "memory.sqlite3") as connection:
        connection.execute("DELETE FROM segments")
    connection.close()


@pytest.mark.parametrize("damage", [ruin_checksum, remove_files, remove_one, forget_rows])
def test_graphs_that_cannot_be_trusted_are_built_anew(
    settings, space, sample, learn, settle, built, damage
):
    with Memory.open(settings) as memory:
        learn_all(memory, learn)
        settle(memory)
        before = state(memory, space, sample)
    damage(settings.directory)
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == before
        assert built
        settle(memory)
        built.clear()
    with Memory.open(settings) as memory:  # saved once more
        assert state(memory, space, sample) == before
        assert built == []


@pytest.mark.parametrize(
    "change",
    [
        {"hnsw": HnswParameters(m=6, ef_construction=32, ef_search=32)},
        {"hnsw": HnswParameters(m=8, ef_construction=32, ef_search=64)},
        {"segment_samples": 40},
        {"segment_samples": 4},
        {"exact": 30},
        {"capacity": 500},
    ],
)
def test_other_settings_find_the_same(settings, space, sample, learn, settle, change):
    with Memory.open(settings) as memory:
        learn_all(memory, learn)
        settle(memory)
        before = state(memory, space, sample)
    with Memory.open(replace(settings, **change)) as memory:
        after = state(memory, space, sample)
        assert replace(after[0], capacity=64) == before[0]
        assert after[1:] == before[1:]
        learn(memory, range(90, 300))
        assert memory.describe("pool").samples == min(274, memory.describe("pool").capacity)


def test_a_smaller_capacity_forgets_the_oldest(settings, space, sample, learn, settle):
    with Memory.open(settings) as memory:
        learn_all(memory, learn)
        settle(memory)
    with Memory.open(replace(settings, capacity=30)) as memory:
        assert memory.describe("pool").samples == 30
        assert next(s.sample_id for s in memory.samples("pool")) == "sample-60"
        assert memory.recall("pool", space, sample(59).prompt, 1).squared_distances[0] > 0
        assert memory.recall("pool", space, sample(60).prompt, 1).squared_distances[0] == 0


def test_files_that_the_log_does_not_vouch_for_are_removed(settings, learn, settle):
    with Memory.open(settings) as memory:
        learn(memory, range(60))
        settle(memory)
    segments = settings.directory / "segments"
    kept = {path.name for path in segments.iterdir()}
    (segments / "1-samples-0-15.hnsw.unfinished").write_bytes(b"half")
    (segments / "9-samples-0-15.hnsw").write_bytes(b"stray")
    with Memory.open(settings):
        assert {path.name for path in segments.iterdir()} == kept


def test_a_pool_deleted_and_made_anew_finds_none_of_its_old_graphs(
    settings, space, sample, learn, settle
):
    with Memory.open(settings) as memory:
        learn(memory, range(60))
        settle(memory)
        memory.delete("pool").result(30)
        learn(memory, range(100, 140))
    with Memory.open(settings) as memory:
        assert memory.describe("pool").revision == 40
        assert memory.recall("pool", space, sample(1).prompt, 1).squared_distances[0] > 0
        assert memory.recall("pool", space, sample(100).prompt, 1).squared_distances[0] == 0


def test_a_directory_is_open_once(settings):
    with (
        Memory.open(settings),
        pytest.raises(MemoryStorageError, match="is open already: stop the process"),
    ):
        Memory.open(settings)
    Memory.open(settings).close()


def test_a_newer_schema_is_refused(settings):
    Memory.open(settings).close()
    connection = sqlite3.connect(settings.directory / "memory.sqlite3")
    connection.execute("PRAGMA user_version = 4")
    connection.close()
    for _ in range(2):  # and the directory is given free
        with pytest.raises(MemoryStorageError, match="schema 4 and this program reads"):
            Memory.open(settings)


def test_a_file_that_is_no_database_is_refused(settings):
    settings.directory.mkdir()
    (settings.directory / "memory.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(MemoryStorageError, match="restore it from a copy"):
        Memory.open(settings)


def test_a_log_with_a_ruined_row_is_refused(settings, learn):
    with Memory.open(settings) as memory:
        learn(memory, range(3))
    connection = sqlite3.connect(settings.directory / "memory.sqlite3")
    connection.execute("UPDATE samples SET pairs = x'00' WHERE seq = 1")
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(MemoryStorageError, match="can't be read"):
            Memory.open(settings)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path, settings):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MemoryStorageError, match="can't be written"):
        Memory.open(replace(settings, directory=tmp_path / "file" / "memory"))


@pytest.mark.parametrize(
    "change",
    [
        {"capacity": 0},
        {"queue": 0},
        {"exact": 0},
        {"max_pools": 0},
        {"max_voters": 0},
        {"max_voters": 2**16 + 1},
        {"time_to_live": 0.0},
        {"time_to_live": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, change):
    (name,) = change
    with pytest.raises(MemoryStorageError, match=name):
        Memory.open(replace(settings, **change))
    assert not settings.directory.exists()


def test_durable_on_the_device(settings, learn):
    from scoring.memory import Durability

    with Memory.open(replace(settings, durability=Durability.DEVICE)) as memory:
        (synchronous,) = memory._log._connection.execute("PRAGMA synchronous").fetchone()
        assert synchronous == 2  # FULL
        assert learn(memory, [1])[0].durability is Durability.DEVICE
