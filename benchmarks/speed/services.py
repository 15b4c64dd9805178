"""Compares the whole service with MLServer around the same parts, over TCP.

    make mlserver  # once: an environment of its own
    python -m benchmarks.speed.services [--quick]

Both serve the same ONNX encoder, the same cosine router over it and the same kernel of the
estimator, with as many threads: MLServer (Seldon) runs them as a custom runtime
(`benchmarks/mlserver_runtime`), which imports our own `encoders` and `scoring`, set up in the way
that was found to be its best (`benchmarks.speed.mlserver`). What differs is the service around
them: V2 inference protocol, conversion, queue, batches. Without that environment nothing is
measured, and one figure, of Pointsman alone, says so.

The servers are up at the same time and measured in turn, A B A B: those that are not measured
wait. The load generator shares the cores with the server, with any alike; logs of requests and
metrics are off in all. Throughput is of closed loops. Latency is of open loops: requests at random
times, at 70 % of the best rate that MLServer has with such requests.

- Every text is another, and our cache of vectors is off: RoutePrompt at concurrency 1, 8 and 32
  and in an open loop, and ScoreGenerations of a prompt and five texts. All the arithmetic is the
  encoder's, and the same; the limit of the open loop is that of a server which does nothing else,
  on the same arrivals, one text after the other. A round of five texts has too few replies for a
  percentile: all rounds count as one.
- ScoreGenerations of five vectors: no text, so no encoder.
- RoutePrompt where half of the prompts are of 200 popular ones, by Zipf's law, and the others new:
  our cache as it is by default. MLServer has none.
"""

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mlserver_runtime.messages import text_request, vector_request
from benchmarks.mlserver_runtime.process import INFER, free_port
from benchmarks.speed import traffic
from benchmarks.speed.ideal import encode_seconds, ideal_latencies
from benchmarks.speed.load import Plan
from benchmarks.speed.mlserver import BEST_FORM, installed, mlserver, route_requests
from benchmarks.speed.paired import (
    AGAINST,
    DEADLINE,
    ROUNDS,
    Rounds,
    Service,
    closed,
    opened,
    tail,
    throughput,
)
from benchmarks.speed.serving import our_server
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure, Spread
from pointsman.v1 import routing_service_pb2 as routing
from pointsman.v1 import scoring_service_pb2 as scoring
from pointsman.v1 import types_pb2 as types

CONCURRENCIES = (1, 8, 32)
LOAD_SHARE = 0.7
POPULAR = 200
_REQUESTS = 8_000


def measure(effort: Effort) -> list[Figure]:
    """Measures RoutePrompt and ScoreGenerations, of texts and of vectors, and repeated prompts."""
    with tempfile.TemporaryDirectory(prefix="pm-") as name, ExitStack() as stack:
        folder = Path(name)
        traffic.write_router(folder / "router")
        target = stack.enter_context(pointsman(folder, {"cache.bytes": 0}))
        prompts = list(islice(traffic.texts(seed=0), _REQUESTS))
        ours = our_route(target, prompts)
        if not installed():
            print("MLServer is not installed, so nothing is compared with it: make mlserver")
            return [alone(ours, effort)]
        theirs = stack.enter_context(mlserver(folder, "RouteRuntime", route_requests(prompts)))
        require_same_choice(ours, theirs)
        return [
            *routed(ours, theirs, prompts, folder, effort),
            *texts_scored(target, folder, effort),
            *vectors_scored(target, folder, effort),
            *repeated(theirs.target, folder, effort),
        ]


@contextmanager
def pointsman(folder: Path, settings: dict[str, object]) -> Iterator[str]:
    """Runs our server on loopback with the router of a folder; yields where it listens."""
    target = f"127.0.0.1:{free_port()}"
    common: dict[str, object] = {
        "listen": target,
        "routers.main.directory": str(folder / "router"),
        "default_router": "main",
        "encoder.directory": str(folder / "router" / "encoder"),
        "log.requests": False,
    }
    with our_server({**common, **settings}):
        yield target


def our_route(target: str, prompts: list[str]) -> Service:
    """Makes requests to RoutePrompt."""
    messages = [routing.RoutePromptRequest(prompt=types.Prompt(text=each)) for each in prompts]
    return Service(target, traffic.ROUTE, [each.SerializeToString() for each in messages])


def routed(
    ours: Service, theirs: Service, prompts: list[str], folder: Path, effort: Effort
) -> Iterator[Figure]:
    """Compares RoutePrompt: throughput by concurrency, and p99 at a rate that both can carry."""
    best = 0.0
    for concurrency in CONCURRENCIES:
        found = closed(ours, theirs, concurrency, effort)
        best = max(best, Spread.of(found.rates[1]).median)
        what = f"RoutePrompt at concurrency {concurrency}"
        yield throughput(f"route-{concurrency}", what, found)
    rate = LOAD_SHARE * best
    found, plans = opened(ours, theirs, rate, effort)
    yield tail("route-open", "RoutePrompt, open loop", found, arriving(rate))
    yield limit(found, plans, prompts, folder)


def limit(found: Rounds, plans: list[Plan], prompts: list[str], folder: Path) -> Figure:
    """Says what a server that does nothing but encode would reach on the same arrivals."""
    seconds = encode_seconds(folder / "router" / "encoder", prompts[:500])
    ideal = [1e3 * np.percentile(ideal_latencies(plan, seconds), 99) for plan in plans]
    return Figure.paired(
        "services/route-open-limit/mlserver",
        "The encoder alone, first come first served, on the same arrivals: p99",
        "ms",
        ideal,
        AGAINST,
        found.p99(1),
        note="Simulated from the time that each text takes by itself. Where all the arithmetic is "
        "the same, no server comes far below it.",
    )


def arriving(rate: float) -> str:
    """Says how the requests of an open loop come."""
    return f"Poisson arrivals, {rate:.0f} a second: 70 % of the best throughput of MLServer."


def texts_scored(target: str, folder: Path, effort: Effort) -> list[Figure]:
    """Compares ScoreGenerations: a prompt and five answers, estimated alone."""
    count = _REQUESTS // 4
    messages = traffic.score_text_requests(count, estimator=scoring.ESTIMATOR_SINGLE)
    sent = [text_request("texts", each) for each in traffic.sixes(count)]
    with mlserver(folder, "ScoreRuntime", sent) as theirs:
        ours = Service(target, traffic.SCORE, messages)
        require_same_best(ours, theirs)
        found, in_open, rate = both_loops(ours, theirs, effort)
    what, pooled = "ScoreGenerations of five texts", in_open.together()
    counts = " and ".join(str(each.count) for (each,) in pooled.latencies)
    return [
        throughput("score-8", f"{what} at concurrency 8", found),
        tail("score-open", f"{what}, open loop", pooled, f"{arriving(rate)} Of {counts} replies."),
    ]


def both_loops(ours: Service, theirs: Service, effort: Effort) -> tuple[Rounds, Rounds, float]:
    """Loads both in closed loops of eight, and in open ones; returns these, and their rate."""
    found = closed(ours, theirs, 8, effort)
    rate = LOAD_SHARE * Spread.of(found.rates[1]).median
    in_open, _ = opened(ours, theirs, rate, effort, first=effort.repeats(ROUNDS))
    return found, in_open, rate


def vectors_scored(target: str, folder: Path, effort: Effort) -> list[Figure]:
    """Compares ScoreGenerations of five vectors, estimated alone."""
    messages = [as_single(each) for each in traffic.score_vector_requests(_REQUESTS // 4)]
    sent = [vector_request("vectors", answers_of(each), BEST_FORM) for each in messages]
    with mlserver(folder, "VectorRuntime", sent) as theirs:
        ours = Service(target, traffic.SCORE, [each.SerializeToString() for each in messages])
        require_same_best(ours, theirs)
        found, in_open, rate = both_loops(ours, theirs, effort)
    what = "ScoreGenerations of five vectors"
    note = "MLServer is sent the vectors as bytes in one element, and not that of the prompt."
    return [
        throughput("vectors-8", f"{what} at concurrency 8", found, note),
        tail("vectors-open", f"{what}, open loop", in_open, f"{note} {arriving(rate)}"),
    ]


def as_single(message: bytes) -> scoring.ScoreGenerationsRequest:
    """Asks for an estimate of the one prompt alone."""
    request = scoring.ScoreGenerationsRequest.FromString(message)
    request.estimator = scoring.ESTIMATOR_SINGLE
    return request


def answers_of(request: scoring.ScoreGenerationsRequest) -> NDArray[np.float32]:
    """Returns the vectors (K, d) of the answers."""
    return np.stack([np.frombuffer(g.vector.float32_le, "<f4") for g in request.generations])


def repeated(their_target: str, folder: Path, effort: Effort) -> list[Figure]:
    """Compares RoutePrompt where half of the prompts are popular ones."""
    prompts = half_popular(_REQUESTS)
    with pointsman(folder, {}) as target:
        ours = our_route(target, prompts)
        theirs = Service(their_target, INFER, route_requests(prompts))
        found, in_open, rate = both_loops(ours, theirs, effort)
    what = f"RoutePrompt, half of the prompts of {POPULAR} popular ones"
    note = "Our cache of vectors is on, as by default; MLServer has none."
    return [
        throughput("repeated-8", f"{what}, at concurrency 8", found, note),
        tail("repeated-open", f"{what}, open loop", in_open, f"{note} {arriving(rate)}"),
    ]


def half_popular(count: int) -> list[str]:
    """Makes prompts: each with even chances a new one, or a popular one, the r-th by 1/r."""
    draws = random.Random(1)  # noqa: S311 — no secret
    new, popular = traffic.texts(seed=1), list(islice(traffic.texts(seed=2), POPULAR))
    weights = [1 / rank for rank in range(1, POPULAR + 1)]
    often = draws.choices(popular, weights, k=count)
    return [next(new) if draws.random() < 0.5 else each for each in often]


def alone(ours: Service, effort: Effort) -> Figure:
    """Measures our own throughput, where there is nothing to compare it with."""
    plan = Plan(1.0 if effort.quick else 2.0, 0.3, deadline=DEADLINE, concurrency=8)
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
        reply = routing.RoutePromptResponse.FromString(ours.call(number))
        assert reply.model.encode() in theirs.call(number)


def require_same_best(ours: Service, theirs: Service) -> None:
    """Refuses to compare services that rank otherwise."""
    for number in range(5):
        reply = scoring.ScoreGenerationsResponse.FromString(ours.call(number))
        # The output "best": INT64, its one element in field 3 of InferTensorContents.
        assert bytes((0x1A, 1, reply.best_index)) in theirs.call(number)


if __name__ == "__main__":
    run_alone(measure)
