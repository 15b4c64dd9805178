"""How long the caller of the current request still waits, known to whoever queues work for it."""

import time
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)


def begin(seconds_left: float | None) -> None:
    """Notes how long a caller waits, for the task of its request and the tasks that it starts.

    Args:
        seconds_left: None for a caller that waits for ever.
    """
    _ends_at.set(None if seconds_left is None else time.monotonic() + seconds_left)


def seconds_left() -> float | None:
    """Returns how long the caller still waits; None for ever, also outside a request."""
    ends_at = _ends_at.get()
    return None if ends_at is None else ends_at - time.monotonic()
