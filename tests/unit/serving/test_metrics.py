"""What Prometheus can read."""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from scoring.judged import nothing_judged
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewOutcome, NewSample
from server.calibration import Calibrations, Held
from server.errors import SettingsError, StartError
from server.metrics import METRICS, open_metrics
from server.recent_vectors import RecentVector, RecentVectors
from server.reference import metrics_page
from server.settings import MetricsSettings, load_settings

LOOPBACK = MetricsSettings(listen="127.0.0.1:0")

NONE = RecentVectors(0)
IDLE = SimpleNamespace(in_flight=0, waiting_tokens=0)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path)) as memory:
        yield memory


@pytest.fixture
def calibrations(memory):
    with ThreadPoolExecutor(1) as thread:
        yield Calibrations(memory, thread)


def fill(memory, pool, outcomes):
    prompt = np.ones(2, np.float32)
    sample = NewSample("s", prompt, ("a", "b"), np.ones(1, np.float32), 0.0)
    memory.learn(pool, EmbeddingSpace("test", 2), sample).result(30)
    for number in range(outcomes):
        memory.record(pool, None, NewOutcome(f"{number}", "a", 0.5, 0.0, "s")).result(30)


def read(lines):
    """Everything that a scrape gives, by name and labels."""
    (address,) = [line["address"] for line in lines if line["event"] == "metrics"]
    with urlopen(f"http://{address}/metrics", timeout=30) as reply:
        families = list(text_string_to_metric_families(reply.read().decode()))
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }
    return {family.name: family for family in families}, values


async def test_calls_are_counted_by_method_and_code(memory, calibrations):
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, NONE, IDLE) as metrics:
            for code, seconds in (("OK", 0.003), ("OK", 0.2), ("INTERNAL", 20.0)):
                metrics.observe("/p.S/M", code, seconds)
            _, values = read(lines)
    assert values["pointsman_requests_total", "/p.S/M", "OK"] == 2
    assert values["pointsman_requests_total", "/p.S/M", "INTERNAL"] == 1
    assert values["pointsman_request_seconds_count", "/p.S/M"] == 3
    assert values["pointsman_request_seconds_bucket", "/p.S/M", "0.25"] == 2


async def test_pools_are_as_they_are_when_they_are_read(memory, calibrations):
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, NONE, IDLE):
            assert not any("pool" in str(key) for key in read(lines)[1])
            fill(memory, "p", 3)
            fill(memory, "q", 0)
            fit = replace(nothing_judged(), contradiction=0.97)
            calibrations._held["p"] = Held(fit, True, (1, 1), 1)
            _, values = read(lines)
    assert values["pointsman_pool_samples", "p"] == values["pointsman_pool_samples", "q"] == 1
    assert values["pointsman_pool_outcomes", "p"] == 3
    assert values["pointsman_pool_agreement_contradicted", "p"] == 1
    assert values["pointsman_pool_agreement_contradicted", "q"] == 0
    assert values["pointsman_pool_agreement_contradiction", "p"] == 0.97
    assert ("pointsman_pool_agreement_contradiction", "q") not in values


async def test_the_cache_of_vectors_is_as_it_is_when_it_is_read(memory, calibrations):
    recent = RecentVectors(700)
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, recent, IDLE):
            assert read(lines)[1]["pointsman_vector_cache_entries",] == 0
            for digest in (b"a", b"b", b"c"):
                recent.keep(digest, RecentVector(bytes(8), truncated=False))
            recent.find([b"a", b"b", b"c"])
            recent.misses, recent.shared = 3, 4
            _, values = read(lines)
    cache = {key[0].removeprefix("pointsman_vector_cache_"): each for key, each in values.items()}
    assert (cache["entries"], cache["bytes"]) == (2, recent.bytes)
    assert (cache["hits_total"], cache["misses_total"], cache["shared_total"]) == (2, 3, 4)
    assert cache["evictions_total"] == 1


async def test_how_much_there_is_to_do_is_as_it_is_when_it_is_read(memory, calibrations):
    load = SimpleNamespace(in_flight=0, waiting_tokens=0)
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, NONE, load):
            assert read(lines)[1]["pointsman_requests_in_flight",] == 0
            load.in_flight, load.waiting_tokens = 3, 512
            _, values = read(lines)
    assert values["pointsman_requests_in_flight",] == 3
    assert values["pointsman_encoder_waiting_tokens",] == 512


async def test_what_is_not_known_is_absent(memory, calibrations):
    fill(memory, "p", 1)
    await calibrations.current("p")
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, NONE, IDLE):
            _, values = read(lines)
    assert values["pointsman_pool_agreement_contradicted", "p"] == 0
    assert ("pointsman_pool_agreement_contradiction", "p") not in values


async def test_every_metric_is_in_its_table_and_on_the_page(memory, calibrations):
    fill(memory, "p", 1)
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, RecentVectors(1), IDLE) as metrics:
            metrics.observe("m", "OK", 1.0)
            families, _ = read(lines)
    ours = {
        (f"{name}_total" if family.type == "counter" else name, family.type, family.documentation)
        for name, family in families.items()
        if not name.endswith("_created")
    }
    assert ours == {(name, kind, text) for name, (kind, _, text) in METRICS.items()}
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    assert page == metrics_page()
    assert all(f"| `{name}` |" in page for name in METRICS)


async def test_nothing_listens_unless_it_is_asked_for(memory, calibrations):
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(MetricsSettings(), memory, calibrations, NONE, IDLE) as metrics:
            metrics.observe("m", "OK", 1.0)
    assert lines == []


async def test_the_address_is_free_again_afterwards(memory, calibrations):
    with structlog.testing.capture_logs() as lines:
        async with open_metrics(LOOPBACK, memory, calibrations, NONE, IDLE):
            pass
        again = MetricsSettings(listen=lines[0]["address"])
        async with open_metrics(again, memory, calibrations, NONE, IDLE):
            assert read(lines[1:])


async def test_an_address_that_cannot_be_had_is_refused_by_setting(memory, calibrations):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}", "203.0.113.1:9090"]
        for address in addresses:
            with pytest.raises(StartError, match=r"metrics\.listen"):
                async with open_metrics(
                    MetricsSettings(listen=address), memory, calibrations, NONE, IDLE
                ):
                    pass


@pytest.mark.parametrize("address", ["9090", "127.0.0.1", ":9090", "127.0.0.1:99999"])
def test_an_address_without_host_or_port_is_refused(address):
    with pytest.raises(SettingsError, match=r"metrics\.listen.*host:port"):
        load_settings(None, {"metrics.listen": address})
