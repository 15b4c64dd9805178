"""Which texts share one run of the model, and how they are padded for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a run may be, and what padding it is worth."""

    padded_tokens: int
    """Tokens of a run, padding included; a longer text runs alone."""
    padding: int
    """Tokens of padding in a run: about what one more run would cost."""
    batch_tokens: int
    """Tokens that are worth encoding together, for the sake of who waits for all of them."""
    step: int = 1
    """Runs have a multiple of so many tokens a text, and few numbers of texts; 1 for any shape."""

    def shape(self, rows: int, tokens: int, most_tokens: int) -> tuple[int, int]:
        """Returns the shape that a run of some texts is padded to.

        Args:
            rows: Texts, at least 1.
            tokens: Of the longest, at least 1.
            most_tokens: That the model reads of a text; more, and it would fail.
        """
        if self.step == 1:
            return rows, tokens
        stepped = _rounded_up(tokens, self.step)
        return _few_sizes(rows), max(tokens, min(stepped, most_tokens))


# On a CPU a large run gains nothing, spills the caches, and can't be interrupted;
# one more run of MiniLM costs as much as a dozen tokens.
CPU = Limits(padded_tokens=1024, padding=16, batch_tokens=2048)
# There a run is mostly the wait for it, until it is large. A shape that was met before finds its
# memory laid out, and its products planned.
GPU = Limits(padded_tokens=16384, padding=4096, batch_tokens=16384, step=16)
ALONE = Limits(padded_tokens=0, padding=0, batch_tokens=1024)
"""Every text is a run of its own."""


def group_by_length(lengths: NDArray[np.int64], limits: Limits) -> Iterator[list[int]]:
    """Splits texts into runs of like length, shortest first.

    Args:
        lengths: (n,) tokens of each text.
        limits: Of a run.

    Yields:
        Indexes of the texts of one run; every text is in exactly one.
    """
    run: list[int] = []
    tokens = 0
    for index in np.argsort(lengths, kind="stable").tolist():
        length = int(lengths[index])
        padded = (len(run) + 1) * length
        padding = padded - tokens - length
        if run and (padded > limits.padded_tokens or padding > limits.padding):
            yield run
            run, tokens = [], 0
        run.append(index)
        tokens += length
    if run:
        yield run


def longest_of(rows: Sequence[NDArray[np.int64]]) -> int:
    """Tokens of the longest text, at least 1."""
    return max(1, *(row.size for row in rows))


def pad(
    rows: Sequence[NDArray[np.int64]], pad_id: int, shape: tuple[int, int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pads token ids on the right, and with texts of nothing but padding at the end.

    Args:
        rows: Of each of the n texts, (t_i,).
        pad_id: The token to pad with.
        shape: Of the result, at least (n, t); (n, t) if None, t of the longest and at least 1.

    Returns:
        The ids and their mask, 1 for a token, both int64 of that shape.
    """
    shape = shape or (len(rows), longest_of(rows))
    ids = np.full(shape, pad_id, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : row.size] = row
        mask[place, : row.size] = 1
    return ids, mask


def _few_sizes(rows: int) -> int:
    """The next of 1 to 8, 10, 12, 14, 16, 20, 24, 28, 32, 40 and so on: at most a quarter more."""
    bits = (rows - 1).bit_length()
    return _rounded_up(rows, 1 << max(0, bits - 3))


def _rounded_up(number: int, step: int) -> int:
    return -(-number // step) * step
