"""Two services that do the same, measured in turn, A B A B.

Replies a second are of closed loops, and latencies of open ones: a caller that waits for each
reply sends nothing while a server stands still, and the stall counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import grpc

from benchmarks.speed.histogram import Histogram
from benchmarks.speed.load import LoadResult, Plan, run_load
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure, Target

AGAINST = "MLServer, the same encoder and kernel as a custom runtime"
DEADLINE = 10.0
ROUNDS = 3
# Of a round, where they fit into the longest one: three are beyond p99.
_REPLIES = 300
_SHORTEST, _LONGEST = 1.0, 5.0
_STRIDE = 1_300


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two: where it is, and what to send it."""

    target: str
    method: str
    requests: list[bytes]

    def load(self, plan: Plan, number: int = 0) -> LoadResult:
        """Runs a load, every request of which must succeed.

        Args:
            plan: The load.
            number: Of loads so far; each has requests of its own, so that none warms a cache for
                the next.

        Raises:
            RuntimeError: Some did not succeed.
        """
        start = number * _STRIDE % len(self.requests)
        requests = self.requests[start:] + self.requests[:start]
        result = run_load(self.target, self.method, requests, plan)
        if set(result.counts) != {"OK"}:
            raise RuntimeError(f"{self.method} answered {result.counts}")
        return result

    def call(self, number: int) -> bytes:
        """Sends one request, and returns the reply."""
        with grpc.insecure_channel(self.target) as channel:
            unary: Any = channel.unary_unary(self.method, request_serializer=None)
            return bytes(unary(self.requests[number], timeout=DEADLINE))


@dataclass(slots=True)
class Rounds:
    """What both did, round by round: replies a second, and latencies."""

    rates: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    latencies: tuple[list[Histogram], list[Histogram]] = field(default_factory=lambda: ([], []))

    def p99(self, place: int) -> list[float]:
        """Milliseconds by round of ours (0) or theirs (1)."""
        return [1e3 * each.percentile(99) for each in self.latencies[place]]

    def together(self) -> "Rounds":
        """The same as one round: for p99 where a round has too few replies."""
        ours, theirs = (reduce(Histogram.merged, each) for each in self.latencies)
        return Rounds(self.rates, ([ours], [theirs]))


def closed(ours: Service, theirs: Service, concurrency: int, effort: Effort) -> Rounds:
    """Keeps so many requests under way at each."""
    plan = Plan(1.0, 0.2, deadline=DEADLINE, concurrency=concurrency)
    return in_rounds(ours, theirs, lambda _: plan, effort)


def opened(
    ours: Service, theirs: Service, rate: float, effort: Effort, first: int = 0
) -> tuple[Rounds, list[Plan]]:
    """Sends each requests at the same random times, other ones in every round.

    Args:
        ours: The one.
        theirs: The other.
        rate: Requests a second.
        effort: How thoroughly to measure.
        first: Loads that there were before, as in `Service.load`.
    """
    seconds = min(max(_SHORTEST, _REPLIES / rate), _LONGEST) / (2 if effort.quick else 1)
    plan = Plan(seconds, 0.3, deadline=DEADLINE, rate=rate)
    plans = [replace(plan, seed=number) for number in range(effort.repeats(ROUNDS))]
    return in_rounds(ours, theirs, plans.__getitem__, effort, first), plans


def in_rounds(
    ours: Service,
    theirs: Service,
    plan: Callable[[int], Plan],
    effort: Effort,
    first: int = 0,
) -> Rounds:
    """Runs a load for each round, at one service after the other."""
    found = Rounds()
    for number in range(effort.repeats(ROUNDS)):
        for place, service in enumerate((ours, theirs)):
            result = service.load(plan(number), first + number)
            found.rates[place].append(result.goodput)
            found.latencies[place].append(result.latency())
    return found


def throughput(name: str, what: str, found: Rounds, note: str = "") -> Figure:
    """Makes a figure of replies a second."""
    name, what = f"{name}-throughput", f"{what}: replies a second"
    return _compared(name, what, "1/s", *found.rates, Target("at least", 1.5), note)


def tail(name: str, what: str, found: Rounds, note: str = "") -> Figure:
    """Makes a figure of the 99th percentile."""
    target = Target("at most", 0.5)
    ours, theirs = found.p99(0), found.p99(1)
    return _compared(f"{name}-p99", f"{what}: p99", "ms", ours, theirs, target, note)


def _compared(
    name: str,
    what: str,
    unit: str,
    ours: list[float],
    theirs: list[float],
    target: Target,
    note: str,
) -> Figure:
    name = f"services/{name}/mlserver"
    return Figure.paired(name, what, unit, ours, AGAINST, theirs, target=target, note=note)
