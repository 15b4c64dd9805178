"""Starts what is measured as real processes, on Unix sockets, and says what they take."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.speed.echo import HEALTH_CHECK, Loop

ROOT = Path(__file__).parents[2]
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_SERVING = b"\x08\x01"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers.

    Attributes:
        target: Where, as in "unix:/path".
        pid: Of its process.
        log: The file that it writes to.
        started_in: Seconds from the start of the process until it was SERVING.
    """

    target: str
    pid: int
    log: Path
    started_in: float


@dataclass(frozen=True, slots=True)
class Resident:
    """Memory of a process.

    Attributes:
        rss: Bytes that are resident, those shared with other processes included.
        pss: The same, what is shared divided among those that share it.
    """

    rss: int
    pss: int


@contextmanager
def our_server(
    settings: Mapping[str, object] | None = None,
    *,
    state: Path | None = None,
    config: Path | None = None,
    cpus: Iterable[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Runs `pointsman serve` until the context is left.

    Args:
        settings: By name, as in {"memory.capacity": 1000}.
        state: Directory of the memory; one that is thrown away where it is not given.
        config: A file of settings.
        cpus: Cores that the process is kept to; all where there are none.
        environment: Variables for the process, beside those of this one.

    Raises:
        RuntimeError: The server ended, or did not serve in time; has its log.
    """
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        folder = Path(name)
        command = [
            sys.executable, "-m", "server.cli", "serve",
            "--socket", str(folder / "s"), "--state", str(state or folder / "state"),
            *(("--config", str(config)) if config else ()),
        ]  # fmt: skip
        for setting, value in (settings or {}).items():
            # JSON is YAML, which --set reads.
            command += ["--set", f"{setting}={json.dumps(value)}"]
        with serving(command, folder, cpus, environment) as served:
            yield served


@contextmanager
def echo_server(
    *,
    reply: bytes | None = None,
    delay: float = 0.0,
    cpus: Iterable[int] = (),
    loop: Loop = "asyncio",
) -> Iterator[Served]:
    """Runs `benchmarks.speed.echo` until the context is left.

    Args:
        reply: To every request; what was sent, where it is not given.
        delay: Seconds before each reply.
        cpus: Cores that the process is kept to; all where there are none.
        loop: That it runs on.

    Raises:
        RuntimeError: The server ended, or did not serve in time; has its log.
    """
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "benchmarks.speed.echo", "--socket", str(folder / "s")]
        command += ["--delay", str(delay), "--loop", loop]
        if reply is not None:
            (folder / "reply").write_bytes(reply)
            command += ["--reply", str(folder / "reply")]
        with serving(command, folder, cpus) as served:
            yield served


@contextmanager
def serving(
    command: list[str],
    folder: Path,
    cpus: Iterable[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Runs a server that listens on the socket `s` of a folder until the context is left.

    Raises:
        RuntimeError: The server ended, or did not serve in time; has its log.
    """
    log, target, began = folder / "log", f"unix:{folder / 's'}", time.perf_counter()
    with log.open("ab") as file, kept_to(cpus):
        process = subprocess.Popen(  # noqa: S603 — what the benchmark measures
            command, stdout=file, stderr=file, cwd=ROOT, env={**os.environ, **(environment or {})}
        )
    try:
        _wait_until_serving(process, target, log)
        yield Served(target, process.pid, log, time.perf_counter() - began)
    finally:
        _end(process)


@contextmanager
def kept_to(cpus: Iterable[int]) -> Iterator[None]:
    """Keeps this thread, and the processes that it starts meanwhile, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus) or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def resident_bytes(pid: int) -> Resident:
    """Returns the memory of a process; raises OSError where there is no such process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (s.partition(":") for s in lines)}
    return Resident(1024 * kilobytes["Rss"], 1024 * kilobytes["Pss"])


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a process so far, all its threads, user and system."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # The name of the command, in brackets, may hold blanks.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _wait_until_serving(process: subprocess.Popen[bytes], target: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    socket = Path(target.removeprefix("unix:"))
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended:\n{log.read_text(errors='replace')}")
        if socket.exists() and _is_serving(target):
            return
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the server did not serve in time:\n{log.read_text(errors='replace')}")


def _is_serving(target: str) -> bool:
    """Asks once, on a connection of its own: one that failed waits before it tries again."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(target, options=options) as channel:
        check: Any = channel.unary_unary(HEALTH_CHECK, request_serializer=None)
        try:
            return bytes(check(b"", timeout=1)) == _SERVING
        except grpc.RpcError:
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
