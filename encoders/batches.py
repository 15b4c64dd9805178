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


# On a CPU a large run gains nothing, spills the caches, and can't be interrupted;
# one more run of MiniLM costs as much as a dozen tokens.
CPU = Limits(padded_tokens=1024, padding=16)
# There a run is mostly the wait for it, until it is large.
GPU = Limits(padded_tokens=16384, padding=4096)
ALONE = Limits(padded_tokens=0, padding=0)
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


def pad(
    rows: Sequence[NDArray[np.int64]], pad_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pads token ids on the right.

    Args:
        rows: Of each text, (t_i,).
        pad_id: The token to pad with.

    Returns:
        The ids (n, t) and their mask (n, t), 1 for a token; t is at least 1.
    """
    longest = max(1, *(row.size for row in rows))
    ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : row.size] = row
        mask[place, : row.size] = 1
    return ids, mask
