"""Pipelining on one stream: a bounded number of items in work, replies as they are ready."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

_Item = TypeVar("_Item")
_Reply = TypeVar("_Reply")


async def answer_each(
    items: AsyncIterator[_Item],
    answer: Callable[[_Item], Awaitable[_Reply]],
    most: int,
) -> AsyncGenerator[_Reply, None]:
    """Answers the items of a stream, `most` at a time, and yields replies as they come.

    While `most` items are in work or wait to be sent, the stream is read no further, so that a
    caller who does not read its replies is held up by gRPC's own flow control and costs no
    memory. When this generator is closed, what is in work is cancelled.

    Args:
        items: What the caller sends.
        answer: Answers one item; it never raises for a bad one.
        most: Items in work or unsent at a time.
    """
    ready: asyncio.Queue[_Reply | None] = asyncio.Queue()
    room = asyncio.Semaphore(most)

    async def answer_one(item: _Item) -> None:
        ready.put_nowait(await answer(item))

    async def read() -> None:
        async with asyncio.TaskGroup() as group:
            async for item in items:
                await room.acquire()
                group.create_task(answer_one(item))
        ready.put_nowait(None)

    reading = asyncio.create_task(read())
    # A reader that fails (a malformed message ends the stream) must end the replies too.
    reading.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (reply := await ready.get()) is not None:
            yield reply
            room.release()
        await reading
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        reading.cancel()
