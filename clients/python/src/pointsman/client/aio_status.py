"""The status that a server ended a stream with, where grpc.aio has lost it.

A write that is under way while the server ends the stream fails, and grpc.aio then replaces the
server's status by INTERNAL, be it there already or not (https://github.com/grpc/grpc/issues/36066).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import grpc
from grpc import aio

T = TypeVar("T")

_REPLACEMENT = "Internal error from Core"
# The write failed because the stream had ended, so its status is on the way.
_PATIENCE_SECONDS = 1.0


class ServerStatus:
    """Watches one call, from before its first write."""

    def __init__(self, call: aio.Call) -> None:
        self._seen = asyncio.Event()
        self._error: aio.AioRpcError | None = None
        call.add_done_callback(self._remember)

    async def behind(self, error: grpc.RpcError) -> grpc.RpcError:
        """Returns the failure that the server reported, or the given one where there is none."""
        if not _is_replacement(error):
            return error
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._seen.wait()
        return self._error or error

    def _remember(self, call: aio.Call) -> None:
        # Called once for each status that the call is given.
        code = _answer(call.code())
        if code is None or code is grpc.StatusCode.OK:
            return
        error = aio.AioRpcError(
            code,
            initial_metadata=aio.Metadata(),
            trailing_metadata=_answer(call.trailing_metadata()) or aio.Metadata(),
            details=_answer(call.details()),
        )
        if not _is_replacement(error):
            self._error = error
            self._seen.set()


def _is_replacement(error: grpc.RpcError) -> bool:
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == _REPLACEMENT


def _answer(coroutine: Coroutine[Any, Any, T]) -> T | None:
    # An ended call answers at once, and only now: the next turn of the loop may be too late.
    try:
        coroutine.send(None)
    except StopIteration as answer:
        return answer.value  # type: ignore[no-any-return]
    coroutine.close()
    return None
