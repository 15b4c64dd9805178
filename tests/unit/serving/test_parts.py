"""Parts that run by themselves, and what their death does."""

import asyncio

import pytest
import structlog

from server.calls import Call, begin, seconds_left
from server.parts import Parts


async def test_a_part_that_dies_takes_the_others_with_it_and_is_logged():
    ended = []

    async def die():
        raise ValueError("a secret")

    async def live():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("live")

    async def serve():
        async with asyncio.TaskGroup() as group:
            parts = Parts(group)
            parts.start("living", live)
            parts.start("dying", die)

    with structlog.testing.capture_logs() as lines, pytest.raises(ExceptionGroup):
        await serve()
    assert ended == ["live"]
    assert [(line["event"], line["part"]) for line in lines] == [("part_died", "dying")]
    assert "secret" not in str(lines)


async def test_stopping_ends_every_part_quietly():
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        tasks = [parts.start("idle", lambda: asyncio.sleep(60)) for _ in range(3)]
        await asyncio.sleep(0)
        parts.stop()
    assert all(task.cancelled() for task in tasks)


async def test_no_part_starts_while_the_process_is_going_down():
    async def die():
        raise ValueError

    late = []

    async def serve():
        async with asyncio.TaskGroup() as group:
            parts = Parts(group)
            parts.start("dying", die)
            try:
                await asyncio.sleep(60)
            finally:
                with pytest.raises(asyncio.CancelledError):
                    parts.start("late", lambda: asyncio.sleep(0))
                late.append("refused")

    with pytest.raises(ExceptionGroup):
        await serve()
    assert late == ["refused"]


async def test_a_part_that_is_started_after_the_end_is_ended_too():
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        parts = Parts(group)
        parts.stop()
        late = parts.start("late", lambda: asyncio.sleep(60))
    assert late.cancelled()


async def test_a_part_has_no_deadline_of_who_asked_for_it():
    begin(Call("/m", "id", 0.0, 0.0))
    assert seconds_left() is not None

    async def left():
        return seconds_left()

    async with asyncio.TaskGroup() as group:
        task = Parts(group).start("part", left)
    assert task.result() is None
