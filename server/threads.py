"""Threads that work beside the event loop, and tell it what came of that."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

# Half the share of a core that the event loop gets where both want it.
_NICE = 3

R = TypeVar("R")


def give_way() -> None:
    """Lets this thread, and those that it starts from now on, come after the event loop.

    An encoder takes every core for as long as it has texts, and what is refused meanwhile should
    not wait for a turn among its threads. Linux has a niceness for each thread; elsewhere nothing
    changes.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, thread) + _NICE
            os.setpriority(os.PRIO_PROCESS, thread, nice)


async def run_giving_way(work: Callable[[], R]) -> R:
    """Runs work in a thread of its own that gives way, as do the threads that it leaves behind."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="load", initializer=give_way)
    try:
        run = copy_context().run  # for its log lines
        return await asyncio.get_running_loop().run_in_executor(thread, run, work)
    finally:
        thread.shutdown(wait=False)


def start(name: str, work: Callable[[], None], died: "asyncio.Future[None]") -> None:
    """Runs work in a thread that the end of the process does not wait for.

    Args:
        name: Of the thread.
        work: What it does.
        died: Fails where the work does.
    """

    def supervised() -> None:
        give_way()
        try:
            work()
        except BaseException as error:  # noqa: BLE001  whatever it was, the process must know
            tell(died.get_loop(), _die, died, error)

    threading.Thread(target=supervised, name=name, daemon=True).start()


def tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: object) -> None:
    """Calls something in a loop's thread, soon."""
    with suppress(RuntimeError):  # the loop has ended, and nobody listens
        loop.call_soon_threadsafe(what, *args)


def _die(died: "asyncio.Future[None]", error: BaseException) -> None:
    if not died.done():
        failure = RuntimeError("A thread of the batcher died.")
        failure.__cause__ = error
        died.set_exception(failure)
