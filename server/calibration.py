"""The calibrations of the pools: fitted where outcomes came, one at a time, beside the requests."""

import asyncio
import math
import time
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog

from scoring.calibrated import CalibrationFit
from scoring.errors import PoolNotFoundError
from scoring.judged import fit_pool, nothing_judged
from scoring.memory import Memory
from server.logs import place_of

_log = structlog.get_logger(__name__)

PROMPT_OUTCOMES = 1000
"""Outcomes up to which a fit holds every one that was acknowledged before it was asked for."""
_STALE_SHARE = 100
"""Beyond them it is made anew once they have changed by one in so many."""
_GROWTH = 10, 20
"""It is made anew as well once the samples grew by one in so many, and by so many at least: the
noise of the voters is of them."""
_NO_LONGER = 0.9
"""Probability below which a pool that was contradicted is so no more; it became so from 0.95."""
_INTERVAL_SECONDS = 2.0
_REST = 20
"""Fits that nobody waits for rest so many times as long as they took."""

_NOTHING_JUDGED = nothing_judged()


@dataclass(frozen=True, slots=True)
class Held:
    """A fit, and what it was made of.

    Attributes:
        fit: Of the pool's outcomes.
        contradicted: They contradict agreement, or did lately: it does not waver.
        revision: Of `Memory.judged_revision`.
        samples: That the pool had taken.
    """

    fit: CalibrationFit
    contradicted: bool
    revision: tuple[int, int]
    samples: int


class Calibrations:
    """Gives the fit of a pool, and says when outcomes contradict agreement.

    Args:
        memory: The pools.
        thread: The one thread in which fits are made.
    """

    def __init__(self, memory: Memory, thread: Executor) -> None:
        self._memory = memory
        self._thread = thread
        self._held: dict[str, Held] = {}
        self._fitting: dict[str, asyncio.Task[None]] = {}

    def held(self, pool: str) -> Held | None:
        """The latest fit of a pool, where it has outcomes; of any thread, and waits for nobody."""
        try:
            return self._of(pool, self._memory.judged_revision(pool)[0])
        except PoolNotFoundError:
            return None

    async def current(self, pool: str) -> CalibrationFit:
        """The fit of a pool, which is that of no outcomes where it has none, or is not there.

        Up to `PROMPT_OUTCOMES` it holds every outcome that was acknowledged before; beyond, it
        may lack the latest hundredth, and is made anew while the old one serves.
        """
        try:
            wanted = self._memory.judged_revision(pool)
            while wanted[1]:
                held = self._of(pool, wanted[0])
                if held is not None and not _lacks(held, wanted):
                    if self._stale(pool, held):
                        self._refit(pool)
                    return held.fit
                await asyncio.shield(self._refit(pool))
                now = self._memory.judged_revision(pool)
                wanted = wanted if now[0] == wanted[0] else now
        except PoolNotFoundError:
            pass
        return _NOTHING_JUDGED

    async def watch(self) -> None:
        """Keeps the fits of all pools, for those who look at them without a request."""
        while True:
            began = time.perf_counter()
            for pool in self._memory.names():
                await self._look(pool)
            for pool in self._held.keys() - set(self._memory.names()):
                del self._held[pool]
            spent = time.perf_counter() - began
            await asyncio.sleep(max(_INTERVAL_SECONDS, _REST * spent))

    async def _look(self, pool: str) -> None:
        try:
            revision = self._memory.judged_revision(pool)
            held = self._of(pool, revision[0])
            if (revision[1] and held is None) or (held and self._stale(pool, held)):
                await asyncio.shield(self._refit(pool))
        except PoolNotFoundError:
            return
        except Exception:  # noqa: BLE001, S110  it is in the log, and must not end the watch
            pass

    def _of(self, pool: str, number: int) -> Held | None:
        held = self._held.get(pool)
        return held if held is not None and held.revision[0] == number else None

    def _stale(self, pool: str, held: Held) -> bool:
        changes = self._memory.judged_revision(pool)[1] - held.revision[1]
        grown = self._memory.revision(pool) - held.samples
        share, least = _GROWTH
        return changes > _allowed(held) or grown > max(least, held.samples // share)

    def _refit(self, pool: str) -> asyncio.Task[None]:
        task = self._fitting.get(pool)
        # One that is done, and was not taken out yet, would be waited for without a pause.
        if task is None or task.done():
            task = self._fitting[pool] = asyncio.create_task(self._fit(pool))
            task.add_done_callback(lambda done: self._done(pool, done))
        return task

    def _done(self, pool: str, task: asyncio.Task[None]) -> None:
        if self._fitting.get(pool) is task:
            del self._fitting[pool]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PoolNotFoundError):
            _log.error("calibration_failed", pool=pool, error=place_of(error))

    async def _fit(self, pool: str) -> None:
        revision = self._memory.judged_revision(pool)
        samples = self._memory.revision(pool)
        loop = asyncio.get_running_loop()
        fit = await loop.run_in_executor(self._thread, fit_pool, self._memory, pool)
        before = self._of(pool, revision[0])
        was = before is not None and before.contradicted
        now = fit.contradicted or (was and fit.contradiction >= _NO_LONGER)
        if now != was:
            _tell(pool, fit, now=now)
        self._held[pool] = Held(fit, now, revision, samples)


def _allowed(held: Held) -> int:
    """Changes that a fit may lack."""
    outcomes = held.fit.outcomes
    return 0 if outcomes <= PROMPT_OUTCOMES else outcomes // _STALE_SHARE


def _lacks(held: Held, wanted: tuple[int, int]) -> bool:
    """Whether a request must wait for a newer fit."""
    return held.fit.outcomes <= PROMPT_OUTCOMES and held.revision < wanted


def _tell(pool: str, fit: CalibrationFit, *, now: bool) -> None:
    write = _log.warning if now else _log.info
    event = "agreement_contradicted" if now else "agreement_no_longer_contradicted"
    probability = None if math.isnan(fit.contradiction) else round(fit.contradiction, 3)
    write(event, pool=pool, outcomes=fit.outcomes, probability=probability)
