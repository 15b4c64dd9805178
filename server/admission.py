"""Admission: what the server can't carry is refused before any work is done for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from server.errors import OverloadedError, ShuttingDownError

_RETRY_SECONDS = 0.1


class Admission:
    """Counts the requests in flight. Used from the event loop only.

    Args:
        limit: Most requests in flight.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0
        self.refused = 0

    def close(self) -> None:
        """Refuses everything from now on."""
        self._closed = True
        while self._waiting:
            self._wake()

    async def idle(self) -> None:
        """Waits until nothing is in flight."""
        await self._idle.wait()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Admits one request, or refuses it at once.

        Raises:
            OverloadedError: As many as may be are in flight.
            ShuttingDownError: The server is going down.
        """
        if self._closed:
            raise ShuttingDownError("The server is shutting down; call another, or again later.")
        if self.in_flight >= self._limit:
            self.refused += 1
            raise OverloadedError(
                f"The server has {self._limit} requests in flight, the most that it admits "
                "(limits.in_flight); call again after the delay.",
                retry_after=_RETRY_SECONDS,
            )
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._wake()
            if not self.in_flight:
                self._idle.set()

    @asynccontextmanager
    async def admit_in_turn(self) -> AsyncIterator[None]:
        """Admits one item of a stream, once there is room for it.

        A stream is held up by being read no further, so its items need not be refused.

        Raises:
            ShuttingDownError: The server is going down.
        """
        while self.in_flight >= self._limit and not self._closed:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # the turn was given to one who has gone: pass it on
                raise
        with self.admit():
            yield

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
