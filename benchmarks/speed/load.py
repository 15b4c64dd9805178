"""A load generator for gRPC, in a process of its own.

    python -m benchmarks.speed.load --target unix:/run/s --payloads prompts.bin \
        --method /pointsman.v1.RoutingService/RoutePrompt --rate 500 --seconds 10 --cpu 1 --json -

An open loop (`--rate`): when each request is due is drawn in advance, and its latency counts from
then, so that the time which it spent in this process's own queue is in it, and a server that
stalls is not spared the requests that were due meanwhile. A closed loop (`--concurrency`): so
many requests are under way at any time; for latency at concurrency 1, and for the most that a
server can do.

Bytes go in and out as they are. What the generator cost is in the result: its CPU time, and how
late it sent. Where `kept_up` is false, the generator was measured and not the server.

From Python, `run_load` starts it and reads the result; `start_load` leaves it running.
"""

import argparse
import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from benchmarks.speed.generator import Plan, generate, new_loop
from benchmarks.speed.ledger import LoadResult
from benchmarks.speed.payloads import read_payloads, write_payloads

__all__ = ["LoadError", "LoadResult", "Plan", "RunningLoad", "run_load", "start_load"]

ROOT = Path(__file__).parents[2]
_INTERRUPTED_EXIT = 130
_PR_SET_TIMERSLACK = 29
_DEFAULTS = Plan(seconds=1)
# Beyond the time that the plan says: to start, to connect, and for the last deadlines.
_PATIENCE_SECONDS = 60.0


class LoadError(RuntimeError):
    """The load generator ended without a result; the message has what it said."""


@dataclass(frozen=True, slots=True)
class RunningLoad:
    """A load generator at work; leaving the context stops it."""

    plan: Plan
    process: subprocess.Popen[str]
    folder: "tempfile.TemporaryDirectory[str]"

    def result(self) -> LoadResult:
        """Waits until it is done.

        Raises:
            LoadError: It failed, or did not end in time.
        """
        whole = self.plan.warm_up + self.plan.seconds + self.plan.deadline + _PATIENCE_SECONDS
        try:
            said, complaint = self.process.communicate(timeout=whole)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise LoadError("the load generator did not end in time") from None
        if self.process.returncode not in (0, _INTERRUPTED_EXIT):
            raise LoadError(f"the load generator failed: {complaint.strip()}")
        return LoadResult.from_json(json.loads(said))

    def stop(self) -> LoadResult:
        """Ends it now, and returns what it came to so far."""
        self.process.send_signal(signal.SIGINT)
        return self.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.folder.cleanup()


def start_load(
    target: str, method: str, messages: Iterable[bytes], plan: Plan, *, cpu: int | None = None
) -> RunningLoad:
    """Starts a load generator, to be used as a context.

    Args:
        target: The server, as in "unix:/path".
        method: Full name, as in "/pointsman.v1.RoutingService/RoutePrompt".
        messages: Serialised requests, sent in turn.
        plan: The load.
        cpu: The core that it is kept to, if any.
    """
    folder = tempfile.TemporaryDirectory(prefix="pm-load-")
    payloads = Path(folder.name) / "payloads"
    write_payloads(payloads, messages)
    command = [
        sys.executable, "-m", "benchmarks.speed.load",
        "--target", target, "--method", method, "--payloads", str(payloads), "--json", "-",
        *plan_arguments(plan),
    ]  # fmt: skip
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    process = subprocess.Popen(  # noqa: S603 — our own module
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    return RunningLoad(plan, process, folder)


def run_load(
    target: str, method: str, messages: Iterable[bytes], plan: Plan, *, cpu: int | None = None
) -> LoadResult:
    """Runs a load to its end, as `start_load` starts it.

    Raises:
        LoadError: The generator failed, as where there is no server.
    """
    with start_load(target, method, messages, plan, cpu=cpu) as running:
        return running.result()


def plan_arguments(plan: Plan) -> list[str]:
    """Returns the flags that stand for a plan."""
    flags = ((each.name.replace("_", "-"), getattr(plan, each.name)) for each in fields(plan))
    return [part for name, value in flags for part in (f"--{name}", str(value))]


def plan_of(options: argparse.Namespace) -> Plan:
    """Returns the plan that flags stand for."""
    return Plan(**{each.name: getattr(options, each.name) for each in fields(Plan)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    plan = plan_of(options)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    _sharpen_timers()
    try:
        messages = read_payloads(options.payloads)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            result = runner.run(_until_signal(options.target, options.method, messages, plan))
    except TimeoutError:
        print(f"nobody answers at {options.target}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    _deliver(result, options.json)
    return _INTERRUPTED_EXIT if result.interrupted else 0


def _sharpen_timers() -> None:
    """Asks Linux to wake this process when it asked to, and not up to 50 microseconds later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)


async def _until_signal(
    target: str, method: str, messages: Sequence[bytes], plan: Plan
) -> LoadResult:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await generate(target, method, messages, plan, stop)


def _deliver(result: LoadResult, file: str | None) -> None:
    if file is None:
        print(_sentences(result))
    elif file == "-":
        print(json.dumps(result.to_json()))
    else:
        Path(file).write_text(json.dumps(result.to_json()) + "\n", encoding="utf-8")


def _sentences(result: LoadResult) -> str:
    lines = [
        f"offered {result.offered}, sent {result.sent}, completed {result.completed} in"
        f" {result.seconds:.1f} s; goodput {result.goodput:.1f}/s",
        f"the generator: late by {1e3 * result.late_p50:.2f} ms (p50),"
        f" {1e3 * result.late_p99:.2f} ms (p99); {100 * result.cpu_share:.0f} % of a core"
        f"{'' if result.kept_up else '; IT DID NOT KEEP UP'}",
    ]
    for code, each in result.latencies.items():
        shown = ", ".join(f"p{p:g} {1e3 * each.percentile(p):.3f}" for p in (50, 90, 99, 99.9))
        lines.append(f"{code}: {each.count}, ms: {shown}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", required=True, help="host:port or unix:/path")
    parser.add_argument("--method", required=True, help="/package.Service/Method")
    parser.add_argument("--payloads", required=True, type=Path, help="length-prefixed messages")
    parser.add_argument("--seconds", type=_positive, required=True)
    parser.add_argument("--warm-up", type=_not_negative, default=_DEFAULTS.warm_up, help="seconds")
    parser.add_argument("--deadline", type=_positive, default=_DEFAULTS.deadline, help="seconds")
    parser.add_argument("--rate", type=_positive, default=_DEFAULTS.rate, help="requests a second")
    parser.add_argument("--concurrency", type=int, default=0, help="a closed loop of so many")
    parser.add_argument("--arrivals", choices=("poisson", "constant"), default=_DEFAULTS.arrivals)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu", type=int, help="the core to keep to")
    parser.add_argument("--json", metavar="FILE", help="- for standard output")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
