"""A part that dies takes the process with it, loudly and soon."""

import asyncio
import signal
import tempfile

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from scoring.memory import Memory
from server import engine as engine_module
from server import lifecycle
from server.batcher import EncodeBatcher
from server.errors import StartError
from server.pipeline import ScoringPipeline
from server.settings import load_settings


class DeadError(Exception):
    """What a part dies of."""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    class NoEncoder:
        revision, dimension, max_tokens, provider = "r", 2, 8, "none"
        batch_tokens, batches_at_a_time, cut = 8, 1, None

    async def warm(_):
        pass

    monkeypatch.setattr(engine_module, "load_encoder", lambda _: NoEncoder())
    monkeypatch.setattr(ScoringPipeline, "warm_up", warm)
    return load_settings(None, {"listen": "127.0.0.1:0", "state": tmp_path / "state"})


async def test_a_dead_batcher_ends_the_server(settings, monkeypatch):
    async def run(_):
        await asyncio.sleep(0.2)
        raise DeadError

    monkeypatch.setattr(EncodeBatcher, "run", run)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(120):  # kernels are compiled first
            await lifecycle.serve(settings)
    assert caught.group_contains(DeadError)


async def test_a_dead_writer_ends_the_server(settings, monkeypatch):
    opened = Memory.open

    def opening(*arguments):
        memory = opened(*arguments)
        memory.failure.set_exception(DeadError())
        return memory

    monkeypatch.setattr(engine_module.Memory, "open", opening)
    monkeypatch.setattr(Memory, "close", lambda _: None)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(120):  # kernels are compiled first
            await lifecycle.serve(settings)
    assert caught.group_contains(DeadError)


async def test_a_failed_warm_up_is_a_refusal_to_start(settings, monkeypatch):
    async def cold(_):
        raise engine_module.StartError("Cold.")

    monkeypatch.setattr(ScoringPipeline, "warm_up", cold)
    with pytest.raises(ExceptionGroup) as caught:
        await lifecycle.serve(settings)
    assert caught.group_contains(StartError, match="warm up")


@pytest.mark.usefixtures("settings")
async def test_health_says_not_serving_before_calls_are_refused(tmp_path):
    socket = f"{tempfile.mkdtemp(prefix='pm-')}/s"
    quiet = load_settings(None, {"socket": socket, "state": tmp_path / "s", "shutdown_wait": 0.5})
    serving = asyncio.create_task(lifecycle.serve(quiet))
    async with asyncio.timeout(120), grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        while True:
            try:
                assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
        signal.raise_signal(signal.SIGTERM)
        while (await stub.Check(request)).status != health_pb2.HealthCheckResponse.NOT_SERVING:
            await asyncio.sleep(0.01)
        await serving
