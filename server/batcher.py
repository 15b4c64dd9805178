"""Batches the texts of many requests for one encoder, safely under cancellation."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from encoders import Tokens
from server.backlog import Backlog
from server.calls import seconds_left
from server.errors import EncodingFailedError
from server.logs import place_of
from server.pace import Pace
from server.threads import start, tell
from server.tickets import EncodedTexts, Ticket, Unit, fail
from server.waiting import Waiting

_log = structlog.get_logger(__name__)

_CHARACTERS_PER_TOKEN = 4


class TokenEncoder(Protocol):
    """What the batcher needs of an encoder."""

    @property
    def dimension(self) -> int:
        """Number of coordinates of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens that are read of a text."""

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Splits texts into tokens."""

    def cut(self, tokens: Sequence[Tokens]) -> Iterable[Sequence[int]]:
        """Chooses which of n texts share a run: indexes, each in exactly one run."""

    def encode_tokens(
        self, tokens: Sequence[Tokens], *, crowded: bool = False
    ) -> NDArray[np.float32]:
        """Turns tokens into vectors, shape (n, d); crowded where other threads encode as well."""


class EncodeBatcher:
    """Forms batches of texts under a token budget; whatever waits while one runs is the next.

    A request goes from the event loop to the thread that tokenises, from there to one that
    encodes, and back: the loop is not woken in between, and an encoding thread forms its next
    batch itself, at once, of what waits at that moment. A request that comes alone is tokenised by
    the thread that encodes it. A batch is cut into runs of the encoder, and each caller has its
    vectors when its own last run ends. A caller that is cancelled is in no run that begins after
    that. A run that fails, fails its own callers only.

    Args:
        encoder: Turns texts into vectors; threads share it.
        batch_tokens: Most tokens of one batch; a single longer text is a batch by itself.
        batches: Runs at a time.
    """

    def __init__(self, encoder: TokenEncoder, *, batch_tokens: int, batches: int = 1) -> None:
        self._encoder = encoder
        self._batches = batches
        self._texts: SimpleQueue[Ticket | None] = SimpleQueue()
        self._changed = threading.Condition()  # guards what follows
        self._waiting = Waiting(batch_tokens, encoder.cut)
        self._alone: deque[Ticket] = deque()
        self._closed = False
        self._busy = 0
        self._begun = 0
        self._gone = 0
        # These belong to the event loop.
        self._open: set[Ticket] = set()
        self._come_back = 0
        self._came_back = asyncio.Event()
        self.backlog = Backlog(batches)

    @property
    def dropped(self) -> int:
        """Callers who had gone before their texts were encoded."""
        return self._gone + self._waiting.dropped

    @property
    def stuck(self) -> bool:
        """A run was begun and has not come back."""
        return self._begun != self._come_back

    async def idle(self) -> None:
        """Waits until nothing is being encoded."""
        while self.stuck:
            self._came_back.clear()
            await self._came_back.wait()

    async def run(self) -> None:
        """Encodes batches until cancelled. Its end for another reason is a fault of the server."""
        loop = asyncio.get_running_loop()
        died: asyncio.Future[None] = loop.create_future()
        start("tokenise", self._tokenise_all, died)
        for _ in range(self._batches):
            start("encode", self._encode_all, died)
        try:
            await died
        finally:
            # Not waited for: a batch that hangs must not hang the end of the process.
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._texts.put(None)
            fail(tuple(self._open))

    async def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encodes the texts of one request.

        Args:
            texts: n texts; no reference to them is kept while they wait for a batch.

        Raises:
            EncodingFailedError: The encoder failed on a run that held one of them.
            OverloadedError: What waits already takes longer than the caller's deadline.
        """
        if not texts:
            return EncodedTexts.none(self._encoder.dimension)
        most = self._encoder.max_tokens
        guesses = [min(len(text) // _CHARACTERS_PER_TOKEN + 2, most) for text in texts]
        self.backlog.require_time(guesses, seconds_left())
        ticket = Ticket(texts, asyncio.get_running_loop().create_future(), sum(guesses))
        del texts  # they may be large, and the wait for a batch long
        await self._served(ticket)
        return ticket.encoded()

    async def _served(self, ticket: Ticket) -> None:
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

    def _hand_over(self, ticket: Ticket) -> None:
        """Gives a ticket to the tokeniser; one that is alone to an encoding thread, which is idle.

        Each thread that has to be woken costs as much as a short text takes to be tokenised.
        """
        if len(self._open) > 1:
            self._texts.put(ticket)
            return
        with self._changed:
            self._alone.append(ticket)
            self._changed.notify()

    def _count_to(self, ticket: Ticket, outstanding: int) -> None:
        """Corrects how much of a ticket is still to do. Under the lock."""
        self.backlog.add(outstanding - ticket.outstanding)
        ticket.outstanding = outstanding

    def _tokenise_all(self) -> None:
        while (ticket := self._texts.get()) is not None:
            self._tokenise(ticket)
            with self._changed:
                self._changed.notify()

    def _tokenise(self, ticket: Ticket) -> None:
        if ticket.future.done():
            with self._changed:
                self._gone += ticket.future.cancelled()
            return
        try:
            tokens = self._encoder.tokenise(ticket.texts)
        except Exception as error:  # noqa: BLE001  whatever it is, the next text may fare better
            _log.error("tokenise_failed", texts=len(ticket.texts), error=place_of(error))
            tell(ticket.future.get_loop(), fail, (ticket,))
            return
        finally:
            ticket.texts = ()
        ticket.hold(tokens, self._encoder.dimension)
        self._enqueue(ticket, sum(len(each.ids) for each in tokens))

    def _enqueue(self, ticket: Ticket, tokens: int) -> None:
        with self._changed:
            if ticket.outstanding:  # else its caller has gone
                self._count_to(ticket, tokens)
            self._waiting.add(ticket)

    def _encode_all(self) -> None:
        pace = Pace(self.backlog)
        while True:
            with self._changed:
                if not self._waiting:
                    pace.end()
                    self._changed.wait_for(lambda: self._waiting or self._alone or self._closed)
                    pace.start()
                if self._closed:
                    return
                alone = self._alone.popleft() if self._alone else None
                run = [] if alone else self._waiting.next_run()
                self._begun += bool(run)
                self._busy += bool(run)
                if self._waiting:
                    self._changed.notify()
                # Who waits has another thread soon, if there is one.
                others = self._busy > 1 or bool(self._waiting)
            if alone:
                self._tokenise(alone)
            elif run:
                self._encode_run(run, pace, crowded=others and self._batches > 1)

    def _encode_run(self, run: list[Unit], pace: Pace, *, crowded: bool) -> None:
        loop = run[0].ticket.future.get_loop()
        began = time.perf_counter()
        for unit in run:
            unit.ticket.started_at = unit.ticket.started_at or began
        try:
            tokens = [unit.tokens for unit in run]
            vectors = self._encoder.encode_tokens(tokens, crowded=crowded)
            for unit, vector in zip(run, vectors, strict=True):
                unit.ticket.vectors[unit.row] = vector
        except Exception as error:  # noqa: BLE001  whatever it is, the next run may fare better
            self._leave()
            _log.error("encode_failed", texts=len(run), error=place_of(error))
            pace.start()
            tell(loop, self._give_up, run)
        else:
            self._leave()
            pace.add(sum(len(unit.tokens.ids) for unit in run))
            tell(loop, self._deliver, run)

    def _leave(self) -> None:
        """Counts a run as over; before anybody is told, lest the next be taken for one of two."""
        with self._changed:
            self._busy -= 1

    def _deliver(self, run: list[Unit]) -> None:
        self._return()
        ended = time.perf_counter()
        for unit in run:
            ticket = unit.ticket
            ticket.remaining -= 1
            if not ticket.future.done():
                with self._changed:
                    self._count_to(ticket, ticket.outstanding - len(unit.tokens.ids))
                if ticket.remaining == 0:
                    ticket.finished_at = ended
                    ticket.future.set_result(None)

    def _give_up(self, run: list[Unit]) -> None:
        self._return()
        fail(unit.ticket for unit in run)

    def _return(self) -> None:
        self._come_back += 1
        self._came_back.set()
