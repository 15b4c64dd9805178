"""Pipelining on one stream: a bounded number of items in work, replies as they are ready."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from server.errors import ShuttingDownError

_Item = TypeVar("_Item")
_Reply = TypeVar("_Reply")


async def answer_each(
    items: AsyncIterator[_Item],
    answer: Callable[[_Item], Awaitable[_Reply]],
    most: int,
    draining: asyncio.Event,
) -> AsyncGenerator[_Reply, None]:
    """Answers the items of a stream, `most` at a time, and yields replies as they come.

    While `most` items are in work or wait to be sent, the stream is read no further, so that a
    caller who does not read its replies is held up by gRPC's own flow control and costs no
    memory. When this generator is closed, what is in work is cancelled. When the stream breaks (a
    message can't be parsed) or the server drains, what is in work is still answered; then comes an
    error, lest the caller take what has no reply for answered.

    Args:
        items: What the caller sends.
        answer: Answers one item; it never raises for a bad one.
        most: Items in work or unsent at a time.
        draining: Set when the server goes down: nothing more is read.

    Raises:
        ShuttingDownError: The server drains, and the caller had not ended the stream.
        Exception: What else broke the stream. Either comes after the last reply.
    """
    ready: asyncio.Queue[_Reply | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)

    async def answer_one(item: _Item) -> None:
        ready.put_nowait(await answer(item))

    async def read_into(group: asyncio.TaskGroup) -> None:
        async for item in items:
            await room.acquire()
            group.create_task(answer_one(item))

    async def work() -> Exception | None:
        async with asyncio.TaskGroup() as group:
            reading = asyncio.ensure_future(read_into(group))
            stopping = asyncio.ensure_future(draining.wait())
            try:
                await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
                broken = reading.exception() if reading.done() else _going_down()
            finally:
                reading.cancel()
                stopping.cancel()
        return broken if isinstance(broken, Exception) else None

    working = asyncio.create_task(work())
    working.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (reply := await ready.get()) is not None:
            yield reply
            room.release()
        broken = await working
        if broken is not None:
            raise broken
    finally:
        working.cancel()


def _going_down() -> ShuttingDownError:
    return ShuttingDownError(
        "The server is shutting down; send what has no reply yet to another, or again later."
    )
