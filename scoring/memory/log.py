"""The durable log: every statement that the memory runs."""

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
from scoring.memory.schema import FILE, connect, lock_directory, prepare
from scoring.memory.values import Durability, EmbeddingSpace

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as it stands in the log."""

    id: int
    name: str
    space: EmbeddingSpace
    created_at: float
    next_seq: int
    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogSample:
    """One row of the log: the pairs are in the order of `columns`, which is the caller's."""

    seq: int
    sample_id: str
    learned_at: float
    columns: Columns
    pairs: NDArray[np.float32]
    prompt: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A saved graph that the log vouches for."""

    first: int
    last: int
    sealed: bool
    file: str
    sha256: str
    parameters: str
    twins: NDArray[np.int64]


def columns_of(blob: bytes) -> Columns:
    """Voters of a sample as the log packs them."""
    return tuple(np.frombuffer(blob, "<u2").tolist())


class Log:
    """The connection that writes. Its methods belong to one thread at a time.

    What changes the log must run inside `transaction`. Errors of SQLite pass
    through as `sqlite3.Error`.
    """

    def __init__(self, connection: sqlite3.Connection, lock: IO[bytes], path: Path) -> None:
        self.path = path
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
            connection = connect(path, durability=durability)
            prepare(connection, path)
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
            "SELECT id, name, space_id, dimension, created_at, next_seq FROM pools"
        ).fetchall()
        return [
            PoolRecord(key, name, EmbeddingSpace(space, dimension), at, seq, self._voters(key))
            for key, name, space, dimension, at, seq in rows
        ]

    def _voters(self, pool: int) -> tuple[str, ...]:
        rows = self._connection.execute(
            'SELECT name FROM voters WHERE pool_id = ? ORDER BY "column"', (pool,)
        )
        return tuple(name for (name,) in rows)

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
        cursor = self._connection.execute(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (pool_id, sample_id) DO NOTHING",
            (
                pool,
                sample.seq,
                sample.sample_id,
                sample.learned_at,
                np.asarray(sample.columns, "<u2").tobytes(),
                sample.pairs.astype("<f4").tobytes(),
                sample.prompt.astype("<f4").tobytes(),
            ),
        )
        return cursor.rowcount == 1

    def advance(self, pool: int, next_seq: int, oldest: int) -> None:
        """Sets the number of the next sample, and drops the samples before `oldest`."""
        self._connection.execute("UPDATE pools SET next_seq = ? WHERE id = ?", (next_seq, pool))
        self._connection.execute(
            "DELETE FROM samples WHERE pool_id = ? AND seq < ?", (pool, oldest)
        )

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
        for table in ("samples", "voters", "segments"):
            self._connection.execute(f"DELETE FROM {table} WHERE pool_id = ?", (pool,))  # noqa: S608 — the names stand above
        self._connection.execute("DELETE FROM pools WHERE id = ?", (pool,))

    def segments(self, pool: int) -> list[SegmentRecord]:
        """The saved graphs of a pool, in order of time."""
        rows = self._connection.execute(
            "SELECT first_seq, last_seq, sealed, file, sha256, parameters, twins FROM segments "
            "WHERE pool_id = ? ORDER BY first_seq",
            (pool,),
        )
        return [
            SegmentRecord(
                first, last, bool(sealed), file, sha256, parameters,
                np.frombuffer(twins, "<i8").astype(np.int64).reshape(-1, 2),
            )
            for first, last, sealed, file, sha256, parameters, twins in rows
        ]  # fmt: skip

    def put_segment(self, pool: int, record: SegmentRecord) -> None:
        """Vouches for a saved graph, in place of an older one that begins with the same sample."""
        self._connection.execute(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                pool,
                record.first,
                record.last,
                record.sealed,
                record.file,
                record.sha256,
                record.parameters,
                record.twins.astype("<i8").tobytes(),
            ),
        )

    def drop_segment(self, pool: int, first: int) -> None:
        """Vouches no longer for the saved graph that begins with this sample."""
        self._connection.execute(
            "DELETE FROM segments WHERE pool_id = ? AND first_seq = ?", (pool, first)
        )

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

    def prompts(
        self, pool: int, first: int, last: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Prompts from `first` to `last`, in chunks: seqs (n,), vectors (n, d)."""
        cursor = self._connection.execute(
            "SELECT seq, prompt FROM samples WHERE pool_id = ? AND seq BETWEEN ? AND ? "
            "ORDER BY seq",
            (pool, first, last),
        )
        while chunk := cursor.fetchmany(_CHUNK):
            vectors = np.frombuffer(b"".join(prompt for _, prompt in chunk), "<f4")
            seqs = np.array([seq for seq, _ in chunk], np.int64)
            yield seqs, vectors.astype(np.float32).reshape(len(chunk), -1)
