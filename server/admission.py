"""Admission: what the server can't carry is refused before any work is done for it."""

from types import TracebackType

from server.errors import OverloadedError, ShuttingDownError

_RETRY_SECONDS = 0.1


class Admission:
    """Counts the requests in flight and refuses those above a limit.

    Used from the event loop only, as a context manager around one request::

        with admission:
            ...

    Args:
        limit: Most requests in flight.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._closed = False
        self.in_flight = 0
        self.refused = 0

    def close(self) -> None:
        """Refuses everything from now on."""
        self._closed = True

    def __enter__(self) -> None:
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.in_flight -= 1
