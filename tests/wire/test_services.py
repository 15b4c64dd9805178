"""The other services over the wire: health, reflection, administration of pools."""

import json
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from pointsman.v1 import admin_service_pb2 as pb
from pointsman.v1 import admin_service_pb2_grpc, scoring_service_pb2_grpc, types_pb2
from tests.wire.test_scoring import error_of, text_request, vector_request

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.target) as channel:
        yield channel


@pytest.fixture
def scoring(channel):
    return scoring_service_pb2_grpc.ScoringServiceStub(channel)


@pytest.fixture
def admin(channel):
    return admin_service_pb2_grpc.AdminServiceStub(channel)


@pytest.mark.parametrize(
    ("service", "status"),
    [
        ("", SERVING),
        ("pointsman.v1.ScoringService", SERVING),
        ("pointsman.v1.AdminService", SERVING),
        ("pointsman.v1.RoutingService", SERVING),
    ],
)
def test_each_service_has_its_health(channel, service, status):
    reply = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service)
    )
    assert reply.status == status


def test_reflection_names_every_service(channel):
    assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) >= {
        "pointsman.v1.ScoringService",
        "pointsman.v1.RoutingService",
        "pointsman.v1.AdminService",
        "grpc.health.v1.Health",
    }


def test_a_pool_is_described(scoring, admin):
    began = time.time()
    for _ in range(3):
        scoring.ScoreGenerations(vector_request("described", learn=True))
    pool = admin.GetPool(pb.GetPoolRequest(pool="described")).pool
    assert (pool.name, pool.samples, pool.revision) == ("described", 3, 3)
    assert (pool.space.id, pool.space.dimension) == ("vectors/caller", 2)
    assert [voter.voter for voter in pool.voters] == ["v0", "v1", "v2", "v3"]
    assert [voter.samples for voter in pool.voters] == [3] * 4
    assert max(pool.voters, key=lambda voter: voter.noise_variance).voter == "v3"
    assert began - 1 <= pool.oldest_sample_time.ToSeconds() <= time.time()
    assert "described" in [each.name for each in admin.ListPools(pb.ListPoolsRequest()).pools]


def test_a_pool_can_be_moved(scoring, admin):
    for index in range(300):
        request = vector_request("moved", prompt=(index, 1), learn=True, sample_id=f"s{index}")
        scoring.ScoreGenerations(request)
    exported = list(admin.ExportSamples(pb.ExportSamplesRequest(pool="moved")))
    assert [each.sample.sample_id for each in exported[1:]] == [f"s{i}" for i in range(300)]

    def imported(header_pool):
        yield pb.ImportSamplesRequest(
            header=pb.SamplesHeader(pool=header_pool, space=exported[0].header.space)
        )
        for each in exported[1:]:
            yield pb.ImportSamplesRequest(sample=each.sample)

    reply = admin.ImportSamples(imported("arrived"))
    assert (reply.imported, reply.skipped) == (300, 0)
    assert reply.durability == types_pb2.DURABILITY_PROCESS
    again = admin.ImportSamples(imported("arrived"))
    assert (again.imported, again.skipped) == (0, 300)
    assert list(admin.ExportSamples(pb.ExportSamplesRequest(pool="arrived")))[1:] == exported[1:]
    here, there = (
        scoring.ScoreGenerations(vector_request(pool, prompt=(7, 1))).scores
        for pool in ("moved", "arrived")
    )
    assert here == there


def test_a_bad_import_is_refused_by_field(admin):
    space = pb.EmbeddingSpace(id="vectors/caller", dimension=2)
    header = pb.ImportSamplesRequest(header=pb.SamplesHeader(pool="import", space=space))
    bad = pb.ImportSamplesRequest(sample=pb.Sample(sample_id="s", voters=["a", "b"]))
    late = pb.ImportSamplesRequest(sample=pb.Sample(sample_id="s", voters=["a"]))
    late.sample.learn_time.seconds = 10**17
    last = pb.ImportSamplesRequest(sample=late.sample)
    last.sample.learn_time.FromJsonString("9999-12-31T23:59:59.999999999Z")
    good = pb.ImportSamplesRequest(sample=pb.Sample(sample_id="g", voters=["a"]))
    good.sample.prompt.values.extend([1, 2])
    for items, field in (
        ([], "header"),
        ([bad], "header"),
        ([header, header], "items[0].sample"),
        ([header, bad], "items[0].sample.distances_float32_le"),
        ([header, good, good, late], "items[2].sample.learn_time"),
        ([header, last], "items[0].sample.learn_time"),
    ):
        code, _, fields = error_of(lambda items=items: admin.ImportSamples(iter(items)))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert field in fields
    assert admin.GetPool(pb.GetPoolRequest(pool="import")).pool.samples == 1


def test_an_import_of_too_many_voters_is_refused_at_once(admin):
    space = pb.EmbeddingSpace(id="vectors/caller", dimension=2)
    header = pb.ImportSamplesRequest(header=pb.SamplesHeader(pool="many", space=space))
    sample = pb.Sample(sample_id="s", voters=[""] * 100_000)
    items = [header, pb.ImportSamplesRequest(sample=sample)]
    code, _, fields = error_of(lambda: admin.ImportSamples(iter(items)))
    assert (code, fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["items[0].sample.voters"])


def test_a_deleted_pool_is_gone(scoring, admin):
    scoring.ScoreGenerations(vector_request("deleted", learn=True))
    assert admin.DeletePool(pb.DeletePoolRequest(pool="deleted")).samples == 1
    for call in (
        lambda: admin.GetPool(pb.GetPoolRequest(pool="deleted")),
        lambda: admin.DeletePool(pb.DeletePoolRequest(pool="deleted")),
        lambda: list(admin.ExportSamples(pb.ExportSamplesRequest(pool="deleted"))),
    ):
        code, reason, _ = error_of(call)
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "POOL_NOT_FOUND")
    assert scoring.ScoreGenerations(vector_request("deleted")).pool_revision == 0


def log_with(server, request_id: str) -> str:
    """The log, once it has the line of a call, which may come after the reply."""
    deadline = time.monotonic() + 10
    while request_id not in (text := server.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return text


def test_the_log_is_json_with_the_request_id_and_without_the_prompt(server, scoring):
    request = text_request("logged")
    request.prompt.text = "the-secret-prompt"
    request.generations[0].text = "the-secret-answer"
    scoring.ScoreGenerations(request, metadata=(("x-request-id", "log-1"),))
    request.neighbours = 0
    error_of(lambda: scoring.ScoreGenerations(request, metadata=(("x-request-id", "log-2"),)))
    text = log_with(server, "log-2")
    lines = {line.get("request_id"): line for line in map(json.loads, text.splitlines())}
    assert lines["log-1"]["code"] == "OK"
    assert lines["log-2"]["code"] == "INVALID_ARGUMENT"
    assert lines["log-1"]["method"] == "/pointsman.v1.ScoringService/ScoreGenerations"
    assert "the-secret" not in text
