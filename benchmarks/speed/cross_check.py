"""Holds the load generator against h2load, which shares no code with it.

    python -m benchmarks.speed.cross_check [--quick]

Both send the same message to the same echo server, in turn, at the same concurrency in a closed
loop, on one connection, from the same core. Once against a server that answers after 20 ms, where
the latency is the server's and both must say the same; and once against one that answers at once,
where the difference is what the generator itself takes. Needs `h2load` (Debian: nghttp2-client)
and at least two cores; without them it says so and measures nothing.
"""

import argparse
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from rich.console import Console

from benchmarks.speed.ledger import LoadResult
from benchmarks.speed.load import Plan, run_load
from benchmarks.speed.serving import echo_server
from benchmarks.speed.timing import Effort
from evaluation.report import Column, Table, terminal_table

METHOD = "/pointsman.v1.RoutingService/RoutePrompt"
MESSAGE = bytes(range(256)) * 4
_WARM_UP = 1.0
_HTTP_OK = 200
_HEADERS = ("content-type: application/grpc", "te: trailers")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tool says of a server.

    Attributes:
        rate: Requests a second.
        p50: Seconds.
        p99: Seconds.
    """

    rate: float
    p50: float
    p99: float

    @classmethod
    def of_load(cls, result: LoadResult) -> Self:
        """Reads a result of our generator."""
        latency = result.latency()
        return cls(result.goodput, latency.percentile(50), latency.percentile(99))

    @classmethod
    def of_log(cls, text: str, seconds: float) -> Self:
        """Reads h2load's log: a line a request, of when it began, its status and microseconds.

        Only the requests that ended in the last `seconds` of it count.
        """
        rows = np.array([line.split("\t")[:3] for line in text.splitlines()], np.float64)
        ended = rows[:, 0] + rows[:, 2]
        counted = rows[(ended > ended.max() - 1e6 * seconds) & (rows[:, 1] == _HTTP_OK)]
        p50, p99 = np.percentile(counted[:, 2], (50, 99)).tolist()
        return cls(len(counted) / seconds, p50 / 1e6, p99 / 1e6)


def framed(message: bytes) -> bytes:
    """Returns a message as gRPC has it on the wire: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def run_h2load(target: str, concurrency: int, seconds: float, cpu: int) -> Seen:
    """Runs h2load in a closed loop against a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="pm-h2load-") as name:
        body, log = Path(name) / "body", Path(name) / "log"
        body.write_bytes(framed(MESSAGE))
        command = [
            "taskset", "-c", str(cpu),
            "h2load", "-c1", "-t1", f"-m{concurrency}", f"-D{_WARM_UP + seconds:g}s",
            "-d", str(body), f"--log-file={log}", "-B", target,
            *(part for header in _HEADERS for part in ("-H", header)),
            f"http://localhost{METHOD}",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 — no user's words
        return Seen.of_log(log.read_text(encoding="ascii"), seconds)


def compare(delay: float, concurrency: int, repeats: int, seconds: float) -> tuple[Seen, Seen]:
    """Runs both in turn; returns the medians of ours, and of h2load's."""
    plan = Plan(seconds=seconds, warm_up=_WARM_UP, concurrency=concurrency)
    ours, theirs = [], []
    with echo_server(reply=MESSAGE, delay=delay, cpus=(0,)) as server:
        for _ in range(repeats):
            ours.append(Seen.of_load(run_load(server.target, METHOD, [MESSAGE], plan, cpu=1)))
            theirs.append(run_h2load(server.target, concurrency, seconds, cpu=1))
    return _median(ours), _median(theirs)


def _median(seen: list[Seen]) -> Seen:
    values = np.median([(each.rate, each.p50, each.p99) for each in seen], axis=0)
    return Seen(*values.tolist())


def table(effort: Effort) -> Table:
    """Returns a row per server, concurrency and tool."""
    seconds, repeats = (1.0, 1) if effort.quick else (4.0, 3)
    rows = []
    for delay, concurrency in ((0.02, 1), (0.02, 16), (0.0, 1), (0.0, 16)):
        ours, theirs = compare(delay, concurrency, repeats, seconds)
        for tool, seen in (("ours", ours), ("h2load", theirs)):
            figures = (seen.rate, 1e3 * seen.p50, 1e3 * seen.p99)
            shown = (f"{figure:,.3f}" for figure in figures)
            rows.append((f"{1e3 * delay:g}", str(concurrency), tool, *shown))
    names = ("server's delay, ms", "concurrency", "tool", "requests/s", "p50, ms", "p99, ms")
    columns = tuple(Column(name, numeric=name != "tool") for name in names)
    return Table("The load generator beside h2load", columns, tuple(rows))


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="not to be quoted")
    options = parser.parse_args()
    if shutil.which("h2load") is None or not {0, 1} <= os.sched_getaffinity(0):
        print("Nothing was checked: it takes h2load (Debian: nghttp2-client) and cores 0 and 1.")
        return
    Console().print(terminal_table(table(Effort(quick=options.quick))))


if __name__ == "__main__":
    main()
