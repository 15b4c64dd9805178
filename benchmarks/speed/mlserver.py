"""MLServer around the same parts, and the ways to set it up that were tried.

    make mlserver  # once: an environment of its own
    python -m benchmarks.speed.mlserver [--quick]  # measures all of them

`BEST` is what counts in `benchmarks.speed.services`: without workers, in its loop (99, 105 and 103
replies a second of RouteRuntime at concurrency 1, 8 and 32). Batches of 8 have 61, 115 and 105,
workers gain nothing on two cores, and batches padded to their longest text halve what it can
carry. Vectors travel as `BEST_FORM`: as one BYTES element, for MLServer makes a list of Python
numbers of an FP32 tensor, whichever field it is in.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.mlserver_runtime.messages import Form, text_request, vector_request
from benchmarks.mlserver_runtime.process import ENVIRONMENT, INFER, MLServerProcess, Tuning
from benchmarks.speed import traffic
from benchmarks.speed.load import Plan
from benchmarks.speed.paired import DEADLINE, Service
from benchmarks.speed.timing import Effort
from encoders import cpu_limit

BEST = Tuning(parallel_workers=0, off_loop=False)
BEST_FORM: Form = "bytes"
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


def installed() -> bool:
    """Whether MLServer is where `make mlserver` puts it."""
    return (ENVIRONMENT / "bin" / "mlserver").exists()


@contextmanager
def mlserver(
    folder: Path, runtime: str, requests: list[bytes], tuning: Tuning = BEST
) -> Iterator[Service]:
    """Runs MLServer with one of our runtimes until the context is left.

    Args:
        folder: Has a router, in `router`.
        runtime: A class of `benchmarks.mlserver_runtime.runtime`, by name.
        requests: To send to it.
        tuning: How it is set up.
    """
    extra: dict[str, object] = {
        "directory": str(folder / "router" / "encoder"),
        "router": str(folder / "router"),
        "threads": max(1, cpu_limit() // max(1, tuning.parallel_workers)),
    }
    home = Path(tempfile.mkdtemp(dir=folder))
    with MLServerProcess(home, runtime, tuning, extra) as process:
        yield Service(process.target, INFER, requests)


def route_requests(prompts: Sequence[str]) -> list[bytes]:
    """Makes requests to RouteRuntime."""
    return [text_request("prompt", [each]) for each in prompts]


def tune(effort: Effort) -> None:
    """Prints what MLServer does in each of the ways that it was tried in."""
    requests = route_requests(list(islice(traffic.texts(seed=0), 8_000)))
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        folder = Path(name)
        traffic.write_router(folder / "router")
        for label, tuning in ALTERNATIVES.items():
            with mlserver(folder, "RouteRuntime", requests, tuning) as service:
                for concurrency in (1, 8, 32):
                    _print(f"{label}, {concurrency} callers", service, concurrency, effort)
        generator = np.random.default_rng(0)
        vectors = generator.standard_normal((400, len(traffic.MODELS), traffic.DIMENSION))
        for form in get_args(Form):
            made = [vector_request("vectors", each.astype(np.float32), form) for each in vectors]
            with mlserver(folder, "VectorRuntime", made) as service:
                _print(f"vectors, {form}", service, 8, effort)


def _print(label: str, service: Service, concurrency: int, effort: Effort) -> None:
    seconds = 2.0 if effort.quick else 5.0
    found = service.load(Plan(seconds, 0.5, deadline=DEADLINE, concurrency=concurrency))
    p99 = 1e3 * found.latency().percentile(99)
    print(f"{label}: {found.goodput:.0f}/s, p99 {p99:.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    tune(Effort(quick=parser.parse_args().quick))
