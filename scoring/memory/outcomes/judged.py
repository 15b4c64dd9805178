"""The part of the durable log that keeps how the answers to the subjects of outcomes lay."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.features import FEATURES
from scoring.memory.agreement import Columns

_CHUNK = 1024
_STORED = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class LogAnswers:
    """How the answers of some voters to one prompt lay, as it is committed.

    Attributes:
        columns: The K voters, as columns of their pool.
        pairs: (K(K-1)/2,) float32, in the order of `columns`.
        features: (K, F) float32, columns as in `scoring.features`; None where nothing was
            measured.
    """

    columns: Columns
    pairs: NDArray[np.float32]
    features: NDArray[np.float32] | None

    @property
    def known_features(self) -> NDArray[np.float32]:
        """The features (K, F), NaN throughout where nothing was measured."""
        if self.features is None:
            return np.full((len(self.columns), len(FEATURES)), np.nan, np.float32)
        return self.features

    def packed(self) -> tuple[bytes, bytes, bytes | None]:
        """Voters, pairs and features as the log packs them."""
        voters = np.asarray(self.columns, "<u2").tobytes()
        return voters, self.pairs.astype(_STORED).tobytes(), pack_features(self.features)


def pack_features(features: NDArray[np.float32] | None) -> bytes | None:
    """Features (K, F) as the log packs them."""
    return None if features is None else features.astype(_STORED).tobytes()


def features_of(blob: bytes | None) -> NDArray[np.float32] | None:
    """Features (K, F) as the log packs them; None where nothing was measured."""
    if blob is None:
        return None
    return np.frombuffer(blob, _STORED).astype(np.float32).reshape(-1, len(FEATURES))


def unknown_features(voters: bytes) -> bytes:
    """Stands for features that were not measured, of so many packed voters."""
    count = len(np.frombuffer(voters, "<u2"))
    return np.full((count, len(FEATURES)), np.nan, _STORED).tobytes()


class JudgedLog:
    """Statements about the answers to subjects, on the connection that writes.

    What changes the log must run inside `Log.transaction`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, pool: int, subject: int, answers: LogAnswers) -> bool:
        """Adds what is known of a subject's answers; says no where something is already."""
        cursor = self._connection.execute(
            "INSERT INTO judged VALUES (?, ?, ?, ?, ?) ON CONFLICT (pool_id, subject) DO NOTHING",
            (pool, subject, *answers.packed()),
        )
        return cursor.rowcount == 1

    def knows(self, pool: int, subject: int) -> bool:
        """Whether something is known of a subject's answers."""
        cursor = self._connection.execute(
            "SELECT 1 FROM judged WHERE pool_id = ? AND subject = ?", (pool, subject)
        )
        return cursor.fetchone() is not None

    def answers(self, pool: int) -> Iterator[list[tuple[int, bytes, bytes, bytes | None]]]:
        """Everything, in chunks: number of the subject, voters, pairs, features."""
        cursor = self._connection.execute(
            "SELECT subject, voters, pairs, features FROM judged WHERE pool_id = ?", (pool,)
        )
        while chunk := cursor.fetchmany(_CHUNK):
            yield chunk
