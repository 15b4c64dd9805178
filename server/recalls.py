"""The neighbours of several requests together, once requests come faster than they are answered.

To hand a search to a thread and be woken by its result costs 0.1 ms, which is a third of what it
takes. So a request that is alone searches on the event loop. Where others are in work, those that
wait go to the thread in one call, which leaves the interpreter to the loop meanwhile.

A request may seem to be alone and be one of many: where none of them has to wait for anything, the
loop answers one after the other, and none sees another. So one in a hundred and twenty-eight goes
to the thread though it is alone. If two or more come before it is back, all go there, until they
have come one by one for a while.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.evidence import Neighbourhood
from scoring.memory import EmbeddingSpace, Memory

_BETWEEN_PROBES = 128
_LONELY_BATCHES = 8
# A search takes 0.2 ms, and the writer waits for all of them.
_MOST_TOGETHER = 16


class Asked(NamedTuple):
    """What a request wants recalled: see `Memory.recall`."""

    pool: str
    space: EmbeddingSpace
    prompt: NDArray[np.float32]
    k: int
    without: str


class Recalled(NamedTuple):
    """Its neighbours, and the seconds that it took to find them, and those of others with them."""

    neighbourhood: Neighbourhood
    seconds: float


_Waiting = tuple[Asked, "asyncio.Future[Recalled]"]
_Found = list[Recalled | Exception]


class Recalls:
    """Asks a memory for neighbours. Used from the event loop only.

    Args:
        memory: The pools.
        thread: For what does not run on the loop.
        alone: Whether the current request is the only one in flight.
    """

    def __init__(self, memory: Memory, thread: Executor, alone: Callable[[], bool]) -> None:
        self._memory = memory
        self._thread = thread
        self._alone = alone
        self._waiting: list[_Waiting] = []
        self._running = False
        self._until_probe = _BETWEEN_PROBES
        self._lonely_left = 0

    async def recall(self, asked: Asked) -> Recalled:
        """Finds the neighbours of one prompt.

        Raises:
            PoolNotFoundError: There is no such pool.
            SpaceMismatchError: It lives in another embedding space.
            InvalidArrayError: The vector can't be compared with its own.
        """
        if self._runs_at_once():
            return _recalled(self._memory, [asked])[0]
        future: asyncio.Future[Recalled] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if not self._running:
            self._running = True
            # Whoever is ready to run now comes along.
            asyncio.get_running_loop().call_soon(self._send, context=Context())
        return await future

    def _runs_at_once(self) -> bool:
        if self._lonely_left or self._running or not self._alone():
            return False
        self._until_probe -= 1
        if self._until_probe:
            return True
        self._until_probe = _BETWEEN_PROBES
        return False

    def _send(self) -> None:
        waiting = [each for each in self._waiting if not each[1].done()]
        batch, self._waiting = waiting[:_MOST_TOGETHER], waiting[_MOST_TOGETHER:]
        self._running = bool(batch)
        if not batch:
            return
        if len(batch) > 1:
            self._lonely_left = _LONELY_BATCHES
        elif self._lonely_left:
            self._lonely_left -= 1
        asked = [each for each, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            finding = loop.run_in_executor(self._thread, _find, self._memory, asked)
        except RuntimeError:  # the thread was shut down, and with it the server
            self._running = False
            _cancel(batch)
            _cancel(self._waiting)
        else:
            finding.add_done_callback(partial(self._deliver, batch))

    def _deliver(self, batch: list[_Waiting], finding: "asyncio.Future[_Found]") -> None:
        if finding.cancelled():
            _cancel(batch)
        else:
            _resolve(batch, finding.result())
        self._send()


def _resolve(batch: Sequence[_Waiting], found: _Found) -> None:
    for (_, future), each in zip(batch, found, strict=True):
        if future.done():
            continue
        if isinstance(each, Exception):
            future.set_exception(each)
        else:
            future.set_result(each)


def _cancel(waiting: Sequence[_Waiting]) -> None:
    for _, future in waiting:
        future.cancel()


def _find(memory: Memory, asked: Sequence[Asked]) -> _Found:
    """Recalls for requests in their order, those of a pool together; none fails another."""
    alike: dict[tuple[str, EmbeddingSpace, int], list[int]] = {}
    for place, each in enumerate(asked):
        alike.setdefault((each.pool, each.space, each.k), []).append(place)
    found: dict[int, Recalled | Exception] = {}
    for places in alike.values():
        found |= zip(places, _attempt(memory, [asked[place] for place in places]), strict=True)
    return [found[place] for place in range(len(asked))]


def _attempt(memory: Memory, asked: Sequence[Asked]) -> _Found:
    try:
        return [*_recalled(memory, asked)]
    except Exception as error:  # noqa: BLE001  whose request it was answers for it
        if len(asked) == 1:
            return [error]
        return [_attempt(memory, [each])[0] for each in asked]


def _recalled(memory: Memory, asked: Sequence[Asked]) -> list[Recalled]:
    """Recalls for requests of the same pool, space and k."""
    began, first = time.perf_counter(), asked[0]
    prompts, names = [each.prompt for each in asked], [each.without for each in asked]
    found = memory.recall_each(first.pool, first.space, prompts, first.k, names)
    seconds = time.perf_counter() - began
    return [Recalled(each, seconds) for each in found]
