"""The durable log: its transactions, and what it says of pools and samples."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from scoring.errors import MemoryStorageError
from scoring.memory.agreement import Columns
from scoring.memory.files import make_file
from scoring.memory.graph_log import GraphLog
from scoring.memory.outcomes.judged import JudgedLog, LogAnswers, features_of
from scoring.memory.outcomes.log import OutcomeLog
from scoring.memory.schema import FILE, connect, lock_directory, names_of, prepare
from scoring.memory.values import Durability, EmbeddingSpace

_CHUNK = 1024
_OF_A_POOL = ("samples", "voters", "segments", "outcomes", "judged", "subjects", "models")


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as it stands in the log."""

    id: int
    name: str
    space: EmbeddingSpace
    created_at: float
    next_seq: int
    voters: tuple[str, ...]
    next_subject: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogSample:
    """One row of the log: the answers are in the order of the caller's voters."""

    seq: int
    sample_id: str
    learned_at: float
    answers: LogAnswers
    prompt: NDArray[np.float32]


def vector_of(blob: bytes) -> NDArray[np.float32]:
    """A prompt (d,), or the distances between answers, as the log packs them."""
    return np.frombuffer(blob, "<f4").astype(np.float32)


def columns_of(blob: bytes) -> Columns:
    """Voters of a sample as the log packs them."""
    return tuple(np.frombuffer(blob, "<u2").tolist())


class Log:
    """The connection that writes. Its methods belong to one thread at a time.

    What changes the log must run inside `transaction`. Errors of SQLite pass
    through as `sqlite3.Error`.

    Attributes:
        path: The database file.
        graphs: What it says of prompt vectors and saved graphs.
        outcomes: What it says of outcomes.
        judged: What it says of the answers that outcomes are of.
    """

    def __init__(self, connection: sqlite3.Connection, lock: IO[bytes], path: Path) -> None:
        self.path = path
        self.graphs = GraphLog(connection)
        self.outcomes = OutcomeLog(connection)
        self.judged = JudgedLog(connection)
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, directory: Path, durability: Durability) -> "Log":
        """Opens or creates the log in a directory, which no other process may have open.

        Raises:
            MemoryStorageError: It can't be read or written, another process has
                it, or a newer version of this program wrote it.
        """
        lock = lock_directory(directory)
        path = directory / FILE
        try:
            make_file(path)
            connection = cls._connect(path, durability)
        except (sqlite3.Error, OSError) as error:
            lock.close()
            raise MemoryStorageError(
                f"The memory's log {path} can't be opened ({error}): restore it from a copy, "
                "or move it away to begin anew."
            ) from error
        except MemoryStorageError:
            lock.close()
            raise
        return cls(connection, lock, path)

    @staticmethod
    def _connect(path: Path, durability: Durability) -> sqlite3.Connection:
        connection = connect(path, durability=durability)
        try:
            prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Closes the database and lets other processes open the directory."""
        with suppress(sqlite3.Error):
            self._connection.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits what is done inside, or nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def pools(self) -> list[PoolRecord]:
        """Every pool."""
        rows = self._connection.execute(
            "SELECT id, name, space_id, dimension, created_at, next_seq, next_subject FROM pools"
        ).fetchall()
        return [
            PoolRecord(
                key, name, EmbeddingSpace(space, dimension), at, seq,
                names_of(self._connection, "voters", key), subject,
                names_of(self._connection, "models", key),
            )
            for key, name, space, dimension, at, seq, subject in rows
        ]  # fmt: skip

    def add_pool(self, name: str, space: EmbeddingSpace, created_at: float) -> PoolRecord:
        """Adds an empty pool."""
        cursor = self._connection.execute(
            "INSERT INTO pools (name, space_id, dimension, created_at) VALUES (?, ?, ?, ?)",
            (name, space.id, space.dimension, created_at),
        )
        return PoolRecord(int(cursor.lastrowid or 0), name, space, created_at, 0, ())

    def add_voter(self, pool: int, column: int, name: str) -> None:
        """Gives a voter its column."""
        self._connection.execute("INSERT INTO voters VALUES (?, ?, ?)", (pool, column, name))

    def add_sample(self, pool: int, sample: LogSample) -> bool:
        """Adds a sample; does nothing and says no if the pool has one of this name."""
        prompt = sample.prompt.astype("<f4").tobytes()
        answers = sample.answers.packed()
        cursor = self._connection.execute(
            "INSERT INTO samples (pool_id, seq, sample_id, learned_at, prompt, voters, pairs, "
            "features) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pool_id, sample_id) DO NOTHING",
            (pool, sample.seq, sample.sample_id, sample.learned_at, prompt, *answers),
        )
        return cursor.rowcount == 1

    def advance(self, pool: int, next_seq: int, oldest: int) -> None:
        """Sets the number of the next sample, and drops the samples before `oldest`."""
        self._connection.execute("UPDATE pools SET next_seq = ? WHERE id = ?", (next_seq, pool))
        self._connection.execute(
            "DELETE FROM samples WHERE pool_id = ? AND seq < ?", (pool, oldest)
        )

    def sample(self, pool: int, sample_id: str) -> LogSample | None:
        """The sample of this name."""
        row = self._connection.execute(
            "SELECT seq, learned_at, voters, pairs, features, prompt FROM samples "
            "WHERE pool_id = ? AND sample_id = ?",
            (pool, sample_id),
        ).fetchone()
        if row is None:
            return None
        seq, learned_at, voters, pairs, features, prompt = row
        answers = LogAnswers(columns_of(voters), vector_of(pairs), features_of(features))
        return LogSample(seq, sample_id, learned_at, answers, vector_of(prompt))

    def drop_samples(self, pool: int, seqs: Iterable[int]) -> None:
        """Drops samples by number."""
        self._connection.executemany(
            "DELETE FROM samples WHERE pool_id = ? AND seq = ?", ((pool, seq) for seq in seqs)
        )

    def drop_learned_before(self, time: float) -> None:
        """Drops the samples of every pool that were learned before `time` (unix seconds)."""
        self._connection.execute("DELETE FROM samples WHERE learned_at < ?", (time,))

    def drop_pool(self, pool: int) -> None:
        """Drops a pool with everything that belongs to it."""
        for table in _OF_A_POOL:
            self._connection.execute(f"DELETE FROM {table} WHERE pool_id = ?", (pool,))  # noqa: S608 — the names stand above
        self._connection.execute("DELETE FROM pools WHERE id = ?", (pool,))

    def agreements(self, pool: int) -> Iterator[list[tuple[int, str, float, bytes, bytes]]]:
        """Every sample but its prompt, oldest first, in chunks.

        Each is seq, sample_id, learned_at, voters, pairs.
        """
        cursor = self._connection.execute(
            "SELECT seq, sample_id, learned_at, voters, pairs FROM samples "
            "WHERE pool_id = ? ORDER BY seq",
            (pool,),
        )
        while chunk := cursor.fetchmany(_CHUNK):
            yield chunk
