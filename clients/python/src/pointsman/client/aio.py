"""The client for asyncio."""

# ruff: noqa: ASYNC109  a timeout is the deadline of the call, which the server must know

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from pointsman.client import replies
from pointsman.client.aio_calls import AsyncFeed, exchange, receive, send, send_all
from pointsman.client.calls import require_places
from pointsman.client.connection import DEFAULT_TARGET, ChannelOptions, Connection
from pointsman.client.errors import PointsmanError
from pointsman.client.requests import (
    Answer,
    Generations,
    ScoreRequest,
    import_header,
    import_item,
    outcome_message,
    route_message,
    score_item,
    score_message,
)
from pointsman.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    routing_service_pb2_grpc,
    scoring_service_pb2_grpc,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pointsman.client.inventory import EmbeddingSpace, ImportResult, Pool, Router, Sample
    from pointsman.client.policies import Policy, Stickiness
    from pointsman.client.results import OutcomeResult, RouteResult, ScoreResult


@dataclass(frozen=True, slots=True)
class _Stubs:
    channel: aio.Channel
    scoring: scoring_service_pb2_grpc.ScoringServiceAsyncStub
    routing: routing_service_pb2_grpc.RoutingServiceAsyncStub
    admin: admin_service_pb2_grpc.AdminServiceAsyncStub


class AsyncClient:
    """As `Client`, for asyncio. It connects at its first call, and belongs to that event loop.

    Takes the arguments of `Client`, has its methods, and raises its errors. `score_many` and
    `import_samples` take an asynchronous iterable as well.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout: float | None = 5.0,
        credentials: grpc.ChannelCredentials | None = None,
        retries: int = 3,
        wait_for_ready: bool = False,
        options: ChannelOptions = (),
    ) -> None:
        self._connection = Connection.make(
            target,
            timeout=timeout,
            credentials=credentials,
            retries=retries,
            wait_for_ready=wait_for_ready,
            options=options,
        )
        # A channel of grpc.aio belongs to the event loop that it is opened in, and there may be
        # none yet.
        self._opened: _Stubs | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Client.close`."""
        self._connection.closed.set()
        if self._opened is not None:
            await self._opened.channel.close()

    @property
    def _stubs(self) -> _Stubs:
        if self._opened is None:
            self._opened = _open(self._connection)
        return self._opened

    async def score(
        self,
        prompt: Answer,
        generations: Generations,
        *,
        pool: str = "",
        learn: bool = False,
        estimator: str | None = None,
        neighbours: int | None = None,
        embedding: str | None = None,
        embedding_space: str = "",
        sample_id: str | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> ScoreResult:
        """As `Client.score`."""
        request = ScoreRequest(
            prompt=prompt,
            generations=generations,
            pool=pool,
            learn=learn,
            estimator=estimator,
            neighbours=neighbours,
            embedding=embedding,
            embedding_space=embedding_space,
            sample_id=sample_id,
        )
        call = self._connection.call(timeout, request_id)
        message = score_message(request)
        reply = await send(self._stubs.scoring.ScoreGenerations, message, call)
        return replies.score_result(reply, call.request_id)

    def score_many(
        self,
        requests: Iterable[ScoreRequest] | AsyncIterable[ScoreRequest],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[tuple[int, ScoreResult | PointsmanError], None]:
        """As `Client.score_many`."""
        call = self._connection.stream(timeout, request_id)
        feed = AsyncFeed(requests, score_item, in_flight=require_places(in_flight))
        return exchange(
            self._stubs.scoring.ScoreGenerationsStream,
            feed,
            call,
            lambda reply: replies.score_item_result(reply, call.request_id),
        )

    async def route(
        self,
        prompt: Answer,
        *,
        router: str = "",
        candidates: Sequence[str] = (),
        denied: Sequence[str] = (),
        policy: Policy | None = None,
        stickiness: Stickiness | None = None,
        embedding_space: str = "",
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> RouteResult:
        """As `Client.route`."""
        message = route_message(
            prompt,
            router=router,
            candidates=candidates,
            denied=denied,
            policy=policy,
            stickiness=stickiness,
            embedding_space=embedding_space,
        )
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.routing.RoutePrompt, message, call)
        return replies.route_result(reply, call.request_id)

    async def record_outcome(
        self,
        quality: float,
        *,
        model: str,
        sample_id: str | None = None,
        prompt: Answer | None = None,
        pool: str = "",
        outcome_id: str | None = None,
        embedding_space: str = "",
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> OutcomeResult:
        """As `Client.record_outcome`."""
        message = outcome_message(
            quality,
            model=model,
            sample_id=sample_id,
            prompt=prompt,
            pool=pool,
            outcome_id=outcome_id,
            embedding_space=embedding_space,
        )
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.routing.RecordOutcome, message, call)
        return replies.outcome_result(reply, call.request_id)

    async def pools(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Pool, ...]:
        """As `Client.pools`."""
        message = admin_service_pb2.ListPoolsRequest()
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.admin.ListPools, message, call)
        return tuple(replies.pool(each) for each in reply.pools)

    async def pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Pool:
        """As `Client.pool`."""
        message = admin_service_pb2.GetPoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return replies.pool((await send(self._stubs.admin.GetPool, message, call)).pool)

    async def delete_pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> int:
        """As `Client.delete_pool`."""
        message = admin_service_pb2.DeletePoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return (await send(self._stubs.admin.DeletePool, message, call)).samples

    def export_samples(
        self, pool: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> AsyncGenerator[Sample, None]:
        """As `Client.export_samples`."""
        message = admin_service_pb2.ExportSamplesRequest(pool=pool)
        call = self._connection.stream(timeout, request_id)
        return receive(self._stubs.admin.ExportSamples, message, call, replies.exported_samples)

    async def import_samples(
        self,
        pool: str,
        samples: Iterable[Sample] | AsyncIterable[Sample],
        *,
        space: EmbeddingSpace,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> ImportResult:
        """As `Client.import_samples`."""
        call = self._connection.stream(timeout, request_id)
        feed = AsyncFeed(samples, import_item, header=import_header(pool, space))
        reply = await send_all(self._stubs.admin.ImportSamples, feed, call)
        return replies.import_result(reply)

    async def routers(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Router, ...]:
        """As `Client.routers`."""
        message = admin_service_pb2.ListRoutersRequest()
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.admin.ListRouters, message, call)
        return tuple(replies.router(each) for each in reply.routers)

    async def router(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Router:
        """As `Client.router`."""
        message = admin_service_pb2.GetRouterRequest(router=name)
        call = self._connection.call(timeout, request_id)
        return replies.router((await send(self._stubs.admin.GetRouter, message, call)).router)

    async def reload_router(
        self,
        name: str,
        *,
        directory: str = "",
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Router:
        """As `Client.reload_router`."""
        message = admin_service_pb2.ReloadRouterRequest(router=name, directory=directory)
        call = self._connection.call(timeout, request_id)
        return replies.router((await send(self._stubs.admin.ReloadRouter, message, call)).router)


def _open(connection: Connection) -> _Stubs:
    target, options = connection.target, connection.options
    if connection.credentials is None:
        channel = aio.insecure_channel(target, options)
    else:
        channel = aio.secure_channel(target, connection.credentials, options)
    return _Stubs(
        channel,
        scoring_service_pb2_grpc.ScoringServiceStub(channel),
        routing_service_pb2_grpc.RoutingServiceStub(channel),
        admin_service_pb2_grpc.AdminServiceStub(channel),
    )
