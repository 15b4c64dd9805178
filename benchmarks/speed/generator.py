"""Sends requests, at times drawn in advance or as fast as they are answered."""

import asyncio
import gc
import resource
import selectors
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.ledger import NOT_SENT, OK, Ledger, LoadResult, closed_result, open_result

Call = Callable[[bytes, float], Coroutine[Any, Any, int]]
"""Sends a message with a timeout in seconds, and returns the status code of the reply."""

_CONNECT_SECONDS = 30.0
# Of a run that was stopped while it warmed up: its rates are 0, not undefined.
_LEAST_SECONDS = 1e-9
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A load.

    Attributes:
        seconds: For which it counts, after the warm-up.
        warm_up: Seconds of the same load before, which do not count.
        deadline: Of each request, in seconds from when it is due.
        rate: Requests a second in an open loop.
        concurrency: Requests under way at any time in a closed loop; 0 for an open one.
        arrivals: Whether an open loop's requests are due at random, or evenly.
        connections: Over which requests go in turn.
        seed: Of the times at random.
    """

    seconds: float
    warm_up: float = 1.0
    deadline: float = 1.0
    rate: float = 100.0
    concurrency: int = 0
    arrivals: Literal["poisson", "constant"] = "poisson"
    connections: int = 1
    seed: int = 0


def arrival_times(plan: Plan) -> NDArray[np.float64]:
    """Draws when requests are due, in seconds from the begin of the warm-up, ascending (n,)."""
    whole = plan.warm_up + plan.seconds
    if plan.arrivals == "constant":
        return np.arange(int(np.ceil(whole * plan.rate))) / plan.rate
    generator = np.random.default_rng(plan.seed)
    # Given how many they are, the times of a Poisson process are uniform.
    return np.sort(generator.random(generator.poisson(whole * plan.rate)) * whole)


def new_loop() -> asyncio.AbstractEventLoop:
    """Returns a loop that wakes up when asked to: epoll would round up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def generate(
    target: str, method: str, messages: Sequence[bytes], plan: Plan, stop: asyncio.Event
) -> LoadResult:
    """Connects, sends what the plan says, and sums up; `stop` ends it early.

    Raises:
        TimeoutError: A connection could not be made.
    """
    channels = [
        grpc.aio.insecure_channel(target, options=_OPTIONS) for _ in range(plan.connections)
    ]
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.gather(*(each.channel_ready() for each in channels))
        return await load([caller(each, method) for each in channels], messages, plan, stop)
    finally:
        await asyncio.gather(*(each.close() for each in channels))


async def load(
    calls: Sequence[Call], messages: Sequence[bytes], plan: Plan, stop: asyncio.Event
) -> LoadResult:
    """Sends what the plan says by these calls in turn, and sums up; `stop` ends it early."""
    ledger = Ledger()
    # What lives now lives on: no collection looks at it again.
    gc.collect()
    gc.freeze()
    clock = Clock(plan)
    send = closed_loop if plan.concurrency else open_loop
    try:
        interrupted = await _run_until(stop, send(calls, messages, plan, clock, ledger))
    finally:
        gc.unfreeze()
    window, cpu_seconds = clock.close()
    if plan.concurrency:
        result = closed_result(ledger.rows(), window, plan.deadline, cpu_seconds)
    else:
        dues = arrival_times(plan) + clock.began
        offered = int(((dues >= window[0]) & (dues < window[1])).sum())
        result = open_result(ledger.rows(), offered, window, plan.deadline, cpu_seconds)
    return replace(result, interrupted=interrupted)


def caller(channel: grpc.aio.Channel, method: str) -> Call:
    """Returns what calls a method with bytes; a failure is a status code like any other."""
    unary: Any = channel.unary_unary(method, request_serializer=None, response_deserializer=None)

    async def call(message: bytes, timeout: float) -> int:  # noqa: ASYNC109 — gRPC's own
        try:
            await unary(message, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return int(error.code().value[0])
        return OK

    return call


async def open_loop(
    calls: Sequence[Call], messages: Sequence[bytes], plan: Plan, clock: "Clock", ledger: Ledger
) -> None:
    """Sends each request when it is due, whatever became of those before it.

    A request counts from when it was due. One whose deadline has passed when its turn comes, for
    the generator could not keep up, is taken down as not sent.
    """

    async def send(number: int, due: float) -> None:
        sent = time.perf_counter()
        left = due + plan.deadline - sent
        if left <= 0:
            ledger.add(due, sent, sent, NOT_SENT)
            return
        code = await calls[number % len(calls)](messages[number % len(messages)], left)
        ledger.add(due, sent, time.perf_counter(), code)

    async with asyncio.TaskGroup() as group:
        for number, due in enumerate((arrival_times(plan) + clock.began).tolist()):
            await _sleep_until(due)
            clock.look(due)
            group.create_task(send(number, due))
        await _sleep_until(clock.ends)
        clock.close()


async def closed_loop(
    calls: Sequence[Call], messages: Sequence[bytes], plan: Plan, clock: "Clock", ledger: Ledger
) -> None:
    """Keeps so many requests under way; each counts from when it was sent."""

    async def work(number: int) -> None:
        turn = number
        while (sent := time.perf_counter()) < clock.ends:
            clock.look(sent)
            code = await calls[number % len(calls)](messages[turn % len(messages)], plan.deadline)
            ledger.add(sent, sent, time.perf_counter(), code)
            turn += plan.concurrency

    async with asyncio.TaskGroup() as group:
        for number in range(plan.concurrency):
            group.create_task(work(number))


class Clock:
    """When requests count, and what CPU time was at its begin and at its end."""

    def __init__(self, plan: Plan) -> None:
        self.began = time.perf_counter()
        self.begins = self.began + plan.warm_up
        self.ends = self.begins + plan.seconds
        self._cpu_at_begin = _cpu_seconds() if plan.warm_up == 0 else None
        self._closed: tuple[tuple[float, float], float] | None = None

    def look(self, now: float) -> None:
        """Reads the CPU time when the first request that counts is sent."""
        if self._cpu_at_begin is None and now >= self.begins:
            self._cpu_at_begin = _cpu_seconds()

    def close(self) -> tuple[tuple[float, float], float]:
        """Returns the window that counts, and CPU seconds within it, as at the first call."""
        if self._closed is None:
            end = max(min(self.ends, time.perf_counter()), self.begins + _LEAST_SECONDS)
            used = 0.0 if self._cpu_at_begin is None else _cpu_seconds() - self._cpu_at_begin
            self._closed = (self.begins, end), used
        return self._closed


async def _run_until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Runs work to its end, or until it is stopped; returns whether it was."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return False
        return True
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait((working, stopping))


async def _sleep_until(due: float) -> None:
    left = due - time.perf_counter()
    if left > 0:
        await asyncio.sleep(left)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
