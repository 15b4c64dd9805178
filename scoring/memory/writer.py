"""The one thread that changes the memory."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from scoring.errors import MemoryStorageError
from scoring.memory.committer import Committer, resolve
from scoring.memory.inbox import Delete, Inbox, Learn, Request
from scoring.memory.log import Log
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.values import MemorySettings

_logger = logging.getLogger(__name__)

GROUP = 256
"""Most samples of one commit."""
SWEEP_SECONDS = 1.0
"""How often samples past their time are looked for."""


class Writer:
    """Commits what waits in its inbox; between commits, tends the graphs step by step.

    A step is one insertion, or one graph saved or dissolved, so that a sample
    never waits for more than one of them.
    """

    def __init__(
        self,
        log: Log,
        pools: dict[str, Pool],
        snapshots: Snapshots,
        settings: MemorySettings,
        clock: Callable[[], float],
    ) -> None:
        self.inbox = Inbox(settings.queue)
        self.failure: Future[None] = Future()
        self._committer = Committer(log, pools, snapshots, settings, clock)
        self._pools = pools
        self._snapshots = snapshots
        self._settings = settings
        self._taken: list[Request] = []
        self._busy = True
        self._next_sweep = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="memory-writer", daemon=True)

    def start(self) -> None:
        """Begins to take what waits."""
        self._thread.start()

    def stop(self) -> None:
        """Takes nothing new, finishes what waits, saves the graphs, and ends."""
        self.inbox.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self.inbox.finished:
                self._turn()
            self._save_all()
        except BaseException as error:  # noqa: BLE001 — whatever it was, nobody may wait for ever
            self._die(error)
        else:
            self.failure.set_result(None)

    def _turn(self) -> None:
        self._taken = self.inbox.take(GROUP, self._patience())
        if self._taken:
            self._busy = True
            self._write(self._taken)
            self._taken = []
        self._sweep()
        self._busy = self._step()
        while any(pool.neighbours.waiting > self._settings.backlog for pool in self._all()):
            self._step()

    def _patience(self) -> float | None:
        if self._busy:
            return 0.0
        if self._settings.time_to_live is None:
            return None
        return max(0.0, self._next_sweep - time.monotonic())

    def _write(self, requests: list[Request]) -> None:
        running = [request for request in requests if request.done.set_running_or_notify_cancel()]
        try:
            self._committer.learn([item for item in running if isinstance(item, Learn)])
            for request in running:
                if isinstance(request, Delete):
                    self._committer.delete(request)
        except sqlite3.Error as error:
            refusal = MemoryStorageError(
                f"The memory's log can't be written ({error}): nothing was learned; see to its "
                "disk and try again."
            )
            for request in running:
                resolve(request.done, refusal)

    def _sweep(self) -> None:
        if time.monotonic() < self._next_sweep:
            return
        more = False
        try:
            more = self._committer.expire()
        except sqlite3.Error as error:
            _logger.warning("Samples past their time could not be forgotten: %s", error)
        self._next_sweep = time.monotonic() + (0.0 if more else SWEEP_SECONDS)

    def _step(self) -> bool:
        """Does the most pressing piece of work on the graphs; says whether there was one."""
        if any(self._settle(pool) for pool in self._all()):
            return True
        pool = max(self._all(), key=lambda pool: pool.neighbours.waiting, default=None)
        if pool is None or not pool.neighbours.waiting:
            return False
        pool.neighbours.merge()
        return True

    def _settle(self, pool: Pool) -> bool:
        sparse = pool.neighbours.sparse()
        if sparse is not None:
            pool.neighbours.dissolve(sparse)
            self._snapshots.forget(pool.id, sparse.first)
            return True
        for segment in pool.neighbours.segments:
            if segment.full and segment.unsaved:
                self._snapshots.save(pool.id, segment)
                return True
        return False

    def _save_all(self) -> None:
        for pool in self._all():
            for segment in pool.neighbours.segments:
                if segment.unsaved:
                    self._snapshots.save(pool.id, segment)

    def _all(self) -> list[Pool]:
        return list(self._pools.values())

    def _die(self, error: BaseException) -> None:
        _logger.critical("The memory's writer failed", exc_info=error)
        sentence = "The memory's writer failed and learns no more: restart the process."
        self.inbox.close(sentence)
        waiting = self._taken
        while left := self.inbox.take(GROUP, 0.0):
            waiting += left
        for request in waiting:
            with suppress(InvalidStateError):  # it was answered, or given up, before
                request.done.set_exception(MemoryStorageError(sentence))
        self.failure.set_exception(error)
