"""Which rows are computed together, and in which order."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Rows of like length are sought among this many batches: enough to save nearly all padding, few
# enough that a batch remains a random draw.
_MEGABATCH = 20


class Batches:
    """An endless row of batches, each a function of the seed and its number alone.

    So a training that was interrupted goes on with the same batches, and several
    processes take turns on one row without a word.
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        tasks: Sequence[str],
        *,
        batch: int,
        seed: int,
        rows_per_task: int | None = None,
    ) -> None:
        """Sets out the epochs.

        Args:
            lengths: (n,) tokens of each row.
            tasks: n names.
            batch: Rows of a batch; fewer only where there are fewer in all.
            seed: Of the order.
            rows_per_task: Rows that an epoch takes of each task; all rows once if None.
        """
        self._lengths = lengths
        self._seed = seed
        self._rows_per_task = rows_per_task
        names = np.array(tasks)
        self._tasks = [np.flatnonzero(names == task) for task in dict.fromkeys(tasks)]
        rows = len(lengths) if rows_per_task is None else rows_per_task * len(self._tasks)
        self._batch = min(batch, rows)
        self.per_epoch = rows // self._batch
        """Batches of an epoch; the rows left over differ from epoch to epoch."""
        self._epoch = -1
        self._order: list[NDArray[np.int64]] = []

    def at(self, number: int) -> NDArray[np.int64]:
        """The rows of a batch, by its number from 0."""
        epoch, place = divmod(number, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._arrange(epoch)
        return self._order[place]

    def _arrange(self, epoch: int) -> list[NDArray[np.int64]]:
        random = np.random.default_rng([self._seed, epoch])
        rows = self._draw(random)[: self.per_epoch * self._batch]
        size = _MEGABATCH * self._batch
        batches: list[NDArray[np.int64]] = []
        for begin in range(0, len(rows), size):
            some = rows[begin : begin + size]
            ordered = some[np.argsort(self._lengths[some], kind="stable")]
            batches += np.split(ordered, len(ordered) // self._batch)
        return [batches[place] for place in random.permutation(len(batches))]

    def _draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """An epoch's rows, shuffled."""
        if self._rows_per_task is None:
            return random.permutation(len(self._lengths))
        drawn = [_repeat(rows, self._rows_per_task, random) for rows in self._tasks]
        return random.permutation(np.concatenate(drawn))


def _repeat(rows: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """So many of the rows: each once before any comes twice."""
    rounds = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:count]


def steps_of(epochs: float, rows: int, batch: int, accumulate: int) -> int:
    """Steps of the optimiser in which one process sees the rows so many times; at least 1."""
    return max(1, round(epochs * max(1, rows // min(batch, rows)) / accumulate))


def by_length(lengths: NDArray[np.int64], batch: int) -> Iterator[NDArray[np.int64]]:
    """All rows once, longest first, for encoding without a gradient."""
    order = np.argsort(-lengths, kind="stable")
    for begin in range(0, len(order), batch):
        yield order[begin : begin + batch]
