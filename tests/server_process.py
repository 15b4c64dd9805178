"""A real server in a process of its own, for the tests that call it over the wire."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT = Path(__file__).parents[1]
_START_SECONDS = 120
_STOP_SECONDS = 30


class ServerProcess:
    """`pointsman serve` on a Unix socket, with its state and its log in a folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        # A Unix socket's path must be short, which pytest's folders are not.
        self.socket = Path(tempfile.mkdtemp(prefix="pm-")) / "s"
        self.log = folder / "server.log"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        return f"unix:{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        self.spawn()
        self.wait_until_serving()
        return self

    def spawn(self, log: int | None = None) -> None:
        """Starts the process, with its log in a file or on a file descriptor."""
        command = [
            sys.executable, "-m", "server.cli", "serve",
            "--socket", str(self.socket),
            "--state", str(self.folder / "state"), *self._arguments,
        ]  # fmt: skip
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(command, stderr=log or file, stdout=file, cwd=ROOT)

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with grpc.insecure_channel(self.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() < deadline:
                assert self.alive(), self.log.read_text()
                try:
                    reply = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.RpcError:
                    time.sleep(0.05)
                else:
                    if reply.status == health_pb2.HealthCheckResponse.SERVING:
                        return
        raise AssertionError(f"the server did not serve in time:\n{self.log.read_text()}")

    def alive(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def terminate(self) -> int:
        """Sends SIGTERM and returns the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.alive():
            self.kill()
