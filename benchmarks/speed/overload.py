"""What comes of five times the load that a server can carry.

    python -m benchmarks.speed.overload [--quick]

First the most that the server can do, in a closed loop with thirty-two requests under way. Then an
open loop at five times that rate, with a deadline of a second: requests are due whether the server
answers or not, and time in the generator's own queue counts. Goodput is what ended well within
its deadline. The prompts, of 8 to 128 tokens, are all different. The load generator is a process of
its own, kept to the last core. The server has every core, and so waits for the generator and takes
from it; and then, for the figures that are `apart`, every core but that one.

Last, vectors to be scored against 100,000 samples, where the event loop is the limit and the
generator sends no more than twice what the server can do.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.speed import traffic
from benchmarks.speed.load import LoadResult, Plan, run_load
from benchmarks.speed.memory import SAMPLES, made_vectors, prepared_state
from benchmarks.speed.serving import Served, our_server
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure, Spread, Target

TIMES = 5
DEADLINE = 1.0
_GENERATOR_CPU = max(os.sched_getaffinity(0))


def measure(effort: Effort) -> list[Figure]:
    """Measures goodput, and how soon the others are refused."""
    apart = os.sched_getaffinity(0) - {_GENERATOR_CPU}
    figures = _measured(effort, "overload", "", ())
    if apart:
        figures += _measured(
            effort, "overload-apart", ", the generator on a core of its own", apart
        )
    return [*figures, vectors(effort)]


def vectors(effort: Effort) -> Figure:
    """Measures the goodput of ScoreGenerations of vectors at twice the best throughput."""
    messages = traffic.score_vector_requests(400, seed=1, prompts=made_vectors(SAMPLES)[1])
    with tempfile.TemporaryDirectory() as folder:
        state = prepared_state(Path(folder) / "state", SAMPLES // 10 if effort.quick else SAMPLES)
        with our_server(state=state) as served:
            best, loaded = _in_turn(served, traffic.SCORE, lambda _: messages, 2, effort)
    late = sum(each.counts.get("DEADLINE_EXCEEDED", 0) for each in loaded)
    share = 100 * float(np.median([each.cpu_share for each in loaded]))
    return Figure.paired(
        "overload-vectors/goodput/best",
        f"goodput of vectors at twice the best throughput, deadlines of {DEADLINE:g} s", "1/s",
        [each.goodput for each in loaded], "its own best throughput, thirty-two at a time",
        [each.goodput for each in best], target=Target("at least", 0.9),
        note=f"{late} calls were late. The load generator took {share:.0f} % of a core, beside "
        f"the best {100 * float(np.median([each.cpu_share for each in best])):.0f} %.",
    )  # fmt: skip


def _measured(effort: Effort, name: str, where: str, cpus: Iterable[int]) -> list[Figure]:
    def messages(load: int) -> list[bytes]:
        return traffic.route_requests(20_000, seed=load)

    with tempfile.TemporaryDirectory() as folder:
        router = Path(folder) / "router"
        traffic.write_router(router)
        settings: dict[str, object] = {"routers.main.directory": str(router)}
        with our_server(settings, cpus=cpus) as served:
            best, loaded = _in_turn(served, traffic.ROUTE, messages, TIMES, effort)
    return _figures(name, where, best, loaded)


def _in_turn(
    served: Served,
    method: str,
    messages: Callable[[int], Sequence[bytes]],
    times: int,
    effort: Effort,
) -> tuple[list[LoadResult], list[LoadResult]]:
    """The most that the server can do, and what comes of so many times that, over and over.

    `messages` makes those of a load by its number.
    """
    seconds = 1.0 if effort.quick else 4.0
    best: list[LoadResult] = []
    loaded: list[LoadResult] = []
    for load in range(2 * effort.repeats(4)):
        plan = _plan(seconds, times * best[-1].goodput if load % 2 else 0.0)
        result = run_load(served.target, method, messages(load), plan, cpu=_GENERATOR_CPU)
        (loaded if load % 2 else best).append(result)
    return best, loaded


def _plan(seconds: float, rate: float) -> Plan:
    if rate:
        return Plan(seconds, warm_up=1.0, deadline=DEADLINE, rate=rate, connections=4)
    return Plan(seconds, warm_up=0.5, deadline=30.0, concurrency=32)


def _figures(
    name: str, where: str, best: list[LoadResult], loaded: list[LoadResult]
) -> list[Figure]:
    what = f"at {TIMES} times the best throughput, deadlines of {DEADLINE:g} s{where}"
    refused = [each.latency("RESOURCE_EXHAUSTED") for each in loaded]
    share = 100 * float(np.median([each.cpu_share for each in loaded]))
    late = [each.counts.get("DEADLINE_EXCEEDED", 0) / max(_accepted(each), 1) for each in loaded]
    unsent = sum(each.counts.get("NOT_SENT", 0) for each in loaded)
    return [
        Figure.paired(
            f"{name}/goodput/best", f"goodput {what}", "1/s",
            [each.goodput for each in loaded], "its own best throughput, thirty-two at a time",
            [each.goodput for each in best], target=Target("at least", 0.9),
            note=f"The load generator took {share:.0f} % of a core; {unsent} requests were not "
            "sent in time. More short prompts are accepted than were offered, for they need less "
            "of the second, so that goodput may be above the best of the whole mix.",
        ),
        Figure(
            f"{name}/accepted-late", f"accepted calls that missed their deadline, {what}", "%",
            Spread.of([100 * each for each in late]), target=Target("at most", 0.0),
        ),
        Figure(
            f"{name}/refusal-p50", f"time to a refusal {what}, p50", "ms",
            Spread.of([1e3 * each.percentile(50) for each in refused]),
            target=Target("at most", 10.0),
        ),
        Figure(
            f"{name}/refusal-p99", f"time to a refusal {what}, p99", "ms",
            Spread.of([1e3 * each.percentile(99) for each in refused]),
            target=Target("at most", 10.0),
        ),
    ]  # fmt: skip


def _accepted(result: LoadResult) -> int:
    return sum(result.counts.get(code, 0) for code in ("OK", "DEADLINE_EXCEEDED"))


if __name__ == "__main__":
    run_alone(measure)
