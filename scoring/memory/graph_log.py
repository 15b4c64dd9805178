"""The part of the durable log that graphs are made of, and that says which files to trust."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Collection:
    """Prompt vectors that are searched together: a pool's samples, or its outcomes' subjects."""

    pool: int
    table: Literal["samples", "subjects"]
    """Where the log has them, in columns `seq` and `prompt`."""
    dimension: int


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


class GraphLog:
    """Statements about prompt vectors and saved graphs, on the connection that writes.

    What changes the log must run inside `Log.transaction`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def files(self) -> set[str]:
        """Names of all files that the log vouches for."""
        return {name for (name,) in self._connection.execute("SELECT file FROM segments")}

    def segments(self, vectors: Collection) -> list[SegmentRecord]:
        """The saved graphs of some vectors, in order of time."""
        rows = self._connection.execute(
            "SELECT first_seq, last_seq, sealed, file, sha256, parameters, twins FROM segments "
            "WHERE pool_id = ? AND vectors = ? ORDER BY first_seq",
            (vectors.pool, vectors.table),
        )
        return [
            SegmentRecord(
                first, last, bool(sealed), file, sha256, parameters,
                np.frombuffer(twins, "<i8").astype(np.int64).reshape(-1, 2),
            )
            for first, last, sealed, file, sha256, parameters, twins in rows
        ]  # fmt: skip

    def put_segment(self, vectors: Collection, record: SegmentRecord) -> None:
        """Vouches for a saved graph, in place of an older one that begins with the same vector."""
        self._connection.execute(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                vectors.pool,
                vectors.table,
                record.first,
                record.last,
                record.sealed,
                record.file,
                record.sha256,
                record.parameters,
                record.twins.astype("<i8").tobytes(),
            ),
        )

    def drop_segment(self, vectors: Collection, first: int) -> None:
        """Vouches no longer for the saved graph that begins with this vector."""
        self._connection.execute(
            "DELETE FROM segments WHERE pool_id = ? AND vectors = ? AND first_seq = ?",
            (vectors.pool, vectors.table, first),
        )

    def prompts(
        self, vectors: Collection, first: int, last: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Prompts from `first` to `last`, in chunks: seqs (n,), vectors (n, d)."""
        cursor = self._connection.execute(
            f"SELECT seq, prompt FROM {vectors.table} "  # noqa: S608 — one of two names
            "WHERE pool_id = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (vectors.pool, first, last),
        )
        while chunk := cursor.fetchmany(_CHUNK):
            found = np.frombuffer(b"".join(prompt for _, prompt in chunk), "<f4")
            seqs = np.array([seq for seq, _ in chunk], np.int64)
            yield seqs, found.astype(np.float32).reshape(len(chunk), -1)
