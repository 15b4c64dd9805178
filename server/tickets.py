"""One request's texts on their way to vectors."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders import Tokens
from server.errors import EncodingFailedError

_FAILED = "The encoder failed on the texts of this request."


class EncodedTexts(NamedTuple):
    """The vectors of one request's texts, and what they cost.

    Attributes:
        vectors: Shape (n, d), float32, in the order of the texts.
        truncated: Shape (n,), bool; the text was longer than the encoder reads.
        tokenise_seconds: Time from text to tokens.
        queue_seconds: Time waiting for the first run that held a text.
        encode_seconds: Time from the first run that held a text to the last one's end.
    """

    vectors: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    tokenise_seconds: float
    queue_seconds: float
    encode_seconds: float

    @classmethod
    def none(cls, dimension: int) -> "EncodedTexts":
        """Returns the vectors of no text."""
        return cls(np.empty((0, dimension), np.float32), np.empty(0, np.bool_), 0.0, 0.0, 0.0)


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's texts: tokenised in one thread, encoded in another.

    Attributes:
        texts: Until they are tokenised.
        future: Done when the last vector is there, or nobody waits any more.
        outstanding: Tokens that have no vector yet; a guess until they are counted.
        vectors: Shape (n, d), filled row by row.
        truncated: Shape (n,), bool.
        pending: Rows that are in no batch yet, with their tokens.
        remaining: Rows that have no vector yet.
        dropped: Its caller gave up, and that was counted.
    """

    texts: Sequence[str]
    future: asyncio.Future[None]
    outstanding: int
    vectors: NDArray[np.float32] = field(init=False)
    truncated: NDArray[np.bool_] = field(init=False)
    pending: deque[tuple[int, Tokens]] = field(default_factory=deque)
    remaining: int = 0
    dropped: bool = False
    came_at: float = field(default_factory=time.perf_counter)
    queued_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0

    def hold(self, tokens: Sequence[Tokens], dimension: int) -> None:
        """Takes over what its texts were split into."""
        self.vectors = np.empty((len(tokens), dimension), np.float32)
        self.truncated = np.array([each.truncated for each in tokens], np.bool_)
        self.pending.extend(enumerate(tokens))
        self.remaining = len(tokens)
        self.queued_at = time.perf_counter()

    def encoded(self) -> EncodedTexts:
        """Returns what its texts have become, when the last vector is there."""
        return EncodedTexts(
            self.vectors,
            self.truncated,
            tokenise_seconds=self.queued_at - self.came_at,
            queue_seconds=max(0.0, self.started_at - self.queued_at),
            encode_seconds=self.finished_at - self.started_at,
        )


@dataclass(slots=True, eq=False)
class Unit:
    """One text of a ticket."""

    ticket: Ticket
    row: int
    tokens: Tokens


def fail(tickets: Iterable[Ticket]) -> None:
    """Tells those who still wait that the encoder failed."""
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_exception(EncodingFailedError(_FAILED))
