"""A pool's samples as they lie in the log."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Error

import numpy as np

from scoring.errors import MemoryStorageError
from scoring.memory.log import columns_of
from scoring.memory.schema import connect
from scoring.memory.values import StoredSample

_CHUNK = 256


def stored_samples(path: Path, pool: int) -> Iterator[StoredSample]:
    """Streams the samples of a pool, oldest first, as they were when the first is asked for.

    The log keeps what is overwritten meanwhile until the stream is done or closed.

    Raises:
        MemoryStorageError: The log can't be read.
    """
    try:
        with closing(connect(path)) as connection:
            connection.execute("BEGIN")
            rows = connection.execute(
                'SELECT name FROM voters WHERE pool_id = ? ORDER BY "column"', (pool,)
            )
            names = [name for (name,) in rows]
            cursor = connection.execute(
                "SELECT sample_id, learned_at, voters, pairs, prompt FROM samples "
                "WHERE pool_id = ? ORDER BY seq",
                (pool,),
            )
            while chunk := cursor.fetchmany(_CHUNK):
                yield from (_sample(row, names) for row in chunk)
    except Error as error:
        raise MemoryStorageError(
            f"The memory's log can't be read ({error}): see to its disk and try again."
        ) from error


def _sample(row: tuple[str, float, bytes, bytes, bytes], names: list[str]) -> StoredSample:
    sample_id, learned_at, voters, pairs, prompt = row
    return StoredSample(
        sample_id=sample_id,
        prompt=np.frombuffer(prompt, "<f4").astype(np.float32),
        voters=tuple(names[column] for column in columns_of(voters)),
        pairs=np.frombuffer(pairs, "<f4").astype(np.float32),
        learned_at=learned_at,
    )
