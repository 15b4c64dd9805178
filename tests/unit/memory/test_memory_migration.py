"""A log that was written by an earlier schema is brought up to date."""

import sqlite3

import numpy as np
import pytest

from scoring.errors import MemoryStorageError
from scoring.memory import Memory
from scoring.memory.schema import SCHEMA
from scoring.memory.segment import Segment

_POOLS = """
CREATE TABLE pools (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
  dimension INTEGER NOT NULL, created_at REAL NOT NULL, next_seq INTEGER NOT NULL DEFAULT 0{more});
CREATE TABLE voters (
  pool_id INTEGER NOT NULL, "column" INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (pool_id, "column"), UNIQUE (pool_id, name)) WITHOUT ROWID;
CREATE TABLE samples (
  pool_id INTEGER NOT NULL, seq INTEGER NOT NULL, sample_id TEXT NOT NULL,
  learned_at REAL NOT NULL, voters BLOB NOT NULL, pairs BLOB NOT NULL, prompt BLOB NOT NULL,
  PRIMARY KEY (pool_id, seq), UNIQUE (pool_id, sample_id));
"""
SCHEMA_1 = (
    _POOLS.format(more="")
    + """
CREATE TABLE segments (
  pool_id INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
  sealed INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, parameters TEXT NOT NULL,
  twins BLOB NOT NULL, PRIMARY KEY (pool_id, first_seq)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
)
"""The tables as schema 1 made them."""
SCHEMA_2 = (
    _POOLS.format(more=", next_subject INTEGER NOT NULL DEFAULT 0")
    + """
CREATE TABLE models (
  pool_id INTEGER NOT NULL, "column" INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (pool_id, "column"), UNIQUE (pool_id, name)) WITHOUT ROWID;
CREATE TABLE subjects (
  pool_id INTEGER NOT NULL, seq INTEGER NOT NULL, sample_id TEXT NOT NULL, prompt BLOB NOT NULL,
  PRIMARY KEY (pool_id, seq), UNIQUE (pool_id, sample_id));
CREATE TABLE outcomes (
  id INTEGER PRIMARY KEY, pool_id INTEGER NOT NULL, subject INTEGER NOT NULL,
  outcome_id TEXT NOT NULL, model INTEGER NOT NULL, quality REAL NOT NULL,
  recorded_at REAL NOT NULL, UNIQUE (pool_id, outcome_id));
CREATE INDEX outcomes_of_subject ON outcomes (pool_id, subject);
CREATE TABLE segments (
  pool_id INTEGER NOT NULL, vectors TEXT NOT NULL, first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL, sealed INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
  parameters TEXT NOT NULL, twins BLOB NOT NULL,
  PRIMARY KEY (pool_id, vectors, first_seq)) WITHOUT ROWID;
PRAGMA user_version = 2;
"""
)
"""The tables as schema 2 left them."""
SAMPLES = "pool_id, seq, sample_id, learned_at, voters, pairs, prompt"


def write_as(schema, directory, copy):
    """Turns a closed memory into what an earlier schema would have left behind."""
    current, old = directory / "memory.sqlite3", directory / "old.sqlite3"
    with sqlite3.connect(old) as connection:
        connection.executescript(schema)
        connection.execute("ATTACH ? AS new", (str(current),))
        connection.execute("INSERT INTO voters SELECT * FROM new.voters")
        connection.execute(f"INSERT INTO samples SELECT {SAMPLES} FROM new.samples")
        copy(connection)
    connection.close()
    for path in directory.glob("memory.sqlite3*"):
        path.unlink()
    old.rename(current)


def write_as_schema_1(directory):
    """Writes a memory without outcomes."""

    def copy(connection):
        connection.execute(
            "INSERT INTO pools SELECT id, name, space_id, dimension, created_at, next_seq "
            "FROM new.pools"
        )
        connection.execute(
            "INSERT INTO segments SELECT pool_id, first_seq, last_seq, sealed, "
            "replace(file, 'samples-', ''), sha256, parameters, twins FROM new.segments"
        )

    write_as(SCHEMA_1, directory, copy)
    for path in (directory / "segments").iterdir():
        path.rename(path.with_name(path.name.replace("samples-", "")))


def write_as_schema_2(directory):
    """Writes a memory with outcomes, and nothing of the answers that they are of."""

    def copy(connection):
        for table in ("pools", "models", "subjects", "outcomes", "segments"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM new.{table}")

    write_as(SCHEMA_2, directory, copy)


def version_and_tables(directory):
    connection = sqlite3.connect(directory / "memory.sqlite3")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return version, tables


def state(memory, space, sample):
    totals = memory.totals("pool", space)
    found = [memory.recall("pool", space, sample(n).prompt, 5) for n in range(60)]
    return (
        memory.describe("pool"),
        totals.sums.tolist(),
        totals.contrast_sums.tolist(),
        [each.squared_distances.tolist() for each in found],
        [np.nan_to_num(each.rows, nan=-1).tolist() for each in found],
        [each.sample_id for each in memory.samples("pool")],
    )


@pytest.fixture
def before(settings, space, sample, learn, settle):
    """Leaves a memory of schema 1 behind, and says what it held."""
    with Memory.open(settings) as memory:
        learn(memory, range(50))
        learn(memory, range(50, 60), voters=("y", "b"))
        settle(memory)
        held = state(memory, space, sample)
    write_as_schema_1(settings.directory)
    return held


def test_everything_is_there_and_outcomes_can_be_recorded(
    settings, space, sample, outcome, before, monkeypatch, record
):
    built = []
    names = {path.name for path in (settings.directory / "segments").iterdir()}
    with monkeypatch.context() as watched:
        watched.setattr(Segment, "insert_many", lambda *_: built.append(1))
        memory = Memory.open(settings)
    with memory:
        assert state(memory, space, sample) == before
        assert memory.outcome_totals("pool").models == ()
        named = outcome(3, sample_id="sample-3")
        assert memory.record("pool", None, named).result(30).sample_id == "sample-3"
        record(memory, range(20), model="b")
    assert built == []  # the graphs that schema 1 had saved were trusted
    assert "1-0-15.hnsw" in names & {p.name for p in (settings.directory / "segments").iterdir()}
    with Memory.open(settings) as memory:
        assert memory.describe("pool").outcomes == 21
        found = memory.recall_outcomes("pool", space, sample(3).prompt, 2)
        assert found.squared_distances.tolist() == [0.0, 0.0]
        assert memory.describe("pool").samples == before[0].samples


def test_outcomes_of_schema_2_learn_how_their_answers_lay(
    settings, space, sample, outcome, learn, record, settle
):
    with Memory.open(settings) as memory:
        learn(memory, range(80), voters=("c", "a", "b"))  # the capacity is 64
        record(memory, range(3))
        for number in (20, 21, 22):
            named = outcome(number, "named", sample_id=f"sample-{number}")
            memory.record("pool", None, named).result(30)
        settle(memory)
        held = state(memory, space, sample)
        exported = [(each.outcome_id, each.sample_id) for each in memory.outcomes("pool")]
        distances = memory.judged("pool").measured[..., 0].tolist()
    write_as_schema_2(settings.directory)
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == held
        outcomes = list(memory.outcomes("pool"))
        assert [(each.outcome_id, each.sample_id) for each in outcomes] == exported
        assert [each.answers is None for each in outcomes] == [True] * 3 + [False] * 3
        assert outcomes[-1].answers.voters == ("c", "a", "b")
        assert outcomes[-1].answers.pairs.tolist() == sample(22).pairs.tolist()
        assert outcomes[-1].answers.features is None
        np.testing.assert_array_equal(memory.judged("pool").measured[..., 0], distances)
        features = np.full((3, 2), 0.5, np.float32)
        learn(memory, [99], features=features)
        assert list(memory.samples("pool"))[-1].features.tolist() == features.tolist()
        assert next(memory.samples("pool")).features is None


@pytest.mark.parametrize(
    ("version", "write"), [(1, write_as_schema_1), (2, write_as_schema_2)], ids=["1", "2"]
)
def test_a_migrated_log_has_the_tables_of_a_new_one(settings, learn, tmp_path, version, write):
    with Memory.open(settings) as memory:
        learn(memory, range(20))
    write(settings.directory)
    assert version_and_tables(settings.directory)[0] == version
    Memory.open(settings).close()
    migrated = version_and_tables(settings.directory)
    other = type(settings)(tmp_path / "other")
    Memory.open(other).close()
    assert migrated == version_and_tables(other.directory)
    assert migrated[0] == SCHEMA


@pytest.mark.parametrize("obstacle", ["sample_segments", "judged"])
def test_a_migration_that_fails_changes_nothing(settings, space, sample, before, obstacle):
    path = settings.directory / "memory.sqlite3"
    with sqlite3.connect(path) as connection:  # in the way of a table that is made late
        connection.execute(f"CREATE TABLE {obstacle} (x)")
    connection.close()
    untouched = version_and_tables(settings.directory)
    for _ in range(2):  # and the directory is given free
        with pytest.raises(MemoryStorageError, match=obstacle):
            Memory.open(settings)
        assert version_and_tables(settings.directory) == untouched
    with sqlite3.connect(path) as connection:
        connection.execute(f"DROP TABLE {obstacle}")
    connection.close()
    with Memory.open(settings) as memory:
        assert state(memory, space, sample) == before
