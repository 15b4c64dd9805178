"""A text that comes again over the wire: the same answer, with no run of the encoder."""

import json
import urllib.request

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pointsman.v1 import (
    routing_service_pb2,
    routing_service_pb2_grpc,
    scoring_service_pb2_grpc,
    types_pb2,
)
from tests.server_process import ServerProcess
from tests.wire.test_scoring import text_request


@pytest.fixture(scope="module", params=[1_000_000, 0], ids=["kept", "off"])
def kept(request, tmp_path_factory):
    """A server of its own, and whether it keeps vectors."""
    flags = ["--set", "metrics.listen=127.0.0.1:0", "--set", f"cache.bytes={request.param}"]
    flags += ["--set", "routers.hoping.kind=smoothie", "--set", "routers.hoping.pool=p"]
    with ServerProcess(tmp_path_factory.mktemp("kept"), *flags) as server:
        yield server, bool(request.param)


def counts(server):
    """What Prometheus reads of the cache."""
    events = [json.loads(line) for line in server.log.read_text().splitlines()]
    (address,) = [each["address"] for each in events if each["event"] == "metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as reply:
        families = list(text_string_to_metric_families(reply.read().decode()))
    prefix = "pointsman_vector_cache_"
    return {
        sample.name.removeprefix(prefix): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


def grown(server, before):
    after = counts(server)
    return {name: after[name] - before[name] for name in ("hits_total", "misses_total")}


def without_times(reply):
    bare = type(reply)()
    bare.CopyFrom(reply)
    bare.ClearField("timings")
    return bare


def test_texts_that_come_again_are_answered_without_the_encoder(kept):
    server, on = kept
    with grpc.insecure_channel(server.target) as channel:
        scoring = scoring_service_pb2_grpc.ScoringServiceStub(channel)
        request = text_request(pool="p")
        first = scoring.ScoreGenerations(request, timeout=60)
        before = counts(server)
        again = scoring.ScoreGenerations(request, timeout=60)
    texts = 1 + len(request.generations)
    assert grown(server, before) == {"hits_total": texts * on, "misses_total": 0}
    assert first.timings.encode_us > 0
    assert (again.timings.encode_us == again.timings.tokenise_us == 0) == on
    assert first.best_index == again.best_index
    if on:
        assert without_times(first) == without_times(again)


def test_a_prompt_that_was_scored_is_routed_without_the_encoder(kept):
    server, on = kept
    with grpc.insecure_channel(server.target) as channel:
        scoring = scoring_service_pb2_grpc.ScoringServiceStub(channel)
        request = text_request(pool="p", learn=True)
        scoring.ScoreGenerations(request, timeout=60)
        routing = routing_service_pb2_grpc.RoutingServiceStub(channel)
        before = counts(server)
        reply = routing.RoutePrompt(
            routing_service_pb2.RoutePromptRequest(
                router="hoping", prompt=types_pb2.Prompt(text=request.prompt.text)
            ),
            timeout=60,
        )
    assert grown(server, before) == {"hits_total": int(on), "misses_total": 0}
    assert (reply.timings.encode_us == 0) == on
