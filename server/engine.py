"""Everything behind the wire, composed from the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from encoders import EncodersError, Provider, SentenceEncoder, cpu_limit, embedded_encoder
from scoring.kernels import warm_up
from scoring.memory import Durability, Memory, MemorySettings
from server.admission import Admission
from server.batcher import EncodeBatcher
from server.errors import StartError
from server.pipeline import EncoderIdentity, ScoringPipeline
from server.settings import EncoderSettings, Settings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that live as long as the process."""

    batcher: EncodeBatcher
    memory: Memory
    admission: Admission
    pipeline: ScoringPipeline


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Loads the encoder, opens the memory and compiles the kernels; closes the memory at the end.

    Raises:
        StartError: The encoder can't be loaded; the message names the setting.
        MemoryStorageError: The memory can't be opened; the message says why.
    """
    encoder = await asyncio.to_thread(load_encoder, settings.encoder)
    _log.info("encoder", revision=encoder.revision, provider=encoder.provider)
    memory = await asyncio.to_thread(Memory.open, memory_settings(settings))
    try:
        _log.info("memory", pools=len(memory.descriptions()))
        await asyncio.to_thread(warm_up)
        engine = _compose(encoder, memory, settings)
        try:
            yield engine
        finally:
            engine.pipeline.close()
    finally:
        await asyncio.to_thread(memory.close)


def _compose(encoder: SentenceEncoder, memory: Memory, settings: Settings) -> Engine:
    batcher = EncodeBatcher(encoder, batch_tokens=settings.encoder.batch_tokens)
    identity = EncoderIdentity(encoder.revision, encoder.dimension, encoder.max_tokens)
    pipeline = ScoringPipeline(batcher, identity, memory, create_pools=settings.memory.create_pools)
    return Engine(batcher, memory, Admission(settings.limits.in_flight), pipeline)


def load_encoder(settings: EncoderSettings) -> SentenceEncoder:
    """Loads the encoder that the settings name.

    Raises:
        StartError: It can't be loaded; the message says why, and names the setting.
    """
    try:
        directory = settings.directory or embedded_encoder(settings.cache.expanduser())
        return SentenceEncoder.load(
            Path(directory).expanduser(),
            provider=Provider(settings.provider),
            threads=settings.threads or cpu_limit(),
            max_tokens=settings.max_tokens,
        )
    except EncodersError as error:
        raise StartError(f"{error} (encoder.{error.field or 'directory'})") from None


def memory_settings(settings: Settings) -> MemorySettings:
    """Returns what the memory takes of the settings."""
    return MemorySettings(
        directory=settings.state.expanduser(),
        capacity=settings.memory.capacity,
        time_to_live=settings.memory.time_to_live,
        max_pools=settings.memory.max_pools,
        max_voters=settings.memory.max_voters,
        durability=Durability[settings.memory.durability.upper()],
        queue=settings.memory.queue,
    )
