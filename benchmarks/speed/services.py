"""Compares the whole service with MLServer around the same parts, over TCP.

    make mlserver  # once: an environment of its own
    python -m benchmarks.speed.services

Both serve the same ONNX encoder, the same cosine router over it and the same kernel of the
estimator, with as many threads: MLServer (Seldon) runs them as a custom runtime
(`benchmarks/mlserver_runtime`), which imports our own `encoders` and `scoring`. What differs is
the service around them: V2 inference protocol, conversion, queue, batches. Without that
environment nothing is measured, and one figure, of Pointsman alone, says so.

Every text is another, so that a cache of vectors answers none of them. The load generator shares
the cores with the server, with either alike; logs of requests and metrics are off in both.
`ALTERNATIVES` are the ways to set MLServer up that were tried, and `BEST` is what counts: without
workers, in its loop (99, 105 and 103 replies a second at concurrency 1, 8 and 32). Batches of 8
have 61, 115 and 105, workers gain nothing on two cores, and batches padded to their longest text
halve what it can carry. `--tune` measures them all again.

The two servers are up at the same time and measured in turn, A B A B: the one that is not
measured waits. Throughput is of closed loops, at concurrency 1, 8 and 32. p99 is of an open loop,
requests at random times at a rate of 70 % of what MLServer can carry.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from benchmarks.mlserver_runtime.process import (
    ENVIRONMENT,
    INFER,
    MLServerProcess,
    Tuning,
    free_port,
    infer_request,
)
from benchmarks.speed import traffic
from benchmarks.speed.load import LoadResult, Plan, run_load
from benchmarks.speed.serving import our_server
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from encoders import cpu_limit
from evaluation.speed import Figure, Spread, Target
from pointsman.v1 import routing_service_pb2 as routing
from pointsman.v1 import scoring_service_pb2 as scoring

BEST = Tuning(parallel_workers=0, off_loop=False)
ALTERNATIVES = {
    "no workers, in the loop": BEST,
    "no workers, in a thread": Tuning(parallel_workers=0, off_loop=True),
    "no workers, batches of 8": Tuning(max_batch_size=8, max_batch_time=0.005),
    "no workers, batches of 32, padded": Tuning(
        max_batch_size=32, max_batch_time=0.005, encoder="plain"
    ),
    "one worker": Tuning(parallel_workers=1, off_loop=False),
    "one worker, batches of 8": Tuning(
        parallel_workers=1, off_loop=False, max_batch_size=8, max_batch_time=0.002
    ),
    "two workers": Tuning(parallel_workers=2, off_loop=False),
}
CONCURRENCIES = (1, 8, 32)
LOAD_SHARE = 0.7
AGAINST = "MLServer, the same encoder and kernel as a custom runtime"
_DEADLINE = 10.0
_REQUESTS = 8_000
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two: where it is, and what to send it."""

    target: str
    method: str
    requests: list[bytes]

    def load(self, plan: Plan) -> LoadResult:
        """Runs a load, every request of which must succeed.

        Raises:
            RuntimeError: Some did not.
        """
        result = run_load(self.target, self.method, self.requests, plan)
        if set(result.counts) != {"OK"}:
            raise RuntimeError(f"{self.method} answered {result.counts}")
        return result


@dataclass(slots=True)
class Rounds:
    """What both did, round by round: replies a second, and p99 in milliseconds."""

    rates: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    p99: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))


def measure(effort: Effort) -> list[Figure]:
    """Measures RoutePrompt, and ScoreGenerations of five answers."""
    with tempfile.TemporaryDirectory(prefix="pm-") as name, ExitStack() as stack:
        folder = Path(name)
        traffic.write_router(folder / "router")
        ours = stack.enter_context(pointsman(folder))
        if not (ENVIRONMENT / "bin" / "mlserver").exists():
            print("MLServer is not installed, so nothing is compared with it: make mlserver")
            return [alone(ours[0], effort)]
        theirs = stack.enter_context(mlserver(folder, "RouteRuntime", BEST))
        require_same_choice(ours[0], theirs)
        figures = routed(ours[0], theirs, effort)
        scored = stack.enter_context(mlserver(folder, "ScoreRuntime", BEST))
        require_same_best(ours[1], scored)
        return [*figures, *answers_scored(ours[1], scored, effort)]


@contextmanager
def pointsman(folder: Path) -> Iterator[tuple[Service, Service]]:
    """Runs our server on loopback; yields RoutePrompt and ScoreGenerations of it."""
    target = f"127.0.0.1:{free_port()}"
    settings: dict[str, object] = {
        "listen": target,
        "routers.main.directory": str(folder / "router"),
        "default_router": "main",
        "encoder.directory": str(folder / "router" / "encoder"),
        "log.requests": False,
        "cache.bytes": 0,
    }
    scores = traffic.score_text_requests(_REQUESTS // 4, estimator=scoring.ESTIMATOR_SINGLE)
    with our_server(settings):
        yield (
            Service(target, traffic.ROUTE, traffic.route_requests(_REQUESTS)),
            Service(target, traffic.SCORE, scores),
        )


@contextmanager
def mlserver(folder: Path, runtime: str, tuning: Tuning) -> Iterator[Service]:
    """Runs MLServer with one of our runtimes."""
    extra: dict[str, object] = {
        "directory": str(folder / "router" / "encoder"),
        "router": str(folder / "router"),
        "threads": max(1, cpu_limit() // max(1, tuning.parallel_workers)),
    }
    if runtime == "RouteRuntime":
        prompts = [routing.RoutePromptRequest.FromString(each).prompt.text for each in
                   traffic.route_requests(_REQUESTS)]  # fmt: skip
        requests = [infer_request("prompt", [each]) for each in prompts]
    else:
        requests = [infer_request("texts", each) for each in traffic.sixes(_REQUESTS // 4)]
    home = Path(tempfile.mkdtemp(dir=folder))
    with MLServerProcess(home, runtime, tuning, extra) as process:
        yield Service(process.target, INFER, requests)


def routed(ours: Service, theirs: Service, effort: Effort) -> list[Figure]:
    """Compares RoutePrompt: throughput by concurrency, and p99 at a rate that both can carry."""
    figures, best = [], 0.0
    for concurrency in CONCURRENCIES:
        found = closed(ours, theirs, concurrency, effort)
        best = max(best, Spread.of(found.rates[1]).median)
        what = f"RoutePrompt at concurrency {concurrency}"
        figures.append(throughput(f"route-{concurrency}", what, found))
    rate, found = LOAD_SHARE * best, Rounds()
    for _ in range(effort.repeats(_ROUNDS)):
        for service, into in zip((ours, theirs), found.p99, strict=True):
            seconds = 2.0 if effort.quick else 4.0
            result = service.load(Plan(seconds, 0.5, deadline=_DEADLINE, rate=rate))
            into.append(1e3 * result.latency().percentile(99))
    note = f"Poisson arrivals, {rate:.0f} a second: 70 % of the best throughput of MLServer."
    figures.append(tail("route-open", "RoutePrompt, open loop", found, note))
    return figures


def answers_scored(ours: Service, theirs: Service, effort: Effort) -> list[Figure]:
    """Compares ScoreGenerations: a prompt and five answers, estimated alone."""
    found = closed(ours, theirs, 8, effort)
    what = "ScoreGenerations of five texts at concurrency 8"
    return [throughput("score-8", what, found), tail("score-8", what, found, "")]


def closed(ours: Service, theirs: Service, concurrency: int, effort: Effort) -> Rounds:
    """Runs closed loops in turn, A B A B."""
    found = Rounds()
    plan = Plan(1.0 if effort.quick else 1.5, 0.3, deadline=_DEADLINE, concurrency=concurrency)
    for _ in range(effort.repeats(_ROUNDS)):
        for place, service in enumerate((ours, theirs)):
            result = service.load(plan)
            found.rates[place].append(result.goodput)
            found.p99[place].append(1e3 * result.latency().percentile(99))
    return found


def throughput(name: str, what: str, found: Rounds) -> Figure:
    """Makes a figure of replies a second."""
    return Figure.paired(
        f"services/{name}-throughput/mlserver",
        f"{what}: replies a second",
        "1/s",
        found.rates[0],
        AGAINST,
        found.rates[1],
        target=Target("at least", 1.5),
    )


def tail(name: str, what: str, found: Rounds, note: str) -> Figure:
    """Makes a figure of the 99th percentile."""
    return Figure.paired(
        f"services/{name}-p99/mlserver",
        f"{what}: p99",
        "ms",
        found.p99[0],
        AGAINST,
        found.p99[1],
        target=Target("at most", 0.5),
        note=note,
    )


def alone(ours: Service, effort: Effort) -> Figure:
    """Measures our own throughput, where there is nothing to compare it with."""
    plan = Plan(1.0 if effort.quick else 2.0, 0.3, deadline=_DEADLINE, concurrency=8)
    rates = [ours.load(plan).goodput for _ in range(effort.repeats(5))]
    return Figure(
        "services/route-8-throughput",
        "RoutePrompt at concurrency 8: replies a second",
        "1/s",
        Spread.of(rates),
        note="MLServer is not installed (make mlserver), so this is compared with nothing.",
    )


def require_same_choice(ours: Service, theirs: Service) -> None:
    """Refuses to compare services that choose otherwise: one would not do the same work."""
    for number in range(20):
        reply = routing.RoutePromptResponse.FromString(call(ours, number))
        assert reply.model.encode() in call(theirs, number)


def require_same_best(ours: Service, theirs: Service) -> None:
    """Refuses to compare services that rank otherwise."""
    for number in range(5):
        reply = scoring.ScoreGenerationsResponse.FromString(call(ours, number))
        # The output "best": INT64, its one element in field 3 of InferTensorContents.
        assert bytes((0x1A, 1, reply.best_index)) in call(theirs, number)


def call(service: Service, number: int) -> bytes:
    """Sends one request, and returns the reply."""
    with grpc.insecure_channel(service.target) as channel:
        unary: Any = channel.unary_unary(service.method, request_serializer=None)
        return bytes(unary(service.requests[number], timeout=_DEADLINE))


def tune(effort: Effort) -> None:
    """Prints what MLServer does in each of the ways that it was tried in."""
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        folder = Path(name)
        traffic.write_router(folder / "router")
        for label, tuning in ALTERNATIVES.items():
            with mlserver(folder, "RouteRuntime", tuning) as theirs:
                for concurrency in CONCURRENCIES:
                    seconds = 2.0 if effort.quick else 5.0
                    plan = Plan(seconds, 0.5, deadline=_DEADLINE, concurrency=concurrency)
                    found = theirs.load(plan)
                    p99 = 1e3 * found.latency().percentile(99)
                    print(f"{label}, {concurrency} callers: {found.goodput:.0f}/s, {p99:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--tune", action="store_true")
    options, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    if options.tune:
        tune(Effort(quick="--quick" in rest))
    else:
        run_alone(measure)
