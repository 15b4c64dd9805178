"""The call that is being answered, known to whoever logs or queues work for it."""

import time
from contextvars import ContextVar
from typing import NamedTuple


class Call(NamedTuple):
    """What is known of a call before its message is read.

    Attributes:
        method: Its path, as in "/pointsman.v1.RoutingService/RoutePrompt".
        request_id: The caller's, or a new one.
        began_at: When it arrived, on the clock of `time.monotonic`.
        ends_at: When its caller is gone, on the same clock; None for never.
    """

    method: str
    request_id: str
    began_at: float
    ends_at: float | None


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def begin(call: Call) -> None:
    """Notes the call for its task and the tasks that it starts."""
    _current.set(call)


def current() -> Call | None:
    """Returns the call that this task answers; None outside one."""
    return _current.get()


def seconds_left() -> float | None:
    """Returns how long the caller still waits; None for ever, also outside a call."""
    call = _current.get()
    return None if call is None or call.ends_at is None else call.ends_at - time.monotonic()
