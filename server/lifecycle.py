"""The life of the process: load, warm up, serve, drain, and die loudly where a part fails."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import structlog
from grpc_reflection.v1alpha import reflection

from encoders import Provider, SentenceEncoder, cpu_limit, embedded_encoder
from pointsman.v1 import admin_service_pb2_grpc, routing_service_pb2_grpc, scoring_service_pb2_grpc
from scoring.kernels import warm_up
from scoring.memory import Durability, Memory, MemorySettings
from server.admission import Admission
from server.batcher import EncodeBatcher
from server.health import ADMIN, ROUTING, SCORING, Health
from server.interceptor import BoundaryInterceptor
from server.listen import bind, grant
from server.pipeline import EncoderIdentity, ScoringPipeline
from server.pools import Pools
from server.services.admin import AdminServicer
from server.services.routing import RoutingServicer
from server.services.scoring import ScoringServicer
from server.settings import EncoderSettings, Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Engine:
    """Everything behind the wire."""

    batcher: EncodeBatcher
    memory: Memory
    admission: Admission
    pipeline: ScoringPipeline


class _PartFailedError(Exception):
    """A part that must live as long as the process has ended."""


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Raises:
        StartError, SettingsError, EncodersError, MemoryStorageError: It can't start; the message
            names what to change.
        ExceptionGroup: A part died while serving.
    """
    began = time.perf_counter()
    stop = _stop_on_signals()
    health = Health()
    await health.starting()
    async with _engine(settings) as engine:
        server = _wire(settings, engine, health)
        addresses = bind(server, settings)
        async with asyncio.TaskGroup() as parts:
            batching = parts.create_task(engine.batcher.run())
            watching = parts.create_task(_watch(engine.memory))
            await engine.pipeline.warm_up()
            await server.start()
            grant(settings)
            await health.serving()
            seconds = round(time.perf_counter() - began, 3)
            _log.info("serving", addresses=addresses, seconds=seconds)
            try:
                await stop.wait()
            finally:
                await _drain(server, health, engine, settings)
                batching.cancel()
                watching.cancel()
    _log.info("stopped")


def load_encoder(settings: EncoderSettings) -> SentenceEncoder:
    """Loads the encoder that the settings name.

    Raises:
        EncodersError: It can't be loaded; the message says why.
    """
    directory = settings.directory or embedded_encoder(settings.cache.expanduser())
    return SentenceEncoder.load(
        Path(directory).expanduser(),
        provider=Provider(settings.provider),
        threads=settings.threads or cpu_limit(),
        max_tokens=settings.max_tokens,
    )


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[_Engine]:
    encoder = await asyncio.to_thread(load_encoder, settings.encoder)
    _log.info("encoder", revision=encoder.revision, provider=encoder.provider)
    memory = await asyncio.to_thread(Memory.open, _memory_settings(settings))
    try:
        _log.info("memory", pools=len(memory.descriptions()))
        await asyncio.to_thread(warm_up)
        batcher = EncodeBatcher(encoder, batch_tokens=settings.encoder.batch_tokens)
        admission = Admission(settings.limits.in_flight)
        pipeline = ScoringPipeline(
            batcher,
            EncoderIdentity(encoder.revision, encoder.dimension, encoder.max_tokens),
            memory,
            admission,
            create_pools=settings.memory.create_pools,
        )
        yield _Engine(batcher, memory, admission, pipeline)
        pipeline.close()
    finally:
        await asyncio.to_thread(memory.close)


def _memory_settings(settings: Settings) -> MemorySettings:
    return MemorySettings(
        directory=settings.state.expanduser(),
        capacity=settings.memory.capacity,
        time_to_live=settings.memory.time_to_live,
        max_pools=settings.memory.max_pools,
        max_voters=settings.memory.max_voters,
        durability=Durability[settings.memory.durability.upper()],
        queue=settings.memory.queue,
    )


def _wire(settings: Settings, engine: _Engine, health: Health) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[BoundaryInterceptor(log_requests=settings.log.requests)],
        options=[
            ("grpc.max_receive_message_length", settings.limits.message_bytes),
            ("grpc.max_send_message_length", settings.limits.message_bytes),
            # A port that another server has must be refused, not shared.
            ("grpc.so_reuseport", 0),
        ],
    )
    scoring_service_pb2_grpc.add_ScoringServiceServicer_to_server(
        ScoringServicer(engine.pipeline, settings), server
    )
    routing_service_pb2_grpc.add_RoutingServiceServicer_to_server(RoutingServicer(), server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminServicer(Pools(engine.memory, create_pools=settings.memory.create_pools), settings),
        server,
    )
    health.add_to(server)
    if settings.reflection:
        names = (SCORING, ROUTING, ADMIN, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return server


async def _watch(memory: Memory) -> None:
    """Ends with the memory's writer, for a server that can't learn must not stay."""
    # Shielded: the end of this watch must not cancel the writer's own future.
    await asyncio.shield(asyncio.wrap_future(memory.failure))
    raise _PartFailedError("The memory's writer has ended.")


async def _drain(
    server: grpc.aio.Server, health: Health, engine: _Engine, settings: Settings
) -> None:
    _log.info("draining", in_flight=engine.admission.in_flight)
    await health.stopping()
    await asyncio.sleep(settings.shutdown_wait)
    engine.admission.close()
    await server.stop(settings.shutdown_grace)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop
