"""How long a start takes, and what an idle server keeps in memory.

    python -m benchmarks.speed.start [--quick]

A start is measured from the start of the process to SERVING, over a Unix socket and with an empty
memory: the first, which assembles the embedded encoder and compiles the kernels into an empty
cache, and later ones, which find both there. The reference is a bare Python process that imports
Numba, ONNX Runtime and gRPC and ends. Memory is what is resident (RSS) one second after SERVING of
a later start, with the embedded encoder as it is and with `encoder.precision` int8-dynamic.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.speed.serving import our_server, resident_bytes
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure, Spread, Target

_BARE = "import numba, onnxruntime, grpc"
_AGAINST = f'python -c "{_BARE}"'
_IDLE_SECONDS = 1.0
_MEGABYTE = 1e6
_TO_START = "from the start of the process to SERVING"


def measure(effort: Effort) -> list[Figure]:
    """Measures starts, and what is resident after them."""
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        caches = [Path(name) / f"cache-{run}" for run in range(1 if effort.quick else 2)]
        first = [(_start(_kept_in(cache)), _bare_start()) for cache in caches]
        settings = _kept_in(caches[0])
        later = [(_start(settings), _bare_start()) for _ in range(effort.repeats(7))]
        small = {**settings, "encoder.precision": "int8-dynamic"}
        _start(small)  # which quantises the encoder into the cache
        sizes = [(_resident(settings), _resident(small)) for _ in range(effort.repeats(3))]
    return [*_start_figures(first, later), *_memory_figures(sizes)]


def _start_figures(
    first: list[tuple[float, float]], later: list[tuple[float, float]]
) -> list[Figure]:
    return [
        Figure.paired(
            f"start/{name}/imports", f"{what}, {_TO_START}", "s",
            [ours for ours, _ in pairs], _AGAINST, [bare for _, bare in pairs],
        )
        for name, what, pairs in (
            ("first", "first start, encoder assembled and kernels compiled", first),
            ("later", "later start, both kept", later),
        )
    ]  # fmt: skip


def _memory_figures(sizes: list[tuple[float, float]]) -> list[Figure]:
    return [
        Figure("start/resident-fp32", "resident, idle, fp32 encoder", "MB",
               Spread.of([fp32 for fp32, _ in sizes])),
        Figure("start/resident-int8", "resident, idle, int8 encoder", "MB",
               Spread.of([int8 for _, int8 in sizes]), target=Target("at most", 350),
               note="docs/start.md says what it is made of."),
    ]  # fmt: skip


def _kept_in(cache: Path) -> dict[str, object]:
    return {"encoder.cache": str(cache), "shutdown_wait": 0}


def _start(settings: Mapping[str, object]) -> float:
    with our_server(settings) as served:
        return served.started_in


def _bare_start() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _BARE], check=True)  # noqa: S603  what is compared with
    return time.perf_counter() - began


def _resident(settings: Mapping[str, object]) -> float:
    with our_server(settings) as served:
        time.sleep(_IDLE_SECONDS)
        return resident_bytes(served.pid).rss / _MEGABYTE


if __name__ == "__main__":
    run_alone(measure)
