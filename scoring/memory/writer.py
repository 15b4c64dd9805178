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
from scoring.memory.inbox import Delete, Inbox, Request
from scoring.memory.log import Log
from scoring.memory.neighbours import NeighbourIndex
from scoring.memory.pool import Pool
from scoring.memory.snapshots import Snapshots
from scoring.memory.values import MemorySettings

_logger = logging.getLogger(__name__)

GROUP = 256
"""Most samples and outcomes of one commit."""
SWEEP_SECONDS = 1.0
"""How often what is past its time is looked for."""
QUIET_SECONDS = 1.0
"""A graph is saved once nobody has read for so long: hnswlib keeps the interpreter meanwhile, for
0.04 to 0.3 seconds at 100,000 samples, and longer on a slow disk."""
OVERDUE_SECONDS = 3600.0
"""So long after the last, a graph is saved even if there is always somebody who reads."""


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
        self._next_sweep = self._saved_at = time.monotonic()
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
        while any(index.waiting > self._settings.backlog for index in self._indexes()):
            self._step()

    def _patience(self) -> float | None:
        if self._busy:
            return 0.0
        waits = [QUIET_SECONDS] if any(index.due for index in self._indexes()) else []
        if self._settings.time_to_live is not None:
            waits.append(max(0.0, self._next_sweep - time.monotonic()))
        return min(waits, default=None)

    def _write(self, requests: list[Request]) -> None:
        running = [request for request in requests if request.done.set_running_or_notify_cancel()]
        try:
            self._committer.add([item for item in running if not isinstance(item, Delete)])
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
        if any(self._settle(index) for index in self._indexes()):
            return True
        index = max(self._indexes(), key=lambda index: index.waiting, default=None)
        if index is None or not index.waiting:
            return False
        index.merge()
        return True

    def _settle(self, index: NeighbourIndex) -> bool:
        sparse = index.sparse()
        if sparse is not None:
            index.dissolve(sparse)
            self._snapshots.forget(index.vectors, sparse.first)
            return True
        due = index.due
        if due is None or not self._may_save():
            return False
        self._snapshots.save(index.vectors, due)
        # The others that are due come at once: else each would wait an hour for its turn.
        if all(other.due is None for other in self._indexes()):
            self._saved_at = time.monotonic()
        return True

    def _may_save(self) -> bool:
        now = time.monotonic()
        read_at = max(pool.lock.read_at for pool in self._pools.values())
        return now - read_at >= QUIET_SECONDS or now - self._saved_at >= OVERDUE_SECONDS

    def _save_all(self) -> None:
        for index in self._indexes():
            for segment in index.segments:
                if segment.unsaved:
                    self._snapshots.save(index.vectors, segment)

    def _indexes(self) -> list[NeighbourIndex]:
        return [index for pool in self._pools.values() for index in pool.indexes]

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
