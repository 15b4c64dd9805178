"""Work of several requests together, once requests come faster than they are answered.

To hand work to a thread and be woken by its result costs 0.1 ms, half of what a search takes. So a
request that is alone does its work on the event loop. Where others are in work, those that wait
go to the thread in one call, which leaves the interpreter to the loop meanwhile.

A request may seem to be alone and be one of many: where none of them has to wait for anything, the
loop answers one after the other, and none sees another. So one in a hundred and twenty-eight goes
to the thread though it is alone. If two or more come before it is back, all go there, until they
have come one by one for a while.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

_BETWEEN_PROBES = 128
_LONELY_BATCHES = 8
# What is asked takes 0.2 ms, and the writer of the memory waits for all of them.
_MOST_TOGETHER = 16


class Together(Generic[A, R]):
    """Does the work of requests, of those that come together in one call. Used from the loop only.

    Args:
        work: Done for one or more that are alike: as many results, in their order.
        kind: What those that are alike have in common.
        thread: For what does not run on the loop.
        alone: Whether the current request is the only one in flight.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Sequence[R]],
        kind: Callable[[A], Hashable],
        thread: Executor,
        alone: Callable[[], bool],
    ) -> None:
        self._work = work
        self._kind = kind
        self._thread = thread
        self._alone = alone
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._running = False
        self._until_probe = _BETWEEN_PROBES
        self._lonely_left = 0

    async def run(self, asked: A) -> R:
        """Does the work of one request.

        Raises:
            Exception: That the work raises for this request by itself.
        """
        if self._runs_at_once():
            return self._work([asked])[0]
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
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
            working = loop.run_in_executor(self._thread, self._work_off, asked)
        except RuntimeError:  # the thread was shut down, and with it the server
            self._running = False
            _cancel(batch)
            _cancel(self._waiting)
        else:
            working.add_done_callback(partial(self._deliver, batch))

    def _deliver(
        self,
        batch: list[tuple[A, asyncio.Future[R]]],
        working: "asyncio.Future[list[R | Exception]]",
    ) -> None:
        if working.cancelled():
            _cancel(batch)
        else:
            _resolve(batch, working.result())
        self._send()

    def _work_off(self, asked: Sequence[A]) -> list[R | Exception]:
        """Works for requests in their order, for those that are alike together."""
        alike: dict[Hashable, list[int]] = {}
        for place, each in enumerate(asked):
            alike.setdefault(self._kind(each), []).append(place)
        done: dict[int, R | Exception] = {}
        for places in alike.values():
            done |= zip(places, self._attempt([asked[place] for place in places]), strict=True)
        return [done[place] for place in range(len(asked))]

    def _attempt(self, asked: Sequence[A]) -> list[R | Exception]:
        """Works for those that are alike; none fails another."""
        try:
            return [*self._work(asked)]
        except Exception as error:  # noqa: BLE001  whose request it was answers for it
            if len(asked) == 1:
                return [error]
            return [self._attempt([each])[0] for each in asked]


def _resolve(batch: Sequence[tuple[A, asyncio.Future[R]]], done: Sequence[R | Exception]) -> None:
    for (_, future), each in zip(batch, done, strict=True):
        if future.done():
            continue
        if isinstance(each, Exception):
            future.set_exception(each)
        else:
            future.set_result(each)


def _cancel(waiting: Sequence[tuple[A, asyncio.Future[R]]]) -> None:
    for _, future in waiting:
        future.cancel()
