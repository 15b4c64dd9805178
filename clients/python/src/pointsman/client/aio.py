"""The client for asyncio."""

# ruff: noqa: ASYNC109  a timeout is the deadline of the call, which the server must know

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING

import grpc

from pointsman.client import replies
from pointsman.client.aio_admin import AsyncAdminCalls
from pointsman.client.aio_calls import AsyncFeed, exchange, send
from pointsman.client.aio_stubs import AsyncStubs
from pointsman.client.calls import require_places
from pointsman.client.connection import DEFAULT_TARGET, ChannelOptions, Connection
from pointsman.client.errors import PointsmanError
from pointsman.client.requests import (
    Answer,
    Generations,
    RouteRequest,
    ScoreRequest,
    outcome_message,
    route_item,
    route_message,
    score_item,
    score_message,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pointsman.client.policies import Policy, Stickiness
    from pointsman.client.results import OutcomeResult, RouteResult, ScoreResult


class AsyncClient(AsyncAdminCalls):
    """As `Client`, for asyncio. It connects at its first call, and belongs to that event loop.

    Takes the arguments of `Client`, has its methods, and raises its errors. `score_many`,
    `route_many` and `import_samples` take an asynchronous iterable as well.
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
        self._stubs = AsyncStubs(self._connection)

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
        await self._stubs.close()

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
            self._stubs.scoring.ScoreGenerationsStream, feed, call, replies.score_item_result
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
        request = RouteRequest(
            prompt=prompt,
            router=router,
            candidates=candidates,
            denied=denied,
            policy=policy,
            stickiness=stickiness,
            embedding_space=embedding_space,
        )
        call = self._connection.call(timeout, request_id)
        message = route_message(request)
        reply = await send(self._stubs.routing.RoutePrompt, message, call)
        return replies.route_result(reply, call.request_id)

    def route_many(
        self,
        requests: Iterable[RouteRequest] | AsyncIterable[RouteRequest],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> AsyncGenerator[tuple[int, RouteResult | PointsmanError], None]:
        """As `Client.route_many`."""
        call = self._connection.stream(timeout, request_id)
        feed = AsyncFeed(requests, route_item, in_flight=require_places(in_flight))
        return exchange(
            self._stubs.routing.RoutePromptStream, feed, call, replies.route_item_result
        )

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
