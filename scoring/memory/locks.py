"""A lock that many readers share and that one writer takes between them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Phase-fair lock for many readers and ONE writer thread.

    A reader that arrives while the writer is in, or waits, is admitted when
    that one write ends, before the writer may come again: readers wait for one
    write at most, however many writes follow each other. The writer waits for
    the readers that were in before it, and no others.

    Attributes:
        read_at: When a reader last came, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._readers = 0
        self._waiting = 0
        self._writer = False
        self._phase = 0
        self.read_at = float("-inf")
        self._reading = _Reading(self)

    def read(self) -> "_Reading":
        """Holds off the writer, not other readers, inside a `with`."""
        return self._reading

    def enter(self) -> None:
        """Lets a reader in, after one write at most."""
        with self._mutex:
            self.read_at = time.monotonic()
            if not self._writer:
                self._readers += 1
                return
            # The writer counts us in when it leaves: see write().
            self._waiting += 1
            phase = self._phase
            self._changed.wait_for(lambda: self._phase != phase)

    def leave(self) -> None:
        """Lets a reader out."""
        with self._mutex:
            self._readers -= 1
            if self._writer and not self._readers:
                self._changed.notify_all()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Holds off everybody. Only one thread may ever ask for this."""
        with self._mutex:
            self._writer = True
            self._changed.wait_for(lambda: not self._readers)
        try:
            yield
        finally:
            with self._mutex:
                self._writer = False
                self._readers, self._waiting = self._waiting, 0
                self._phase += 1
                self._changed.notify_all()


class _Reading:
    """The `with` of a reader. One for all: it keeps nothing of any of them."""

    __slots__ = ("_lock",)

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.enter()

    def __exit__(self, *_: object) -> None:
        self._lock.leave()
