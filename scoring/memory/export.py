"""A pool's samples and outcomes as they lie in the log."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection, Error
from typing import Any

from scoring.errors import MemoryStorageError
from scoring.memory.log import columns_of, vector_of
from scoring.memory.outcomes.judged import features_of
from scoring.memory.outcomes.values import MeasuredAnswers, StoredOutcome
from scoring.memory.schema import connect, names_of
from scoring.memory.values import StoredSample

_CHUNK = 256


def stored_samples(path: Path, pool: int) -> Iterator[StoredSample]:
    """Streams the samples of a pool, oldest first, as they were when the first is asked for.

    The log keeps what is overwritten meanwhile until the stream is done or closed.

    Raises:
        MemoryStorageError: The log can't be read.
    """
    with _one_moment(path) as connection:
        names = names_of(connection, "voters", pool)
        rows = _rows(
            connection,
            "SELECT sample_id, learned_at, voters, pairs, prompt, features FROM samples "
            "WHERE pool_id = ? ORDER BY seq",
            pool,
        )
        for sample_id, learned_at, voters, pairs, prompt, features in rows:
            yield StoredSample(
                sample_id=sample_id,
                prompt=vector_of(prompt),
                voters=tuple(names[column] for column in columns_of(voters)),
                pairs=vector_of(pairs),
                learned_at=learned_at,
                features=features_of(features),
            )


def stored_outcomes(path: Path, pool: int) -> Iterator[StoredOutcome]:
    """Streams the outcomes of a pool in the same way, in the order in which they were recorded.

    Raises:
        MemoryStorageError: The log can't be read.
    """
    with _one_moment(path) as connection:
        names = names_of(connection, "models", pool)
        voters = names_of(connection, "voters", pool)
        # The plus keeps the planner from sorting all rows by id before the first is out.
        rows = _rows(
            connection,
            "SELECT outcome_id, model, quality, recorded_at, sample_id, prompt, voters, pairs, "
            "features FROM outcomes o "
            "JOIN subjects s ON s.pool_id = o.pool_id AND s.seq = o.subject "
            "LEFT JOIN judged j ON j.pool_id = o.pool_id AND j.subject = o.subject "
            "WHERE +o.pool_id = ? ORDER BY o.id",
            pool,
        )
        for outcome_id, model, quality, recorded_at, sample_id, prompt, *answers in rows:
            yield StoredOutcome(
                outcome_id=outcome_id,
                model=names[model],
                quality=quality,
                recorded_at=recorded_at,
                sample_id=sample_id,
                prompt=vector_of(prompt),
                answers=_answers(voters, *answers),
            )


def _answers(
    names: tuple[str, ...], voters: bytes | None, pairs: bytes, features: bytes | None
) -> MeasuredAnswers | None:
    if voters is None:
        return None
    own = tuple(names[column] for column in columns_of(voters))
    return MeasuredAnswers(own, vector_of(pairs), features_of(features))


@contextmanager
def _one_moment(path: Path) -> Iterator[Connection]:
    """A connection that sees the log as it is now."""
    try:
        with closing(connect(path)) as connection:
            connection.execute("BEGIN")
            yield connection
    except Error as error:
        raise MemoryStorageError(
            f"The memory's log can't be read ({error}): see to its disk and try again."
        ) from error


def _rows(connection: Connection, query: str, pool: int) -> Iterator[tuple[Any, ...]]:
    cursor = connection.execute(query, (pool,))
    while chunk := cursor.fetchmany(_CHUNK):
        yield from chunk
