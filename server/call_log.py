"""What is counted and logged of every call.

A log line takes 0.01 ms in a row with others and 0.05 ms by itself, when what it needs has left the
processor's caches meanwhile. So a few calls that have ended wait for each other.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, NamedTuple

from server.calls import Call
from server.errors import OverloadedError
from server.logs import instant, place_of, write_together
from server.status import PointsmanError, reason_of

_TOGETHER = 4
_SECONDS_TOGETHER = 0.02
_SECONDS_BETWEEN_REFUSALS = 1.0

Observe = Callable[[str, str, float], None]


class _Ended(NamedTuple):
    """A call that is over, at a time on the clock of `time.monotonic`, with the status `code`.

    `told` is what its line says besides; None for no line. It holds no error, which would hold
    the request.
    """

    call: Call
    code: str
    at: float
    told: dict[str, str | int] | None

    def line(self, epoch: float) -> tuple[str, dict[str, Any]]:
        """What is logged of it, and at which level, on a clock that began at unix seconds."""
        told = self.told or {}
        event = {
            "timestamp": instant(epoch + self.at),
            "request_id": self.call.request_id,
            "method": self.call.method,
            "code": self.code,
            "milliseconds": round((self.at - self.call.began_at) * 1e3, 3),
            **told,
            "event": "call",
        }
        return "error" if "error" in told else "info", event


class CallLog:
    """Counts and logs calls, within 20 ms of their end. Used from the event loop only.

    Args:
        observe: Is told method, code and seconds of every call that has ended.
        log_requests: Writes a line for every call; without it, only for those that failed.
    """

    def __init__(self, observe: Observe, *, log_requests: bool) -> None:
        self._observe = observe
        self._told: dict[str, str | int] | None = {} if log_requests else None
        self._refusals = _Refusals()
        self._ended: list[_Ended] = []
        self._due = False

    def end(self, call: Call, code: str, error: BaseException | None) -> None:
        """Notes the end of a call, to be written when its reply is on its way."""
        told = self._told if error is None else self._told_of(error)
        self._ended.append(_Ended(call, code, time.monotonic(), told))
        if len(self._ended) == _TOGETHER:
            # In no call's context, for it is about several.
            asyncio.get_running_loop().call_soon(self.write, context=Context())
        elif not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(
                _SECONDS_TOGETHER, self._write_late, context=Context()
            )

    def write(self) -> None:
        """Counts and logs the calls that have ended so far."""
        ended, self._ended = self._ended, []
        for call, code, at, _ in ended:
            self._observe(call.method, code, at - call.began_at)
        epoch = time.time() - time.monotonic()
        write_together([each.line(epoch) for each in ended if each.told is not None])

    def _write_late(self) -> None:
        self._due = False
        self.write()

    def _told_of(self, error: BaseException) -> dict[str, str | int] | None:
        """What the line of a call says besides; None for no line."""
        if isinstance(error, OverloadedError):
            unlogged = self._refusals.unlogged(time.monotonic())
            return None if unlogged is None else {"reason": error.reason, "unlogged": unlogged}
        if isinstance(error, PointsmanError):
            return {"reason": error.reason}
        if isinstance(error, Exception):
            return {"reason": reason_of(error), "error": place_of(error)}
        return {}


class _Refusals:
    """Logs one refusal a second: under overload there are hundreds, and each line costs."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unlogged = 0

    def unlogged(self, now: float) -> int | None:
        """Returns how many were not logged since the last one, or None for one more."""
        if now < self._next:
            self._unlogged += 1
            return None
        unlogged, self._unlogged = self._unlogged, 0
        self._next = now + _SECONDS_BETWEEN_REFUSALS
        return unlogged
