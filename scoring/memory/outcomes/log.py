"""The part of the durable log that keeps outcomes and the prompts they are of."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1024
_DROPPED_WITH = ("outcomes", "subject"), ("judged", "subject"), ("subjects", "seq")


@dataclass(frozen=True, slots=True)
class LogOutcome:
    """An outcome as it is committed; the vector (d,) comes with the first of its subject."""

    outcome_id: str
    subject: int
    sample_id: str
    column: int
    quality: float
    recorded_at: float
    vector: NDArray[np.float32] | None


class OutcomeLog:
    """Statements about outcomes, on the connection that writes.

    What changes the log must run inside `Log.transaction`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add_model(self, pool: int, column: int, name: str) -> None:
        """Gives a model its column."""
        self._connection.execute("INSERT INTO models VALUES (?, ?, ?)", (pool, column, name))

    def subject_of(self, pool: int, outcome_id: str) -> tuple[int, str, float] | None:
        """The subject of a recorded outcome; nothing where there is no such outcome.

        It is seq, sample_id, recorded_at of its newest outcome.
        """
        row = self._connection.execute(
            "SELECT s.seq, s.sample_id, (SELECT max(recorded_at) FROM outcomes each "
            "WHERE each.pool_id = s.pool_id AND each.subject = s.seq) "
            "FROM outcomes o JOIN subjects s ON s.pool_id = o.pool_id AND s.seq = o.subject "
            "WHERE o.pool_id = ? AND o.outcome_id = ?",
            (pool, outcome_id),
        ).fetchone()
        return None if row is None else (int(row[0]), str(row[1]), float(row[2]))

    def subject(self, pool: int, sample_id: str) -> int | None:
        """Number of the subject of this name."""
        row = self._connection.execute(
            "SELECT seq FROM subjects WHERE pool_id = ? AND sample_id = ?", (pool, sample_id)
        ).fetchone()
        return None if row is None else int(row[0])

    def add(self, pool: int, outcome: LogOutcome) -> None:
        """Adds an outcome, and its subject if it comes with a vector."""
        if outcome.vector is not None:
            prompt = outcome.vector.astype("<f4").tobytes()
            self._connection.execute(
                "INSERT INTO subjects VALUES (?, ?, ?, ?)",
                (pool, outcome.subject, outcome.sample_id, prompt),
            )
        self._connection.execute(
            "INSERT INTO outcomes (pool_id, subject, outcome_id, model, quality, recorded_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                pool,
                outcome.subject,
                outcome.outcome_id,
                outcome.column,
                outcome.quality,
                outcome.recorded_at,
            ),
        )

    def advance(self, pool: int, next_subject: int, oldest: int) -> None:
        """Sets the number of the next subject, and drops the subjects before `oldest`."""
        self._connection.execute(
            "UPDATE pools SET next_subject = ? WHERE id = ?", (next_subject, pool)
        )
        for table, seq in _DROPPED_WITH:
            self._connection.execute(
                f"DELETE FROM {table} WHERE pool_id = ? AND {seq} < ?",  # noqa: S608 — the names stand above
                (pool, oldest),
            )

    def drop(self, pool: int, seqs: Iterable[int]) -> None:
        """Drops subjects by number, and their outcomes."""
        rows = [(pool, seq) for seq in seqs]
        for table, seq in _DROPPED_WITH:
            self._connection.executemany(
                f"DELETE FROM {table} WHERE pool_id = ? AND {seq} = ?",  # noqa: S608 — the names stand above
                rows,
            )

    def drop_recorded_before(self, time: float) -> None:
        """Drops the subjects of every pool that have no outcome since `time` (unix seconds)."""
        for table, seq in _DROPPED_WITH:
            newer = (
                f"SELECT 1 FROM outcomes o WHERE o.pool_id = {table}.pool_id "  # noqa: S608 — the names stand above
                f"AND o.subject = {table}.{seq} AND o.recorded_at >= ?"
            )
            self._connection.execute(f"DELETE FROM {table} WHERE NOT EXISTS ({newer})", (time,))  # noqa: S608 — likewise

    def subjects(self, pool: int) -> Iterator[list[tuple[int, str, float]]]:
        """Every subject but its prompt, oldest first, in chunks.

        Each is seq, sample_id, recorded_at of its newest outcome.
        """
        cursor = self._connection.execute(
            "SELECT seq, sample_id, max(recorded_at) FROM subjects s JOIN outcomes o "
            "ON o.pool_id = s.pool_id AND o.subject = s.seq "
            "WHERE s.pool_id = ? GROUP BY seq ORDER BY seq",
            (pool,),
        )
        while chunk := cursor.fetchmany(_CHUNK):
            yield chunk

    def outcomes(self, pool: int) -> Iterator[list[tuple[int, int, float]]]:
        """Every outcome, in chunks: number of its subject, column of its model, quality."""
        cursor = self._connection.execute(
            "SELECT subject, model, quality FROM outcomes WHERE pool_id = ?", (pool,)
        )
        while chunk := cursor.fetchmany(_CHUNK):
            yield chunk
