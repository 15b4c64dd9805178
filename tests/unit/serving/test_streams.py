import asyncio

import pytest

from server.errors import ShuttingDownError
from server.services import streams


def answer_each(items, answer, most):
    return streams.answer_each(items, answer, most, asyncio.Event())


async def numbers(count: int, read: list[int] | None = None):
    for number in range(count):
        if read is not None:
            read.append(number)
        yield number


async def test_replies_come_as_they_are_ready():
    async def answer(number: int) -> int:
        await asyncio.sleep(0.05 if number == 0 else 0)
        return number

    replies = [reply async for reply in answer_each(numbers(4), answer, 4)]
    assert sorted(replies) == [0, 1, 2, 3]
    assert replies[-1] == 0


async def test_no_more_are_in_work_than_may_be():
    working = most = 0

    async def answer(number: int) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0.001)
        working -= 1
        return number

    assert len([reply async for reply in answer_each(numbers(50), answer, 3)]) == 50
    assert most == 3


async def test_a_caller_who_does_not_read_is_read_no_further():
    read: list[int] = []

    async def answer(number: int) -> int:
        return number

    replies = answer_each(numbers(100, read), answer, 5)
    await anext(replies)
    await asyncio.sleep(0.05)
    # Five in work or unsent, one that waits for room; the first reply is still held by the caller.
    assert len(read) <= 6
    await replies.aclose()


async def test_an_early_end_cancels_what_is_in_work():
    cancelled = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            return number
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return number

    replies = answer_each(numbers(2), answer, 2)
    await anext(replies)
    await replies.aclose()
    async with asyncio.timeout(5):
        await cancelled.wait()


async def test_a_stream_that_breaks_breaks_the_replies_with_its_own_error():
    async def broken():
        yield 1
        raise KeyError("malformed")

    async def answer(number: int) -> int:
        return number

    with pytest.raises(KeyError):
        async for _ in answer_each(broken(), answer, 2):
            pass


async def test_an_empty_stream_has_no_replies():
    async def answer(number: int) -> int:
        return number

    assert [reply async for reply in answer_each(numbers(0), answer, 2)] == []


async def test_a_stream_that_breaks_still_answers_what_came_before():
    async def broken():
        yield 1
        yield 2
        raise KeyError("malformed")

    async def answer(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    seen = []
    with pytest.raises(KeyError):  # noqa: PT012  what came before the error counts too
        async for reply in answer_each(broken(), answer, 4):
            seen.append(reply)  # noqa: PERF401  a comprehension would lose them
    assert sorted(seen) == [1, 2]


async def test_a_server_that_drains_answers_what_is_in_work_and_reads_no_more():
    draining = asyncio.Event()

    async def open_ended():
        yield 1
        await asyncio.sleep(60)

    async def answer(number: int) -> int:
        draining.set()
        await asyncio.sleep(0.01)
        return number

    seen = []
    async with asyncio.timeout(5):
        replies = streams.answer_each(open_ended(), answer, 4, draining)
        with pytest.raises(ShuttingDownError):  # noqa: PT012  what came before it counts too
            async for reply in replies:
                seen.append(reply)  # noqa: PERF401  a comprehension would lose them
    assert seen == [1]


async def test_a_stream_that_its_caller_had_ended_ends_well_though_the_server_drains():
    draining = asyncio.Event()

    async def answer(number: int) -> int:
        draining.set()
        await asyncio.sleep(0.01)
        return number

    replies = streams.answer_each(numbers(2), answer, 4, draining)
    assert sorted([reply async for reply in replies]) == [0, 1]


async def test_what_was_read_and_found_no_room_before_a_drain_is_told_of():
    draining, seen = asyncio.Event(), []

    async def answer(number: int) -> int:
        await asyncio.sleep(0.01)
        draining.set()
        await asyncio.sleep(0.01)
        return number

    async with asyncio.timeout(5):
        with pytest.raises(ShuttingDownError):  # noqa: PT012  likewise
            async for reply in streams.answer_each(numbers(3), answer, 1, draining):
                seen.append(reply)  # noqa: PERF401  likewise
    assert seen == [0]
