"""The database file: who may open it, and what is in it."""

import fcntl
import sqlite3
from pathlib import Path
from typing import IO

from scoring.errors import MemoryStorageError
from scoring.memory.files import make_directory, make_file
from scoring.memory.values import Durability

SCHEMA = 1
FILE = "memory.sqlite3"
_LOCK = "memory.lock"
_SYNCHRONOUS = {Durability.PROCESS: "NORMAL", Durability.DEVICE: "FULL"}
# The prompt stands last: reading the columns before it skips its pages.
_TABLES = """
BEGIN IMMEDIATE;
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
COMMIT;
"""


def connect(path: Path, *, durability: Durability = Durability.PROCESS) -> sqlite3.Connection:
    """Opens the database for one thread at a time."""
    connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
    return connection


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
    """Makes the tables where there are none.

    Raises:
        MemoryStorageError: Another version of this program wrote the database.
    """
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(_TABLES)
    elif version != SCHEMA:
        connection.close()
        raise MemoryStorageError(
            f"{path} has schema {version} and this program reads schema {SCHEMA}: start the "
            "program that wrote it, or name another directory."
        )
