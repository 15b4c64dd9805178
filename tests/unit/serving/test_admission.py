import asyncio

import pytest

from server.admission import Admission
from server.errors import OverloadedError, ShuttingDownError


def test_admits_up_to_the_limit_and_refuses_the_next():
    admission = Admission(2)
    with admission.admit(), admission.admit():
        with pytest.raises(OverloadedError) as caught, admission.admit():
            pass
        assert admission.in_flight == 2
    assert caught.value.retry_after > 0
    assert admission.in_flight == 0
    assert admission.refused == 1


def test_room_is_given_back_when_a_request_fails():
    admission = Admission(1)
    with pytest.raises(KeyError), admission.admit():
        raise KeyError
    with admission.admit():
        assert admission.in_flight == 1


async def test_items_of_a_stream_wait_for_room_instead():
    admission = Admission(2)
    working = most = 0

    async def item() -> None:
        nonlocal working, most
        async with admission.admit_in_turn():
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*(item() for _ in range(20)))
    assert most == 2
    assert admission.refused == 0


async def test_a_turn_given_to_one_who_has_gone_is_passed_on():
    admission = Admission(1)

    async def item() -> None:
        async with admission.admit_in_turn():
            pass

    with admission.admit():
        items = [asyncio.create_task(item()) for _ in range(2)]
        await asyncio.sleep(0)
    items[0].cancel()
    async with asyncio.timeout(5):
        await items[1]


async def test_refuses_everything_once_closed_and_tells_those_who_wait():
    admission = Admission(1)

    async def item() -> None:
        async with admission.admit_in_turn():
            pass

    with admission.admit():
        waiting = asyncio.create_task(item())
        await asyncio.sleep(0)
        admission.close()
        with pytest.raises(ShuttingDownError):
            await waiting
        with pytest.raises(ShuttingDownError), admission.admit():
            pass


async def test_idle_waits_for_the_last_request():
    admission = Admission(2)
    async with asyncio.timeout(5):
        await admission.idle()
    with admission.admit():
        waiting = asyncio.create_task(admission.idle())
        await asyncio.sleep(0)
        assert not waiting.done()
    async with asyncio.timeout(5):
        await waiting
