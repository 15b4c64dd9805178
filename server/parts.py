"""The parts of the server that run by themselves, under one supervisor."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

import structlog

from server.logs import place_of

_Result = TypeVar("_Result")
_log = structlog.get_logger(__name__)


class Parts:
    """Starts tasks in one group: a part that dies is logged, and takes the process with it.

    Args:
        group: Fails with the first part that does.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._stopped = False
        self._running: set[asyncio.Task[Any]] = set()

    def start(
        self, name: str, life: Callable[[], Coroutine[Any, Any, _Result]]
    ) -> asyncio.Task[_Result]:
        """Starts a part, and returns its task. It inherits nothing of the request that asks for it.

        Raises:
            CancelledError: Another part died: the process is going down.
        """
        supervised = _supervised(name, life)
        try:
            # A deadline in it would be that of all that the part ever does.
            task = self._group.create_task(supervised, context=Context())
        except RuntimeError:
            supervised.close()
            raise asyncio.CancelledError from None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if self._stopped:
            task.cancel()
        return task

    def stop(self) -> None:
        """Cancels every part that runs, and those that are started from now on."""
        self._stopped = True
        for task in tuple(self._running):
            task.cancel()


async def _supervised(name: str, life: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    try:
        return await life()
    except Exception as error:
        _log.critical("part_died", part=name, error=place_of(error))
        raise
