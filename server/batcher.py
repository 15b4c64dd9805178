"""Batches the texts of many requests for one encoder, safely under cancellation."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from encoders import Tokens
from server.errors import EncodingFailedError
from server.logs import place_of

_log = structlog.get_logger(__name__)


class TokenEncoder(Protocol):
    """What the batcher needs of an encoder."""

    @property
    def dimension(self) -> int:
        """Number of coordinates of a vector."""

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Splits texts into tokens."""

    def encode_tokens(self, tokens: Sequence[Tokens]) -> NDArray[np.float32]:
        """Turns tokens into vectors, shape (n, d)."""


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """The vectors of one request's texts, and what they cost.

    Attributes:
        vectors: Shape (n, d), float32, in the order of the texts.
        truncated: Shape (n,), bool; the text was longer than the encoder reads.
        tokenise_seconds: Time from text to tokens.
        queue_seconds: Time waiting for a place in a batch.
        encode_seconds: Time from the first batch that held a text to the last one's end.
    """

    vectors: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    tokenise_seconds: float
    queue_seconds: float
    encode_seconds: float


@dataclass(slots=True, eq=False)
class _Ticket:
    """One request's texts on their way through the batches.

    Attributes:
        vectors: Shape (n, d), filled row by row.
        pending: Rows that are in no batch yet, with their tokens.
        remaining: Rows that have no vector yet.
    """

    vectors: NDArray[np.float32]
    pending: deque[tuple[int, Tokens]]
    remaining: int
    future: asyncio.Future[None]
    queued_at: float = field(default_factory=time.perf_counter)
    started_at: float = 0.0
    finished_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Unit:
    """One text of a ticket."""

    ticket: _Ticket
    row: int
    tokens: Tokens


class EncodeBatcher:
    """Forms batches of texts under a token budget; whatever waits while one runs is the next.

    Requests that wait take turns, a text each, so a long one does not hold up the others: it takes
    more turns. A caller that is cancelled is dropped when the batch is formed. A batch that fails,
    fails its own callers only.

    Args:
        encoder: Turns texts into vectors.
        batch_tokens: Most tokens of one batch; a single longer text is a batch by itself.
    """

    def __init__(self, encoder: TokenEncoder, *, batch_tokens: int) -> None:
        self._encoder = encoder
        self._batch_tokens = batch_tokens
        self._waiting: deque[_Ticket] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._work = asyncio.Event()
        self._encode_thread = ThreadPoolExecutor(1, thread_name_prefix="encode")
        self._tokenise_thread = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self.dropped = 0

    @property
    def stuck(self) -> bool:
        """A batch was begun and has not come back."""
        return not self._idle.is_set()

    async def idle(self) -> None:
        """Waits until no batch is running."""
        await self._idle.wait()

    async def run(self) -> None:
        """Encodes batches until cancelled. Its end for another reason is a fault of the server."""
        try:
            while True:
                await self._work.wait()
                batch = self._form_batch()
                if batch:
                    await self._encode_batch(batch)
                else:
                    self._work.clear()
        finally:
            self._fail(self._waiting)
            # Not waited for: a batch that hangs must not hang the end of the process.
            self._encode_thread.shutdown(wait=False, cancel_futures=True)
            self._tokenise_thread.shutdown(wait=False, cancel_futures=True)

    async def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encodes the texts of one request.

        Args:
            texts: n texts; no reference to them is kept while they wait for a batch.

        Raises:
            EncodingFailedError: The encoder failed on a batch that held one of them.
        """
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        tokens = await loop.run_in_executor(self._tokenise_thread, self._encoder.tokenise, texts)
        del texts  # they may be large, and the wait for a batch long
        ticket = _Ticket(
            np.empty((len(tokens), self._encoder.dimension), np.float32),
            deque(enumerate(tokens)),
            len(tokens),
            loop.create_future(),
        )
        if tokens:
            self._waiting.append(ticket)
            self._work.set()
            await ticket.future
        return EncodedTexts(
            ticket.vectors,
            np.array([each.truncated for each in tokens], np.bool_),
            tokenise_seconds=ticket.queued_at - began,
            queue_seconds=max(0.0, ticket.started_at - ticket.queued_at),
            encode_seconds=ticket.finished_at - ticket.started_at,
        )

    def _form_batch(self) -> list[_Unit]:
        batch: list[_Unit] = []
        room = self._batch_tokens
        while self._waiting:
            ticket = self._waiting[0]
            if ticket.future.done() or not ticket.pending:
                self.dropped += ticket.future.cancelled()
                self._waiting.popleft()
                continue
            row, tokens = ticket.pending[0]
            if batch and len(tokens.ids) > room:
                break
            batch.append(_Unit(ticket, row, tokens))
            room -= len(tokens.ids)
            ticket.pending.popleft()
            self._waiting.rotate(-1)
        return batch

    async def _encode_batch(self, batch: list[_Unit]) -> None:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for unit in batch:
            unit.ticket.started_at = unit.ticket.started_at or began
        tokens = [unit.tokens for unit in batch]
        self._idle.clear()
        try:
            vectors = await loop.run_in_executor(
                self._encode_thread, self._encoder.encode_tokens, tokens
            )
            self._idle.set()
            self._deliver(batch, vectors)
        except Exception as error:  # noqa: BLE001  whatever it is, the next batch may fare better
            self._idle.set()
            _log.error("encode_failed", texts=len(batch), error=place_of(error))
            self._fail(unit.ticket for unit in batch)

    def _deliver(self, batch: list[_Unit], vectors: NDArray[np.float32]) -> None:
        ended = time.perf_counter()
        for unit, vector in zip(batch, vectors, strict=True):
            ticket = unit.ticket
            ticket.vectors[unit.row] = vector
            ticket.remaining -= 1
            if ticket.remaining == 0 and not ticket.future.done():
                ticket.finished_at = ended
                ticket.future.set_result(None)

    def _fail(self, tickets: Iterable[_Ticket]) -> None:
        for ticket in tickets:
            if not ticket.future.done():
                ticket.future.set_exception(
                    EncodingFailedError("The encoder failed on the texts of this request.")
                )
