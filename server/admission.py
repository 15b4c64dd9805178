"""Admission: what the server can't carry is refused before any work is done for it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
        self._admitted = _Admitted(self)
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

    def is_alone(self) -> bool:
        """Whether no request but the one that asks is in flight."""
        return self.in_flight <= 1

    def admit(self) -> "_Admitted":
        """Admits one request for a `with`, or refuses it at once.

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
        return self._admitted

    def enter(self) -> None:
        """Counts a request that was admitted."""
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """Counts one that is over, and admits who waits."""
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


class _Admitted:
    """The `with` of a request. One for all: it keeps nothing of any of them."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def __enter__(self) -> None:
        self._admission.enter()

    def __exit__(self, *_: object) -> None:
        self._admission.leave()
