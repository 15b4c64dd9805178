"""Profiles each RPC at saturation: a flame graph of each, and where the time goes by stage.

    pip install py-spy==0.4.3
    python -m benchmarks.speed.profiles --out docs/profiles

For each of RoutePrompt, ScoreGenerations (texts), ScoreGenerations (vectors) and RecordOutcome a
server is started and kept busy by a closed loop while py-spy looks at its threads, twice: for
`NAME.svg`, and for stacks that are counted here. What each thread takes of the cores is read from
/proc, and divided among the stages that py-spy saw it at; threads of ONNX Runtime and of gRPC's
core have no stacks of Python. On Linux it must be allowed to trace: as root,
or with `kernel.yama.ptrace_scope` at 0.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

from benchmarks.speed import traffic
from benchmarks.speed.load import Plan, run_load, start_load
from benchmarks.speed.serving import our_server

CONCURRENCY = 32
RATE = 200
"""Looks a second."""
SAMPLES = 2000
"""What the pool of vectors knows before."""
TEXT_SAMPLES = 50
"""What the pool of texts knows before."""
_HEAD = 2.0
_LEAST_CORES = 0.005
_THREAD = re.compile(r"thread \((\d+)\): ([^;\"<]*)")
_NAMELESS = "no name (ONNX Runtime)"
_COMMAND = re.compile(r">[^<>]*py-spy record[^<>]*<")
_ABSOLUTE = re.compile(r"(?:/[\w.+@-]+)+/(?=(?:site-packages|lib/python3\.\d+)/)")
# Leaves that wait, though the kernel says that their thread runs.
_WAITING = ("select (selectors.py", "_worker (concurrent/futures/thread.py:8", "wait (threading.py")
_STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tokenise", ("(encoders/tokeniser.py",)),
    ("encode", ("(encoders/session.py", "(encoders/sentence.py", "(encoders/pooling.py",
                "(encoders/batches.py")),
    ("recall", ("(scoring/memory/reading.py", "(scoring/memory/neighbours.py",
                "(scoring/memory/exact.py", "search (scoring/memory/segment.py",
                "_nearest_nodes (scoring/memory/segment.py", "recall (scoring/memory/pool.py",
                "others (scoring/memory/slots.py", "rows (scoring/memory/agreement.py")),
    ("write", ("(scoring/memory/", "(server/outcomes.py")),
    ("estimate", ("(scoring/", "(server/estimation.py", "(server/deciding.py")),
    (
        "batch",
        tuple(
            f"(server/{name}.py"
            for name in ("batcher", "waiting", "tickets", "threads", "pace", "sharing", "backlog")
        ),
    ),
    ("convert", ("(server/conversion/",)),
    ("service", ("(server/",)),
    ("grpc", ("(grpc/", "_poll_wrapper")),
    ("event loop", ("(asyncio/",)),
)  # fmt: skip
"""A stack belongs to the first stage that its innermost telling frame belongs to."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC to profile: its file, its method, and what to send once the pool is filled."""

    name: str
    method: str
    requests: Callable[[], list[bytes]]


@dataclass(frozen=True, slots=True)
class Profile:
    """What was seen of one RPC.

    Attributes:
        rate: Replies a second while nobody looked.
        stages: Cores that each stage took.
        threads: Cores that each thread took, by its name.
    """

    rate: float
    stages: dict[str, float]
    threads: dict[str, float]


RPCS = (
    Rpc("route-prompt", traffic.ROUTE, lambda: traffic.route_requests(20_000)),
    Rpc("score-texts", traffic.SCORE, lambda: traffic.score_text_requests(4_000)),
    Rpc("score-vectors", traffic.SCORE, lambda: traffic.score_vector_requests(4_000, 1)),
    Rpc("record-outcome", traffic.RECORD, lambda: traffic.outcome_requests(50_000, SAMPLES)),
)


def main() -> int:
    """Runs the command; returns its exit code."""
    options = _options()
    spy = shutil.which("py-spy", path=os.pathsep.join((str(Path(sys.executable).parent), *_path())))
    if spy is None:
        print("py-spy is not installed, so nothing was profiled: pip install py-spy==0.4.3")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        router = Path(name) / "router"
        traffic.write_router(router)
        for rpc in RPCS:
            if rpc.name in options.only:
                found = profile(rpc, router, spy, options)
                Console(width=100).print(table_of(rpc, found))
    return 0


def profile(rpc: Rpc, router: Path, spy: str, options: argparse.Namespace) -> Profile:
    """Starts a server, keeps it busy with one RPC, and looks at it."""
    requests, seconds = rpc.requests(), options.seconds
    plan = Plan(2 * seconds + 4 * _HEAD, 1.0, deadline=10.0, concurrency=CONCURRENCY)
    with running_server(router) as (target, pid):
        alone = Plan(3.0, 1.0, deadline=10.0, concurrency=CONCURRENCY)
        rate = run_load(target, rpc.method, requests[::-1], alone).goodput
        if rate == 0:
            raise RuntimeError(f"every call of {rpc.name} failed")
        with start_load(target, rpc.method, requests, plan):
            time.sleep(_HEAD)
            before, began = thread_seconds(pid), time.perf_counter()
            stacks = record(spy, pid, "raw", seconds)
            took, after = time.perf_counter() - began, thread_seconds(pid)
            svg = record(spy, pid, "flamegraph", seconds)
    (options.out / f"{rpc.name}.svg").write_text(scrubbed(svg, rpc.name), encoding="utf-8")
    names = {int(tid): name.strip() for tid, name in _THREAD.findall(stacks)}
    cores = cores_of(before, after, took, names)
    return Profile(rate, stages_of(stacks, cores), cores)


@contextmanager
def running_server(router: Path) -> Iterator[tuple[str, int]]:
    """Runs a server whose pool has samples; yields where it listens, and its process."""
    settings: dict[str, object] = {
        "routers.main.directory": str(router),
        "default_router": "main",
        "log.requests": False,
    }
    with our_server(settings) as served:
        try:
            fill(served.target, traffic.score_vector_requests(SAMPLES, learn=True))
            fill(served.target, traffic.score_text_requests(TEXT_SAMPLES, 1, learn=True))
        except grpc.RpcError as error:
            raise RuntimeError(f"the server said:\n{served.log.read_text()}") from error
        yield served.target, served.pid


def fill(target: str, requests: list[bytes]) -> None:
    """Sends requests to ScoreGenerations, some at a time, and waits for the replies."""
    with grpc.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(traffic.SCORE, request_serializer=None)
        for first in range(0, len(requests), CONCURRENCY):
            for reply in [call.future(each) for each in requests[first : first + CONCURRENCY]]:
                reply.result()


def record(spy: str, pid: int, form: str, seconds: float) -> str:
    """Lets py-spy look at a process; returns what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [spy, "record", "--pid", str(pid), "--format", form, "--output", str(out)]
        command += ["--duration", str(round(seconds)), "--rate", str(RATE), "--threads"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 — named by the user
        return out.read_text(encoding="utf-8")


def stages_of(stacks: str, cores: dict[str, float]) -> dict[str, float]:
    """Returns the cores that each stage took: those of each thread, by what it was seen at.

    Args:
        stacks: Lines of frames, outermost first, and how often each was seen. How often tells
            nothing by itself: py-spy takes some threads that wait in C for being at work.
        cores: As of `cores_of`.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        thread = _THREAD.match(frames)
        stage = stage_of(frames.split(";"))
        if thread and stage != "waiting":
            seen[thread[2].strip()][stage] += int(count)
    stages: dict[str, float] = defaultdict(float)
    for name, used in cores.items():
        shares = seen.get(name) or {"encode" if name == _NAMELESS else "native": 1}
        for doing, looks in shares.items():
            stages[doing] += used * looks / sum(shares.values())
    return _most_first(stages)


def stage_of(frames: list[str]) -> str:
    """Says what a thread was doing."""
    if any(mark in frames[-1] for mark in _WAITING):
        return "waiting"
    for frame in reversed(frames):
        for stage, marks in _STAGES:
            if any(mark in frame for mark in marks):
                return stage
    return "other"


def thread_seconds(pid: int) -> dict[int, tuple[str, float]]:
    """Returns the name that the kernel knows and the CPU seconds so far, by thread."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
        user, system = rest.split()[11:13]
        seconds = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        found[int(folder.name)] = (name.partition("(")[2], seconds)
    return found


def cores_of(
    before: dict[int, tuple[str, float]],
    after: dict[int, tuple[str, float]],
    took: float,
    names: dict[int, str],
) -> dict[str, float]:
    """Returns the cores that each thread took between two readings, by Python's name for it.

    The threads of ONNX Runtime have no name, and bear that of the program.
    """
    cores: dict[str, float] = defaultdict(float)
    for tid, (name, seconds) in after.items():
        used = seconds - before.get(tid, ("", 0.0))[1]
        native = _NAMELESS if name.startswith("python") else f"{name} (native)"
        cores[names.get(tid, native)] += used / took
    return {name: used for name, used in _most_first(cores).items() if used >= _LEAST_CORES}


def _most_first(cores: dict[str, float]) -> dict[str, float]:
    return dict(sorted(cores.items(), key=lambda each: -each[1]))


def scrubbed(svg: str, title: str) -> str:
    """Takes the paths of this machine out of a flame graph.

    Raises:
        ValueError: One is left.
    """
    root = str(Path(__file__).parents[2])
    text = _ABSOLUTE.sub("", _COMMAND.sub(f">{title}<", svg).replace(f"{root}/", ""))
    text = re.sub(r"thread \(\d+\)", "thread", text)
    left = re.search(r"(?:/root/|/home/|/tmp/|/Users/)\S*", text)
    if left:
        raise ValueError(f"the flame graph names a path of this machine: {left.group()}")
    return text


def table_of(rpc: Rpc, found: Profile) -> Table:
    """Shows which stages, and which threads, took the cores."""
    title = f"{rpc.name}: {found.rate:.0f} replies a second; cores taken while py-spy looked"
    table = Table(title=title, title_justify="left")
    for column in ("Stage", "Thread"):
        table.add_column(column)
        table.add_column("Cores", justify="right")
        table.add_column("Share", justify="right")
    sides = [_rows(found.stages), _rows(found.threads)]
    for stage, thread in zip_longest(*sides, fillvalue=("", "", "")):
        table.add_row(*stage, *thread)
    return table


def _rows(cores: dict[str, float]) -> list[tuple[str, str, str]]:
    whole = sum(cores.values())
    return [(name, f"{each:.2f}", f"{100 * each / whole:.0f} %") for name, each in cores.items()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("docs/profiles"))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of two recordings")
    names = [rpc.name for rpc in RPCS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    return parser.parse_args()


def _path() -> list[str]:
    return os.environ.get("PATH", os.defpath).split(os.pathsep)


if __name__ == "__main__":
    raise SystemExit(main())
