"""What works beside the event loop comes after it, wherever threads have a niceness."""

import asyncio
import os
import sys
import threading

import pytest

from server import threads
from server.threads import run_giving_way, start

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="niceness is of processes here")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def niceness_of_a_child() -> int:
    found = []
    child = threading.Thread(target=lambda: found.append(niceness()))
    child.start()
    child.join()
    return found[0]


@on_linux
async def test_a_thread_and_those_that_it_starts_give_way_and_nobody_else():
    before = niceness()
    assert await run_giving_way(niceness) == before + 3
    assert await run_giving_way(niceness_of_a_child) == before + 3
    assert niceness() == before
    assert await asyncio.to_thread(niceness) == before


@on_linux
async def test_so_do_threads_that_encode():
    loop = asyncio.get_running_loop()
    found, died = loop.create_future(), loop.create_future()
    start("encode", lambda: threads.tell(loop, found.set_result, niceness()), died)
    async with asyncio.timeout(30):
        assert await found == niceness() + 3
    assert not died.done()


async def test_a_system_that_refuses_is_let_be(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    assert await run_giving_way(lambda: 7) == 7


async def test_an_error_comes_back():
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_giving_way(fail)
