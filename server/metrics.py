"""What Prometheus reads: requests as they end, and the pools as they are when it asks."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from threading import Thread
from typing import Protocol
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from scoring.memory import Memory
from server.calibration import Calibrations
from server.errors import StartError
from server.recent_vectors import RecentVectors
from server.settings import MetricsSettings

_log = structlog.get_logger(__name__)

REQUESTS = "pointsman_requests_total"
SECONDS = "pointsman_request_seconds"
_POOLS = {
    "pointsman_pool_samples": "Live samples of the pool.",
    "pointsman_pool_outcomes": "Live outcomes of the pool.",
    "pointsman_pool_agreement_contradicted": (
        "1 where the outcomes of the pool say that agreement misleads there, else 0."
    ),
    "pointsman_pool_agreement_contradiction": (
        "Probability that agreement misleads in the pool, by its outcomes; absent where they "
        "don't tell."
    ),
}
_VECTORS = {
    "pointsman_vector_cache_hits_total": (
        "counter",
        "Texts whose vector was in the cache; nothing was encoded for them.",
    ),
    "pointsman_vector_cache_misses_total": ("counter", "Texts that were sent to an encoder."),
    "pointsman_vector_cache_shared_total": (
        "counter",
        "Texts that waited for the vector of the same text, already on its way.",
    ),
    "pointsman_vector_cache_evictions_total": (
        "counter",
        "Vectors that left the cache to make room for others.",
    ),
    "pointsman_vector_cache_entries": ("gauge", "Vectors in the cache."),
    "pointsman_vector_cache_bytes": ("gauge", "Bytes that the cache takes, of `cache.bytes`."),
}
_LOAD = {
    "pointsman_requests_in_flight": ("gauge", "Requests in work, items of streams included."),
    "pointsman_encoder_waiting_tokens": (
        "gauge",
        "Tokens of texts that were taken in and have no vector yet; a guess until they are split.",
    ),
}
METRICS: dict[str, tuple[str, tuple[str, ...], str]] = {
    REQUESTS: ("counter", ("method", "code"), "Calls that have ended, by gRPC status."),
    SECONDS: ("histogram", ("method",), "Seconds from the arrival of a call to its end."),
    **{name: ("gauge", ("pool",), text) for name, text in _POOLS.items()},
    **{name: (kind, (), text) for name, (kind, text) in (_VECTORS | _LOAD).items()},
}
"""Every metric: its kind, its labels, and what it says."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Load(Protocol):
    """How much a server has to do. Read from any thread."""

    @property
    def in_flight(self) -> int:
        """Requests in work."""

    @property
    def waiting_tokens(self) -> int:
        """Of texts that have no vector yet."""


class Metrics:
    """Counts the calls of one server.

    Attributes:
        registry: Of this server alone.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            REQUESTS, METRICS[REQUESTS][2], METRICS[REQUESTS][1], registry=self.registry
        )
        self._seconds = Histogram(
            SECONDS,
            METRICS[SECONDS][2],
            METRICS[SECONDS][1],
            buckets=_BUCKETS,
            registry=self.registry,
        )

        self._of: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Counts a call that has ended."""
        of = self._of.get((method, code))
        if of is None:
            # Kept, for to look up a label takes longer than to count.
            of = self._requests.labels(method, code), self._seconds.labels(method)
            self._of[method, code] = of
        requests, latency = of
        requests.inc()
        latency.observe(seconds)


class PoolCollector(Collector):
    """Reads the pools when it is asked, and holds nobody up.

    Args:
        memory: The pools.
        calibrations: Know where outcomes contradict agreement.
    """

    def __init__(self, memory: Memory, calibrations: Calibrations) -> None:
        self._memory = memory
        self._calibrations = calibrations

    def collect(self) -> Iterable[Metric]:
        """Yields each gauge with every pool."""
        families = [GaugeMetricFamily(name, text, labels=["pool"]) for name, text in _POOLS.items()]
        samples, outcomes, contradicted, contradiction = families
        for pool in self._memory.descriptions():
            held = self._calibrations.held(pool.name)
            samples.add_metric([pool.name], pool.samples)
            outcomes.add_metric([pool.name], pool.outcomes)
            contradicted.add_metric([pool.name], float(held is not None and held.contradicted))
            if held is not None and held.fit.contradiction >= 0:
                contradiction.add_metric([pool.name], held.fit.contradiction)
        return families


class VectorCollector(Collector):
    """Reads the cache of vectors when it is asked.

    Args:
        recent: The vectors.
    """

    def __init__(self, recent: RecentVectors) -> None:
        self._recent = recent

    def collect(self) -> Iterable[Metric]:
        """Yields each count and gauge."""
        recent = self._recent
        counts = recent.hits, recent.misses, recent.shared, recent.evictions
        return _families(_VECTORS, [*counts, len(recent), recent.bytes])


class LoadCollector(Collector):
    """Reads how much there is to do when it is asked.

    Args:
        load: Knows.
    """

    def __init__(self, load: Load) -> None:
        self._load = load

    def collect(self) -> Iterable[Metric]:
        """Yields each gauge."""
        return _families(_LOAD, [self._load.in_flight, self._load.waiting_tokens])


def _families(metrics: Mapping[str, tuple[str, str]], values: Sequence[float]) -> Iterator[Metric]:
    """Yields a value of each metric without labels."""
    for (name, (kind, text)), value in zip(metrics.items(), values, strict=True):
        family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        yield family(name, text, value=value)


@asynccontextmanager
async def open_metrics(
    settings: MetricsSettings,
    memory: Memory,
    calibrations: Calibrations,
    recent: RecentVectors,
    load: Load,
) -> AsyncIterator[Metrics]:
    """Answers Prometheus on an address of its own, where the settings name one.

    Raises:
        StartError: The address is taken or can't be had; the message names the setting.
    """
    metrics = Metrics()
    metrics.registry.register(PoolCollector(memory, calibrations))
    metrics.registry.register(VectorCollector(recent))
    metrics.registry.register(LoadCollector(load))
    if settings.listen is None:
        yield metrics
        return
    host, _, port = settings.listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        raise StartError(
            f"Can't listen on {settings.listen} (metrics.listen): {error.strerror or error}."
        ) from None
    try:
        _log.info("metrics", address=f"{host}:{server.server_port}")
        yield metrics
    finally:
        await asyncio.to_thread(_stop, server, thread)


def _stop(server: WSGIServer, thread: Thread) -> None:
    server.shutdown()
    server.server_close()
    thread.join()
