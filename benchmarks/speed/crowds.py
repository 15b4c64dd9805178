"""What it gains that callers who come together are served together.

    python -m benchmarks.speed.crowds [--quick] [--json FILE]

It is not of the suite: its references are servers of ours.

- `crowds/int8-N`: ScoreGenerations of a prompt and five answers in int8, N callers. Where several
  texts are encoded each has a core; the reference gives every text all of them, one text after the
  other (`encoder.batches` 1).
- `crowds/pool-N`: RoutePrompt by vectors, by a router over a pool of 100,000 samples, N callers.
  The reference is one caller, whose prompts the same server searches for one by one.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed import traffic
from benchmarks.speed.load import Plan, run_load
from benchmarks.speed.memory import QUICK_SAMPLES, SAMPLES, made_vectors, prepared_state
from benchmarks.speed.serving import Served, our_server
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure

_INT8_CALLERS = (1, 8, 32)
_POOL_CALLERS = (8, 32)
_ROUTER = "free"


def measure(effort: Effort) -> list[Figure]:
    """Measures replies a second."""
    return [*_int8(effort), *_pool(effort)]


def _int8(effort: Effort) -> list[Figure]:
    settings: dict[str, object] = {"encoder.precision": "int8-dynamic"}
    rounds = [traffic.score_text_requests(400, seed=seed) for seed in range(effort.repeats(5))]
    figures = []
    with our_server(settings) as shared, our_server(settings | {"encoder.batches": 1}) as single:
        for callers in _INT8_CALLERS:
            sides = [(shared, callers), (single, callers)]
            ours, theirs = _in_turn(traffic.SCORE, rounds, sides, effort)
            what = f"ScoreGenerations of five texts in int8, {callers} at a time"
            against = "one text after the other, on all cores"
            figures.append(
                Figure.paired(f"crowds/int8-{callers}", what, "1/s", ours, against, theirs)
            )
    return figures


def _pool(effort: Effort) -> list[Figure]:
    samples = QUICK_SAMPLES if effort.quick else SAMPLES
    messages = traffic.route_vector_requests(made_vectors(samples)[1], _ROUTER)
    settings = {f"routers.{_ROUTER}.kind": "smoothie", f"routers.{_ROUTER}.pool": traffic.POOL}
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        state = prepared_state(Path(folder) / "state", samples)
        with our_server(settings, state=state) as served:
            for callers in _POOL_CALLERS:
                sides = [(served, callers), (served, 1)]
                ours, theirs = _in_turn(
                    traffic.ROUTE, [messages] * effort.repeats(5), sides, effort
                )
                what = f"RoutePrompt over a pool of {samples:,}, {callers} at a time"
                figures.append(
                    Figure.paired(
                        f"crowds/pool-{callers}", what, "1/s", ours, "one at a time", theirs
                    )
                )
    return figures


def _in_turn(
    method: str,
    rounds: Sequence[Sequence[bytes]],
    sides: Sequence[tuple[Served, int]],
    effort: Effort,
) -> list[list[float]]:
    """Replies a second of servers under so many callers, round by round, for each of them."""
    seconds = 0.5 if effort.quick else 2.0
    found: list[list[float]] = [[] for _ in sides]
    for messages in rounds:
        for (served, callers), rates in zip(sides, found, strict=True):
            plan = Plan(seconds, warm_up=0.5, deadline=30.0, concurrency=callers)
            rates.append(run_load(served.target, method, messages, plan).goodput)
    return found


if __name__ == "__main__":
    run_alone(measure)
