"""Everything behind the wire, composed from the settings."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from encoders import (
    EncodersError,
    Precision,
    Provider,
    ProviderUnavailableError,
    SentenceEncoder,
    cpu_limit,
    embedded_encoder,
    share_cores,
)
from scoring.errors import MemoryStorageError
from scoring.kernels import warm_up
from scoring.memory import Durability, Memory, MemorySettings
from server.admission import Admission
from server.calibration import Calibrations
from server.errors import ServerError, StartError
from server.outcomes import OutcomeRecorder
from server.parts import Parts
from server.pipeline import ScoringPipeline
from server.pool_scores import PoolScores
from server.recalls import Recalls
from server.recent_vectors import RecentVectors
from server.routers.loading import RouterLoader
from server.routers.registry import RouterRegistry
from server.routers.shelf import EncoderShelf
from server.routing import Routing, RoutingPipeline
from server.settings import EncoderSettings, Settings
from server.threads import run_giving_way
from server.worker import EstimateWorker

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that live as long as the process."""

    encoders: EncoderShelf
    memory: Memory
    admission: Admission
    pipeline: ScoringPipeline
    routers: RouterRegistry
    routing: RoutingPipeline
    outcomes: OutcomeRecorder
    calibrations: Calibrations

    @property
    def in_flight(self) -> int:
        """Requests in work, items of streams included."""
        return self.admission.in_flight

    @property
    def waiting_tokens(self) -> int:
        """Tokens of texts that were taken in and have no vector yet."""
        return self.encoders.waiting_tokens

    async def warm_up(self) -> None:
        """Loads the routers, and sends a real request through every way there is.

        Raises:
            StartError: One fails; the message says which.
        """
        try:
            await self.pipeline.warm_up()
        except ServerError as error:
            raise StartError(f"The first request, to warm up, failed: {error}") from None
        await self.routers.open()

    async def watch_memory(self) -> None:
        """Ends with the memory's writer, for a server that can't learn must not stay."""
        # Shielded: the end of this watch must not cancel the writer's own future.
        await asyncio.shield(asyncio.wrap_future(self.memory.failure))


@asynccontextmanager
async def open_engine(settings: Settings, parts: Parts) -> AsyncIterator[Engine]:
    """Loads the encoder, opens the memory and compiles the kernels; closes the memory at the end.

    Args:
        settings: Of everything.
        parts: Runs what lives by itself.

    Raises:
        StartError: The encoder can't be loaded, or the memory can't be opened; the message names
            what to change.
    """
    # Both are long, and neither needs the other, nor the interpreter for most of the time.
    encoder, _ = await asyncio.gather(
        run_giving_way(partial(load_encoder, settings.encoder)), asyncio.to_thread(warm_up)
    )
    _log.info("encoder", revision=encoder.revision, provider=encoder.provider)
    memory = await asyncio.to_thread(_open_memory, settings)
    try:
        _log.info("memory", pools=len(memory.descriptions()))
        estimate_thread = ThreadPoolExecutor(1, thread_name_prefix="estimate")
        fit_thread = ThreadPoolExecutor(1, thread_name_prefix="calibrate")
        try:
            calibrations = Calibrations(memory, fit_thread)
            admission = Admission(settings.limits.in_flight)
            worker = EstimateWorker(estimate_thread, admission.is_alone)
            recalls = Recalls(memory, estimate_thread, admission.is_alone)
            pool_scores = PoolScores(estimate_thread, admission.is_alone)
            yield _compose(
                encoder,
                memory,
                worker,
                recalls,
                pool_scores,
                admission,
                calibrations,
                settings,
                parts,
            )
        finally:
            fit_thread.shutdown(wait=False, cancel_futures=True)
            estimate_thread.shutdown(wait=False, cancel_futures=True)
    finally:
        await asyncio.to_thread(memory.close)


def _compose(
    encoder: SentenceEncoder,
    memory: Memory,
    worker: EstimateWorker,
    recalls: Recalls,
    pool_scores: PoolScores,
    admission: Admission,
    calibrations: Calibrations,
    settings: Settings,
    parts: Parts,
) -> Engine:
    recent = RecentVectors(settings.cache.bytes)
    shelf = EncoderShelf(
        parts,
        recent=recent,
        batch_tokens=settings.encoder.batch_tokens,
        batches=settings.encoder.batches,
    )
    served = shelf.lend(encoder)
    create_pools = settings.memory.create_pools
    routing = Routing(memory, worker, pool_scores)
    loader = RouterLoader(settings.encoder, shelf, memory, served)
    routers = RouterRegistry(settings, loader, memory, parts, routing.warm_up)
    return Engine(
        encoders=shelf,
        memory=memory,
        admission=admission,
        pipeline=ScoringPipeline(
            served, memory, worker, recalls, calibrations, create_pools=create_pools
        ),
        routers=routers,
        routing=RoutingPipeline(routers, routing),
        outcomes=OutcomeRecorder(served, memory, create_pools=create_pools),
        calibrations=calibrations,
    )


def _open_memory(settings: Settings) -> Memory:
    try:
        return Memory.open(memory_settings(settings))
    except MemoryStorageError as error:
        raise StartError(str(error)) from None


# The operators in integers exist on the CPU only; there, those in fp16 are slower than in fp32.
_PROVIDERS = {Precision.INT8_DYNAMIC: Provider.CPU, Precision.FP16: Provider.CUDA}


def load_encoder(settings: EncoderSettings) -> SentenceEncoder:
    """Loads the encoder that the settings name.

    Raises:
        StartError: It can't be loaded; the message says why, and names the setting.
    """
    try:
        precision = Precision(settings.precision)
        directory = settings.directory or embedded_encoder(settings.cache.expanduser(), precision)
        return SentenceEncoder.load(
            Path(directory).expanduser(),
            provider=_PROVIDERS.get(precision, Provider(settings.provider)),
            threads=share_cores(cpu_limit(), settings.threads).threads,
            max_tokens=settings.max_tokens,
        )
    except ProviderUnavailableError as error:
        if settings.precision != "fp16":
            raise StartError(f"{error} (encoder.provider)") from None
        raise StartError(
            "encoder.precision fp16 needs CUDA, which can't be used here; install onnxruntime-gpu "
            "and check the driver, or leave encoder.precision out"
        ) from None
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
