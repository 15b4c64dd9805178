"""The four kinds of call over a channel of grpc.aio, with errors converted: twins of `calls`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

import grpc
from grpc import aio

from pointsman.client.aio_status import ServerStatus
from pointsman.client.calls import ErrorKeeper
from pointsman.client.errors import call_error, closed_error

if TYPE_CHECKING:
    from pointsman.client.connection import Call

Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M")


class AsyncFeed(ErrorKeeper, Generic[T, M]):
    """As `Feed`, for a stream of grpc.aio, which pulls the messages in a task of its own."""

    def __init__(
        self,
        items: Iterable[T] | AsyncIterable[T],
        convert: Callable[[int, T], M],
        *,
        header: M | None = None,
        in_flight: int = sys.maxsize,
    ) -> None:
        super().__init__()
        self._items = items
        self._convert = convert
        self._header = header
        self._places = asyncio.Semaphore(in_flight)
        self._closed = False

    async def messages(self) -> AsyncIterator[M]:
        """Yields the messages; waits while there is no place."""
        if self._header is not None:
            yield self._header
        try:
            async with aclosing(self._sent()) as messages:
                async for message in messages:
                    yield message
        except Exception as error:  # noqa: BLE001  the caller gets it from raise_error
            self._error = error

    def answered(self) -> None:
        """Frees the place of one item."""
        self._places.release()

    def close(self) -> None:
        """Ends the feed, also while it waits for a place."""
        self._closed = True
        self._places.release()

    async def _sent(self) -> AsyncGenerator[M, None]:
        index = 0
        async with aclosing(_iterate(self._items)) as items:
            while await self._places.acquire() and not self._closed:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                yield self._convert(index, item)
                index += 1


async def _iterate(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for each in items:
            yield each


@contextmanager
def _failures(call: Call) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise call_error(error, call.request_id) from error
    except aio.UsageError as error:
        raise closed_error(call.request_id) from error
    except asyncio.CancelledError as error:
        # Closing a channel cancels its calls, but not the tasks that wait for them.
        if _is_cancelled() or not call.closed.is_set():
            raise
        raise closed_error(call.request_id) from error


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def send(method: aio.UnaryUnaryMultiCallable[Q, R], request: Q, call: Call) -> R:
    """As `calls.send`."""
    with _failures(call):
        return await method(request, **call.arguments)


async def send_all(
    method: aio.StreamUnaryMultiCallable[Q, R], feed: AsyncFeed[T, Q], call: Call
) -> R:
    """As `calls.send_all`."""
    with _failures(call):
        stream = method(feed.messages(), **call.arguments)
        status = ServerStatus(stream)
        try:
            reply = await stream
        except grpc.RpcError as error:
            raise call_error(await status.behind(error), call.request_id) from error
        finally:
            feed.close()
    feed.raise_error()
    return reply


async def receive(
    method: aio.UnaryStreamMultiCallable[Q, R],
    request: Q,
    call: Call,
    convert: Callable[[R], Iterable[T]],
) -> AsyncGenerator[T, None]:
    """As `calls.receive`."""
    with _failures(call):
        stream = method(request, **call.arguments)
        try:
            async for reply in stream:
                for each in convert(reply):
                    yield each
        finally:
            stream.cancel()


async def exchange(
    method: aio.StreamStreamMultiCallable[Q, R],
    feed: AsyncFeed[T, Q],
    call: Call,
    convert: Callable[[R, str], M],
) -> AsyncGenerator[M, None]:
    """As `calls.exchange`."""
    with _failures(call):
        stream = method(feed.messages(), **call.arguments)
        status = ServerStatus(stream)
        try:
            async for reply in stream:
                feed.answered()
                yield convert(reply, call.request_id)
        except grpc.RpcError as error:
            raise call_error(await status.behind(error), call.request_id) from error
        finally:
            feed.close()
            stream.cancel()
    feed.raise_error()
