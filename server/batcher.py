"""Batches the texts of many requests for one encoder, safely under cancellation."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from encoders import Tokens
from server.backlog import Backlog
from server.deadline import seconds_left
from server.errors import EncodingFailedError
from server.logs import place_of

_log = structlog.get_logger(__name__)

_CHARACTERS_PER_TOKEN = 4
_FAILED = "The encoder failed on the texts of this request."


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
    """One request's texts on their way: tokenised in one thread, encoded in another.

    Attributes:
        texts: Until they are tokenised.
        future: Done when the last vector is there, or nobody waits any more.
        outstanding: Tokens that have no vector yet; a guess until they are counted.
        vectors: Shape (n, d), filled row by row.
        pending: Rows that are in no batch yet, with their tokens.
        remaining: Rows that have no vector yet.
    """

    texts: Sequence[str]
    future: asyncio.Future[None]
    outstanding: int
    vectors: NDArray[np.float32] = field(init=False)
    truncated: NDArray[np.bool_] = field(init=False)
    pending: deque[tuple[int, Tokens]] = field(default_factory=deque)
    remaining: int = 0
    came_at: float = field(default_factory=time.perf_counter)
    queued_at: float = 0.0
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

    A request goes from the event loop to the thread that tokenises, from there to one that
    encodes, and back: the loop is not woken in between, and an encoding thread forms its next
    batch itself, at once, of what waits at that moment. A request that comes alone is tokenised by
    the thread that encodes it. Requests that wait take turns, a text
    each, so a long one does not hold up the others: it takes more turns. A caller that is
    cancelled is dropped when the batch is formed. A batch that fails, fails its own callers only.

    Args:
        encoder: Turns texts into vectors; threads share it.
        batch_tokens: Most tokens of one batch; a single longer text is a batch by itself.
        batches: How many run at a time.
    """

    def __init__(self, encoder: TokenEncoder, *, batch_tokens: int, batches: int = 1) -> None:
        self._encoder = encoder
        self._batch_tokens = batch_tokens
        self._batches = batches
        self._texts: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._changed = threading.Condition()  # guards what follows
        self._waiting: deque[_Ticket] = deque()
        self._alone: deque[_Ticket] = deque()
        self._closed = False
        self._begun = 0
        self.dropped = 0
        # These belong to the event loop.
        self._open: set[_Ticket] = set()
        self._come_back = 0
        self._came_back = asyncio.Event()
        self.backlog = Backlog(batches)

    @property
    def stuck(self) -> bool:
        """A batch was begun and has not come back."""
        return self._begun != self._come_back

    async def idle(self) -> None:
        """Waits until no batch is running."""
        while self.stuck:
            self._came_back.clear()
            await self._came_back.wait()

    async def run(self) -> None:
        """Encodes batches until cancelled. Its end for another reason is a fault of the server."""
        loop = asyncio.get_running_loop()
        died: asyncio.Future[None] = loop.create_future()
        self._start("tokenise", self._tokenise_all, died)
        for _ in range(self._batches):
            self._start("encode", self._encode_all, died)
        try:
            await died
        finally:
            # Not waited for: a batch that hangs must not hang the end of the process.
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._texts.put(None)
            _fail(tuple(self._open))

    async def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encodes the texts of one request.

        Args:
            texts: n texts; no reference to them is kept while they wait for a batch.

        Raises:
            EncodingFailedError: The encoder failed on a batch that held one of them.
            OverloadedError: What waits already takes longer than the caller's deadline.
        """
        if not texts:
            nothing = np.empty((0, self._encoder.dimension), np.float32)
            return EncodedTexts(nothing, np.empty(0, np.bool_), 0.0, 0.0, 0.0)
        guess = sum(len(text) // _CHARACTERS_PER_TOKEN + 2 for text in texts)
        self.backlog.require_time(guess, seconds_left())
        ticket = _Ticket(texts, asyncio.get_running_loop().create_future(), guess)
        del texts  # they may be large, and the wait for a batch long
        await self._served(ticket)
        return EncodedTexts(
            ticket.vectors,
            ticket.truncated,
            tokenise_seconds=ticket.queued_at - ticket.came_at,
            queue_seconds=max(0.0, ticket.started_at - ticket.queued_at),
            encode_seconds=ticket.finished_at - ticket.started_at,
        )

    async def _served(self, ticket: _Ticket) -> None:
        if self._closed:
            raise EncodingFailedError("The encoder was put out of service; call again.")
        self._open.add(ticket)
        self.backlog.add(ticket.outstanding)
        self._hand_over(ticket)
        try:
            await ticket.future
        finally:
            self._open.discard(ticket)
            with self._changed:
                self._count_to(ticket, 0)

    def _hand_over(self, ticket: _Ticket) -> None:
        """Gives a ticket to the tokeniser; one that is alone to an encoding thread, which is idle.

        Each thread that has to be woken costs as much as a short text takes to be tokenised.
        """
        if len(self._open) > 1:
            self._texts.put(ticket)
            return
        with self._changed:
            self._alone.append(ticket)
            self._changed.notify()

    def _count_to(self, ticket: _Ticket, outstanding: int) -> None:
        """Corrects how much of a ticket is still to do. Under the lock."""
        self.backlog.add(outstanding - ticket.outstanding)
        ticket.outstanding = outstanding

    def _start(self, name: str, work: Callable[[], None], died: "asyncio.Future[None]") -> None:
        def supervised() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  whatever it was, the process must know
                _tell(died.get_loop(), _die, died, error)

        threading.Thread(target=supervised, name=name, daemon=True).start()

    def _tokenise_all(self) -> None:
        while (ticket := self._texts.get()) is not None:
            self._tokenise(ticket)

    def _tokenise(self, ticket: _Ticket) -> None:
        if ticket.future.done():
            self.dropped += ticket.future.cancelled()
            return
        try:
            tokens = self._encoder.tokenise(ticket.texts)
        except Exception as error:  # noqa: BLE001  whatever it is, the next text may fare better
            _log.error("tokenise_failed", texts=len(ticket.texts), error=place_of(error))
            _tell(ticket.future.get_loop(), _fail, (ticket,))
            return
        finally:
            ticket.texts = ()
        ticket.vectors = np.empty((len(tokens), self._encoder.dimension), np.float32)
        ticket.truncated = np.array([each.truncated for each in tokens], np.bool_)
        ticket.pending.extend(enumerate(tokens))
        ticket.remaining = len(tokens)
        ticket.queued_at = time.perf_counter()
        self._enqueue(ticket, sum(len(each.ids) for each in tokens))

    def _enqueue(self, ticket: _Ticket, tokens: int) -> None:
        with self._changed:
            if ticket.outstanding:  # else its caller has gone
                self._count_to(ticket, tokens)
            self._waiting.append(ticket)
            self._changed.notify()

    def _encode_all(self) -> None:
        since = time.perf_counter()
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait_for(lambda: self._waiting or self._alone or self._closed)
                    since = time.perf_counter()
                if self._closed:
                    return
                alone = self._alone.popleft() if self._alone else None
                batch = [] if alone else self._form_batch()
                self._begun += bool(batch)
                if self._waiting:
                    self._changed.notify()
            if alone:
                self._tokenise(alone)
            elif batch:
                self._encode_batch(batch, since)
                since = time.perf_counter()

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

    def _encode_batch(self, batch: list[_Unit], since: float) -> None:
        loop = batch[0].ticket.future.get_loop()
        began = time.perf_counter()
        for unit in batch:
            unit.ticket.started_at = unit.ticket.started_at or began
        try:
            vectors = self._encoder.encode_tokens([unit.tokens for unit in batch])
            for unit, vector in zip(batch, vectors, strict=True):
                unit.ticket.vectors[unit.row] = vector
        except Exception as error:  # noqa: BLE001  whatever it is, the next batch may fare better
            _log.error("encode_failed", texts=len(batch), error=place_of(error))
            _tell(loop, self._give_up, batch)
        else:
            # What lies between two batches is a part of how fast the backlog shrinks.
            seconds = time.perf_counter() - since
            self.backlog.measured(sum(len(unit.tokens.ids) for unit in batch), seconds)
            _tell(loop, self._deliver, batch)

    def _deliver(self, batch: list[_Unit]) -> None:
        self._return()
        ended = time.perf_counter()
        for unit in batch:
            ticket = unit.ticket
            ticket.remaining -= 1
            if not ticket.future.done():
                with self._changed:
                    self._count_to(ticket, ticket.outstanding - len(unit.tokens.ids))
                if ticket.remaining == 0:
                    ticket.finished_at = ended
                    ticket.future.set_result(None)

    def _give_up(self, batch: list[_Unit]) -> None:
        self._return()
        _fail(unit.ticket for unit in batch)

    def _return(self) -> None:
        self._come_back += 1
        self._came_back.set()


def _fail(tickets: Iterable[_Ticket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():
            ticket.future.set_exception(EncodingFailedError(_FAILED))


def _die(died: "asyncio.Future[None]", error: BaseException) -> None:
    if not died.done():
        failure = RuntimeError("A thread of the batcher died.")
        failure.__cause__ = error
        died.set_exception(failure)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: object) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody listens
        loop.call_soon_threadsafe(what, *args)
