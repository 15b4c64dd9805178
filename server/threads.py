"""Threads that work beside the event loop, and tell it what came of that."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


def start(name: str, work: Callable[[], None], died: "asyncio.Future[None]") -> None:
    """Runs work in a thread that the end of the process does not wait for.

    Args:
        name: Of the thread.
        work: What it does.
        died: Fails where the work does.
    """

    def supervised() -> None:
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
