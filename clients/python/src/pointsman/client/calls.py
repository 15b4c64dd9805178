"""The four kinds of call over a blocking channel, with errors converted.

gRPC would turn an error of a caller's own iterable into a log line and UNKNOWN. A feed ends the
stream instead, keeps the error, and the caller gets it as it was raised.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc

from pointsman.client.errors import call_error, closed_error

if TYPE_CHECKING:
    from pointsman.client.connection import Call

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M")


def require_places(in_flight: int) -> int:
    """Returns the number of items in flight.

    Raises:
        ValueError: It is less than 1, which would send nothing, for ever.
    """
    if in_flight < 1:
        raise ValueError(f"in_flight must be at least 1, not {in_flight}.")
    return in_flight


class ErrorKeeper:
    """Keeps the error that ended a feed."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def raise_error(self) -> None:
        """Raises what the caller's iterable, or the conversion of an item, raised."""
        if self._error is not None:
            raise self._error


class Feed(ErrorKeeper, Generic[T, M]):
    """Messages for a blocking stream. gRPC pulls them in a thread of its own.

    Args:
        items: What the caller wants to send.
        convert: Builds a message from the index of an item and the item.
        header: A message to send before the first item.
        in_flight: Most items that are sent and not answered.
    """

    def __init__(
        self,
        items: Iterable[T],
        convert: Callable[[int, T], M],
        *,
        header: M | None = None,
        in_flight: int = sys.maxsize,
    ) -> None:
        super().__init__()
        self._items = items
        self._convert = convert
        self._header = header
        self._places = threading.Semaphore(in_flight)
        self._closed = False

    def __iter__(self) -> Iterator[M]:
        """Yields the messages; waits while there is no place."""
        if self._header is not None:
            yield self._header
        try:
            yield from self._messages()
        except Exception as error:  # noqa: BLE001  the caller gets it from raise_error
            self._error = error

    def answered(self) -> None:
        """Frees the place of one item."""
        self._places.release()

    def close(self) -> None:
        """Ends the feed, also while it waits for a place."""
        self._closed = True
        self._places.release()

    def _messages(self) -> Iterator[M]:
        items = enumerate(self._items)
        while self._places.acquire() and not self._closed:
            try:
                index, item = next(items)
            except StopIteration:
                return
            yield self._convert(index, item)


@contextmanager
def _failures(call: Call) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise call_error(error, call.request_id) from error
    except ValueError as error:
        # What gRPC raises for a call that begins on a closed channel.
        if not call.closed.is_set():
            raise
        raise closed_error(call.request_id) from error


def send(method: grpc.UnaryUnaryMultiCallable[Q, R], request: Q, call: Call) -> R:
    """Sends one message and returns the reply.

    Raises:
        PointsmanError: The call fails, or the client is closed.
    """
    with _failures(call):
        return method(request, **call.arguments)


def send_all(method: grpc.StreamUnaryMultiCallable[Q, R], feed: Feed[T, Q], call: Call) -> R:
    """Sends a feed and returns the reply; raises as `send` does, and what the feed raised."""
    with _failures(call):
        try:
            reply = method(iter(feed), **call.arguments)
        finally:
            feed.close()
    feed.raise_error()
    return reply


def receive(
    method: grpc.UnaryStreamMultiCallable[Q, R],
    request: Q,
    call: Call,
    convert: Callable[[R], Iterable[T]],
) -> Generator[T, None, None]:
    """Sends one message and yields what the replies convert to; raises as `send` does."""
    with _failures(call):
        stream = method(request, **call.arguments)
        try:
            for reply in stream:
                yield from convert(reply)
        finally:
            stream.cancel()


def exchange(
    method: grpc.StreamStreamMultiCallable[Q, R],
    feed: Feed[T, Q],
    call: Call,
    convert: Callable[[R, str], M],
) -> Generator[M, None, None]:
    """Sends a feed and yields what each reply and the id of the call convert to.

    Raises as `send_all` does.
    """
    with _failures(call):
        stream = method(iter(feed), **call.arguments)
        try:
            for reply in stream:
                feed.answered()
                yield convert(reply, call.request_id)
        finally:
            feed.close()
            stream.cancel()
    feed.raise_error()
