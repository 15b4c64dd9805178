"""The database file: who may open it, and what is in it."""

import fcntl
import sqlite3
from pathlib import Path
from typing import IO, Literal

from scoring.errors import MemoryStorageError
from scoring.memory.files import make_directory, make_file
from scoring.memory.values import Durability

SCHEMA = 3
FILE = "memory.sqlite3"
_LOCK = "memory.lock"
_SYNCHRONOUS = {Durability.PROCESS: "NORMAL", Durability.DEVICE: "FULL"}
# The prompt stands last: reading the columns before it skips its pages.
_VERSION_1 = """
CREATE TABLE pools (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
  dimension INTEGER NOT NULL, created_at REAL NOT NULL, next_seq INTEGER NOT NULL DEFAULT 0);
CREATE TABLE voters (
  pool_id INTEGER NOT NULL, "column" INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY (pool_id, "column"), UNIQUE (pool_id, name)) WITHOUT ROWID;
CREATE TABLE samples (
  pool_id INTEGER NOT NULL, seq INTEGER NOT NULL, sample_id TEXT NOT NULL,
  learned_at REAL NOT NULL, voters BLOB NOT NULL, pairs BLOB NOT NULL, prompt BLOB NOT NULL,
  PRIMARY KEY (pool_id, seq), UNIQUE (pool_id, sample_id));
CREATE TABLE segments (
  pool_id INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
  sealed INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, parameters TEXT NOT NULL,
  twins BLOB NOT NULL, PRIMARY KEY (pool_id, first_seq)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
# Outcomes, and graphs over the prompts that have them. Graphs saved before stay trusted.
_VERSION_2 = """
ALTER TABLE pools ADD COLUMN next_subject INTEGER NOT NULL DEFAULT 0;
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
ALTER TABLE segments RENAME TO sample_segments;
CREATE TABLE segments (
  pool_id INTEGER NOT NULL, vectors TEXT NOT NULL, first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL, sealed INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
  parameters TEXT NOT NULL, twins BLOB NOT NULL,
  PRIMARY KEY (pool_id, vectors, first_seq)) WITHOUT ROWID;
INSERT INTO segments SELECT pool_id, 'samples', first_seq, last_seq, sealed, file, sha256,
  parameters, twins FROM sample_segments;
DROP TABLE sample_segments;
PRAGMA user_version = 2;
"""
# What was measured of answers, and a copy of it for the subjects of outcomes. That is a table of
# its own, so that it is read without their vectors.
_VERSION_3 = """
ALTER TABLE samples ADD COLUMN features BLOB;
CREATE TABLE judged (
  pool_id INTEGER NOT NULL, subject INTEGER NOT NULL, voters BLOB NOT NULL, pairs BLOB NOT NULL,
  features BLOB, PRIMARY KEY (pool_id, subject)) WITHOUT ROWID;
INSERT INTO judged SELECT s.pool_id, s.seq, m.voters, m.pairs, NULL
  FROM subjects s JOIN samples m ON m.pool_id = s.pool_id AND m.sample_id = s.sample_id;
PRAGMA user_version = 3;
"""
_VERSIONS = (_VERSION_1, _VERSION_2, _VERSION_3)
"""What makes each schema of the one before; the first is made of nothing."""


def connect(path: Path, *, durability: Durability = Durability.PROCESS) -> sqlite3.Connection:
    """Opens the database for one thread at a time."""
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
    return connection


def names_of(
    connection: sqlite3.Connection, table: Literal["voters", "models"], pool: int
) -> tuple[str, ...]:
    """Voters of a pool, or models that it has outcomes of, in order of their columns."""
    rows = connection.execute(
        f'SELECT name FROM {table} WHERE pool_id = ? ORDER BY "column"',  # noqa: S608 — one of two names
        (pool,),
    )
    return tuple(name for (name,) in rows)


def lock_directory(directory: Path) -> IO[bytes]:
    """Makes the directory, and keeps other processes out of it until the file is closed.

    Raises:
        MemoryStorageError: It can't be written, or a process has it.
    """
    try:
        make_directory(directory)
        make_file(directory / _LOCK)
        lock = (directory / _LOCK).open("ab")
    except OSError as error:
        raise MemoryStorageError(
            f"The memory's directory {directory} can't be written ({error.strerror}): make it "
            "writable or name another one."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise MemoryStorageError(
            f"The memory in {directory} is open already: stop the process that has it, or name "
            "another directory."
        ) from error
    return lock


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the tables where there are none, and brings older ones up to date, all or nothing.

    Raises:
        MemoryStorageError: A newer version of this program wrote the database.
        sqlite3.Error: It can't be read or written; it is what it was.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= SCHEMA:
        raise MemoryStorageError(
            f"{path} has schema {version} and this program reads schemas up to {SCHEMA}: start "
            "the program that wrote it, or name another directory."
        )
    if version < SCHEMA:
        connection.executescript("\n".join(("BEGIN IMMEDIATE;", *_VERSIONS[version:], "COMMIT;")))
