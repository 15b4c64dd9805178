"""A server that answers what a test asks it to, called through both clients."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2
from grpc import aio

from pointsman.v1 import (
    admin_service_pb2 as admin,
)
from pointsman.v1 import (
    admin_service_pb2_grpc,
    routing_service_pb2_grpc,
    scoring_service_pb2_grpc,
)
from pointsman.v1 import (
    routing_service_pb2 as routing,
)
from pointsman.v1 import (
    scoring_service_pb2 as scoring,
)
from pointsman.v1 import (
    types_pb2 as types,
)
from tests.unit.client.drivers import AsyncDriver, BlockingDriver

DETAILS_KEY = "grpc-status-details-bin"


@dataclass
class Failure:
    """What a call fails with."""

    code: grpc.StatusCode
    message: str = "It failed."
    details: bytes | None = None


def rich(*details: Any) -> bytes:
    """Serialises google.rpc details as a server sends them."""
    status = status_pb2.Status(code=3, message="It failed.")
    for each in details:
        packed = any_pb2.Any()
        packed.Pack(each)
        status.details.append(packed)
    return status.SerializeToString()


@dataclass
class Fake:
    """Remembers every attempt and answers from the request."""

    attempts: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    failures: dict[str, deque[Failure]] = field(default_factory=lambda: defaultdict(deque))
    held: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    imported: list[Any] = field(default_factory=list)
    stream_order: int = 1
    most_unanswered: int = 0

    def requests(self, rpc: str) -> list[Any]:
        return [request for name, request, _ in self.attempts if name == rpc]

    def metadata(self, rpc: str) -> list[dict[str, str]]:
        return [metadata for name, _, metadata in self.attempts if name == rpc]

    async def begin(self, rpc: str, request: Any, context: Any) -> None:
        self.attempts.append((rpc, request, dict(context.invocation_metadata())))
        self.begun.set()
        if self.held is not None:
            await self.held.wait()
        if self.failures[rpc]:
            failure = self.failures[rpc].popleft()
            trailing = [] if failure.details is None else [(DETAILS_KEY, failure.details)]
            await context.abort(failure.code, failure.message, tuple(trailing))

    async def answering(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yields the items of a stream in the order of their replies."""
        waiting: list[Any] = []
        async for item in items:
            self.attempts.append(("item", item, {}))
            waiting.append(item)
            self.most_unanswered = max(self.most_unanswered, len(waiting))
            if len(waiting) < self.stream_order:
                continue
            while waiting:
                yield waiting.pop()
        while waiting:
            yield waiting.pop()


FAULTS = {
    "bad": types.ItemError(
        code=3,
        reason="INVALID_NAME",
        message="No such name.",
        field_violations=[types.FieldViolation(field="name", description="Is bad.")],
    ),
    "busy": types.ItemError(
        code=8,
        reason="OVERLOADED",
        message="Too much.",
        retry_delay=Duration(seconds=1, nanos=500_000_000),
    ),
}
"""What an item fails with whose pool, or router, has such a name."""


def scored(request: scoring.ScoreGenerationsRequest) -> scoring.ScoreGenerationsResponse:
    """The first answer is the best; the noise of the last voter is unknown.

    With one voter there is no margin and no agreement.
    """
    voters = list(dict.fromkeys(each.voter for each in request.generations))
    response = scoring.ScoreGenerationsResponse(
        best_index=0,
        estimator=request.estimator or scoring.ESTIMATOR_SINGLE,
        neighbours_used=3,
        margin=0.25 if len(voters) > 1 else None,
        margin_standard_error=0.125,
        tied=[0, 1],
        agreement=0.5 if len(voters) > 1 else None,
        encoder_revision="0123456789abcdef",
        pool_revision=7,
        prompt_truncated=True,
        max_tokens=256,
        timings=types.Timings(
            queue_us=1,
            tokenise_us=2,
            encode_us=3,
            recall_us=4,
            estimate_us=5,
            learn_us=6,
            total_us=21,
        ),
    )
    for rank, each in enumerate(request.generations, start=1):
        response.scores.add(
            voter=each.voter,
            weight=0.5,
            noise_variance=0.1 if each.voter != voters[-1] else None,
            rank=rank,
            mean_squared_distance=0.75,
            truncated=rank == 1,
        )
    for rank, voter in enumerate(voters, start=1):
        response.voters.add(
            voter=voter,
            weight=0.5,
            noise_variance=0.1 if voter != voters[-1] else None,
            rank=rank,
            generations=sum(each.voter == voter for each in request.generations),
            samples_used=9,
        )
    if request.learn:
        response.learned.durability = types.DURABILITY_PROCESS
        response.learned.sample_id = request.sample_id
    if request.estimator == scoring.ESTIMATOR_LOCAL:
        response.estimator = scoring.ESTIMATOR_SINGLE
        response.fallback.wanted = scoring.ESTIMATOR_LOCAL
        response.fallback.reason = "POOL_EMPTY"
        response.fallback.message = "The pool has no samples yet."
    if request.estimator == scoring.ESTIMATOR_CALIBRATED:
        response.calibration.agreement_weight = 0.25
        response.calibration.outcomes = 8
        response.calibration.lead = 0.125
        response.calibration.lead_low = -0.5
        response.calibration.lead_high = 0.75
        response.calibration.contradicted = True
        response.voters[0].expected_quality = 0.0
        response.voters[0].expected_quality_standard_error = 0.25
    return response


class FakeScoring(scoring_service_pb2_grpc.ScoringServiceServicer):
    def __init__(self, fake: Fake) -> None:
        self.fake = fake

    async def ScoreGenerations(self, request, context):
        await self.fake.begin("ScoreGenerations", request, context)
        return scored(request)

    async def ScoreGenerationsStream(self, request_iterator, context):
        await self.fake.begin("ScoreGenerationsStream", None, context)
        async for item in self.fake.answering(request_iterator):
            if error := FAULTS.get(item.request.pool):
                yield scoring.ScoreGenerationsStreamResponse(id=item.id, error=error)
            else:
                yield scoring.ScoreGenerationsStreamResponse(
                    id=item.id, response=scored(item.request)
                )


def routed(request: routing.RoutePromptRequest) -> routing.RoutePromptResponse:
    """One candidate is chosen; of several, atlas, and that only as a fallback."""
    if len(request.candidates) == 1:
        return routing.RoutePromptResponse(model=request.candidates[0])
    response = routing.RoutePromptResponse(
        model="atlas",
        margin=0.5,
        entropy=0.25,
        abstained=True,
        fallback=routing.RoutingFallback(reason="UNSURE", message="The margin is small."),
        router_revision="r1",
        neighbours_used=4,
        voters_used=5,
        timings=types.Timings(total_us=9),
        prompt_truncated=True,
        router=request.router,
    )
    response.ranking.add(model="atlas", score=2.0, probability=0.75, cost=0.0)
    response.ranking.add(model="borealis", score=1.5)
    return response


class FakeRouting(routing_service_pb2_grpc.RoutingServiceServicer):
    def __init__(self, fake: Fake) -> None:
        self.fake = fake

    async def RoutePrompt(self, request, context):
        await self.fake.begin("RoutePrompt", request, context)
        return routed(request)

    async def RoutePromptStream(self, request_iterator, context):
        await self.fake.begin("RoutePromptStream", None, context)
        async for item in self.fake.answering(request_iterator):
            if error := FAULTS.get(item.request.router):
                yield routing.RoutePromptStreamResponse(id=item.id, error=error)
            else:
                yield routing.RoutePromptStreamResponse(id=item.id, response=routed(item.request))

    async def RecordOutcome(self, request, context):
        await self.fake.begin("RecordOutcome", request, context)
        receipt = types.WriteReceipt(
            durability=types.DURABILITY_DEVICE, sample_id=request.sample_id
        )
        return routing.RecordOutcomeResponse(recorded=receipt, outcome_id=request.outcome_id)


SPACE = admin.EmbeddingSpace(id="caller", dimension=2)


def described_pool(name: str) -> admin.Pool:
    pool = admin.Pool(name=name, space=SPACE, samples=3, capacity=10, revision=4, outcomes=2)
    pool.agreement_contradicted = name == "two"
    pool.voters.add(voter="a", samples=3, noise_variance=-0.5)
    pool.voters.add(voter="b", samples=1)
    pool.create_time.FromDatetime(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC))
    return pool


def described_router(name: str) -> admin.Router:
    if name == "waiting":
        return admin.Router(name=name, kind="smoothie", revision="0")
    router = admin.Router(name=name, kind="knn", revision="r1", models=["a", "b"], space=SPACE)
    router.load_time.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
    return router


class FakeAdmin(admin_service_pb2_grpc.AdminServiceServicer):
    def __init__(self, fake: Fake) -> None:
        self.fake = fake

    async def ListPools(self, request, context):
        await self.fake.begin("ListPools", request, context)
        return admin.ListPoolsResponse(pools=[described_pool("one"), described_pool("two")])

    async def GetPool(self, request, context):
        await self.fake.begin("GetPool", request, context)
        return admin.GetPoolResponse(pool=described_pool(request.pool))

    async def DeletePool(self, request, context):
        await self.fake.begin("DeletePool", request, context)
        return admin.DeletePoolResponse(samples=3)

    async def ExportSamples(self, request, context):
        await self.fake.begin("ExportSamples", request, context)
        header = admin.SamplesHeader(pool=request.pool, space=SPACE)
        yield admin.ExportSamplesResponse(header=header)
        for message in self.fake.imported:
            # The items of both streams have the same numbers.
            yield admin.ExportSamplesResponse.FromString(message.SerializeToString())

    async def ImportSamples(self, request_iterator, context):
        await self.fake.begin("ImportSamples", None, context)
        self.fake.imported = [message async for message in request_iterator]
        kinds = [message.WhichOneof("item") for message in self.fake.imported]
        return admin.ImportSamplesResponse(
            imported=kinds.count("sample"),
            skipped=1,
            durability=types.DURABILITY_PROCESS,
            expired=2,
            outcomes_imported=kinds.count("outcome"),
            outcomes_skipped=3,
            outcomes_expired=4,
        )

    async def ListRouters(self, request, context):
        await self.fake.begin("ListRouters", request, context)
        return admin.ListRoutersResponse(routers=[described_router("knn")])

    async def GetRouter(self, request, context):
        await self.fake.begin("GetRouter", request, context)
        return admin.GetRouterResponse(router=described_router(request.router))

    async def ReloadRouter(self, request, context):
        await self.fake.begin("ReloadRouter", request, context)
        return admin.ReloadRouterResponse(router=described_router(request.router))


@dataclass
class Served:
    """The fake, and where it listens."""

    fake: Fake
    unix: str
    tcp: str


@pytest.fixture
async def served(tmp_path) -> AsyncIterator[Served]:
    fake = Fake()
    server = aio.server()
    scoring_service_pb2_grpc.add_ScoringServiceServicer_to_server(FakeScoring(fake), server)
    routing_service_pb2_grpc.add_RoutingServiceServicer_to_server(FakeRouting(fake), server)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(FakeAdmin(fake), server)
    unix = f"unix:{tmp_path}/s"
    server.add_insecure_port(unix)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Served(fake, unix, f"127.0.0.1:{port}")
    await server.stop(None)


@pytest.fixture
def fake(served) -> Fake:
    return served.fake


@pytest.fixture(params=[BlockingDriver, AsyncDriver], ids=["blocking", "aio"])
def driver_kind(request):
    return request.param


@pytest.fixture
async def driver(served, driver_kind):
    driver = driver_kind(served.unix)
    yield driver
    await driver.close()


@pytest.fixture
def fail(fake):
    """Makes the next calls of an RPC fail."""

    def plan(rpc: str, *failures: Failure) -> None:
        fake.failures[rpc].extend(failures)

    return plan


@pytest.fixture
def failure():
    return Failure


@pytest.fixture
def rich_details():
    return rich
