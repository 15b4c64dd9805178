"""Starts MLServer with our runtimes."""

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import grpc

from benchmarks.mlserver_runtime.messages import MODEL, field

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-mlserver"
INFER = "/inference.GRPCInferenceService/ModelInfer"
_READY = "/inference.GRPCInferenceService/ModelReady"
_IS_READY = b"\x08\x01"  # ModelReadyResponse{ready: true}
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """How MLServer is set up.

    Attributes:
        parallel_workers: Processes that predict; 0 for the server's own.
        max_batch_size: Most requests of one batch; 1 for no batching.
        max_batch_time: Seconds that a batch waits to be full.
        off_loop: Predicts in a thread of its own.
        encoder: As `benchmarks.mlserver_runtime.runtime` says.
    """

    parallel_workers: int = 0
    max_batch_size: int = 1
    max_batch_time: float = 0.0
    off_loop: bool = True
    encoder: Literal["served", "plain"] = "served"


class MLServerProcess:
    """`mlserver start` on loopback, with its settings and its log in a folder.

    Args:
        folder: Taken over by it.
        runtime: A class of `benchmarks.mlserver_runtime.runtime`, by name.
        tuning: How it is set up.
        extra: What the runtime needs besides.
        environment: Where MLServer is installed.
    """

    def __init__(
        self,
        folder: Path,
        runtime: str,
        tuning: Tuning,
        extra: dict[str, object],
        environment: Path = ENVIRONMENT,
    ) -> None:
        self.folder = folder
        self.log = folder / "mlserver.log"
        self._port, http = free_port(), free_port()
        self._mlserver = environment / "bin" / "mlserver"
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "settings.json", _server(tuning, self._port, http))
        _write(folder / "model-settings.json", _model(runtime, tuning, extra))

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Starts it, and waits until the model is ready."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own
                [str(self._mlserver), "start", str(self.folder)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it, workers included."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        with grpc.insecure_channel(self.target) as channel:
            ready: Any = channel.unary_unary(_READY)
            while time.monotonic() < deadline:
                assert self._process.poll() is None, self.log.read_text()
                try:
                    if ready(field(1, MODEL.encode()), timeout=1.0) == _IS_READY:
                        return
                except grpc.RpcError:
                    pass
                time.sleep(0.1)
        raise AssertionError(f"MLServer was not ready in time:\n{self.log.read_text()}")


def free_port() -> int:
    """Finds a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server(tuning: Tuning, grpc_port: int, http_port: int) -> dict[str, object]:
    return {
        "debug": False,  # no line for every request
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_endpoint": None,
        "parallel_workers": tuning.parallel_workers,
    }


def _model(runtime: str, tuning: Tuning, extra: dict[str, object]) -> dict[str, object]:
    given = asdict(tuning)
    return {
        "name": MODEL,
        "implementation": f"benchmarks.mlserver_runtime.runtime.{runtime}",
        "max_batch_size": tuning.max_batch_size,
        "max_batch_time": tuning.max_batch_time,
        "parameters": {
            "extra": {"encoder": given["encoder"], "off_loop": given["off_loop"], **extra}
        },
    }


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
