"""The blocking client."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING

import grpc

from pointsman.client import replies
from pointsman.client.blocking_admin import AdminCalls
from pointsman.client.calls import Feed, exchange, require_places, send
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
from pointsman.v1 import (
    admin_service_pb2_grpc,
    routing_service_pb2_grpc,
    scoring_service_pb2_grpc,
)

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pointsman.client.policies import Policy, Stickiness
    from pointsman.client.results import OutcomeResult, RouteResult, ScoreResult


class Client(AdminCalls):
    """A connection to a Pointsman server. Safe to share between threads.

    Every method raises `PointsmanError` where the call fails, and `TypeError` or `ValueError`,
    before anything is sent, where an argument has no form that could be sent.

    Args:
        target: `host:port`, `unix:/path/to.sock`, or a name of gRPC: `dns:///host:port`,
            `ipv4:address:port` or `ipv6:[address]:port`.
        timeout: Seconds that a call may take where it doesn't say; None for no limit. Streams
            (`score_many`, `route_many`, `export_samples`, `import_samples`) have only their own.
        credentials: For TLS; None for a plain connection.
        retries: Further attempts, up to 4, of a call that fails with UNAVAILABLE, and only of
            such a call. `delete_pool` is never repeated.
        wait_for_ready: Waits, up to the timeout, for a server that isn't there yet, instead of
            failing with UNAVAILABLE.
        options: Channel options of gRPC; they win over the client's own.

    Raises:
        ValueError: The target or the number of retries is invalid.
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
        self._channel = _open(self._connection)
        self._scoring = scoring_service_pb2_grpc.ScoringServiceStub(self._channel)
        self._routing = routing_service_pb2_grpc.RoutingServiceStub(self._channel)
        self._admin = admin_service_pb2_grpc.AdminServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. Calls in flight, and all later ones, fail with CANCELLED."""
        self._connection.closed.set()
        self._channel.close()

    def score(
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
        """Ranks the answers to one prompt, without labels.

        Prompt and answers are all text or all vectors, (d,) of one dimension.

        Args:
            prompt: What was asked.
            generations: The answers: a mapping from voter to answer, or to the list of its
                samples; or a sequence of `(voter, answer)` or `Generation`.
            pool: The pool whose samples are recalled and learned; the default pool if empty.
            learn: Adds this sample to the pool once the reply is decided.
            estimator: An `Estimator` or its name; the server chooses if None.
            neighbours: How many prompts Local rests on, this one included.
            embedding: An `Embedding` or its name; the pool's own if None.
            embedding_space: Names the caller's encoder, where vectors are sent.
            sample_id: Names the sample, so that learning it twice adds it once. A sample of this
                name that the pool holds already is left out of the estimate, for it is this one.
                Made here if None and `learn`, and the same in every retry.
            timeout: Seconds; the client's if None.
            request_id: Names the call in the server's log; made here if None.
        """
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
        reply = send(self._scoring.ScoreGenerations, message, call)
        return replies.score_result(reply, call.request_id)

    def score_many(
        self,
        requests: Iterable[ScoreRequest],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Generator[tuple[int, ScoreResult | PointsmanError], None, None]:
        """Scores many prompts over one stream.

        A bad item fails alone: its error is yielded, not raised. What ends the whole stream is
        raised, be it a `PointsmanError` or what `requests` itself raised.

        Args:
            requests: Pulled in a thread of gRPC, as replies make room.
            in_flight: Most items that are sent and not answered.
            timeout: Seconds for the whole stream; no limit if None.
            request_id: Names the stream in the server's log; made here if None.

        Yields:
            The index of a request and its result or error, as they are ready.
        """
        call = self._connection.stream(timeout, request_id)
        feed = Feed(requests, score_item, in_flight=require_places(in_flight))
        return exchange(self._scoring.ScoreGenerationsStream, feed, call, replies.score_item_result)

    def route(
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
        """Chooses the model that should answer a prompt.

        Args:
            prompt: What will be asked: text, or a vector (d,).
            router: Name of the router; the server's default if empty.
            candidates: Only these models may be chosen; all that the router knows if empty.
            denied: These models may not be chosen.
            policy: How a model is chosen from the scores; the best score if None.
            stickiness: Stays with the model of the turn before unless another leads it.
            embedding_space: Names the caller's encoder, where a vector is sent.
            timeout: Seconds; the client's if None.
            request_id: Names the call in the server's log; made here if None.
        """
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
        reply = send(self._routing.RoutePrompt, message, call)
        return replies.route_result(reply, call.request_id)

    def route_many(
        self,
        requests: Iterable[RouteRequest],
        *,
        in_flight: int = 32,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Generator[tuple[int, RouteResult | PointsmanError], None, None]:
        """Chooses the models of many prompts over one stream.

        Errors are yielded and raised as by `score_many`.

        Args:
            requests: Pulled in a thread of gRPC, as replies make room.
            in_flight: Most items that are sent and not answered.
            timeout: Seconds for the whole stream; no limit if None.
            request_id: Names the stream in the server's log; made here if None.

        Yields:
            The index of a request and its result or error, as they are ready.
        """
        call = self._connection.stream(timeout, request_id)
        feed = Feed(requests, route_item, in_flight=require_places(in_flight))
        return exchange(self._routing.RoutePromptStream, feed, call, replies.route_item_result)

    def record_outcome(
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
        """Tells how good an answer turned out to be.

        Args:
            quality: From 0 to 1.
            model: The model, or voter, that answered.
            sample_id: The learned sample that the answer belongs to; or else
            prompt: the prompt that was answered. Exactly one of the two.
            pool: The pool that keeps the outcome; the default pool if empty.
            outcome_id: Names the outcome, so that recording it twice adds it once. Made here if
                None, and the same in every retry.
            embedding_space: Names the caller's encoder, where a vector is sent.
            timeout: Seconds; the client's if None.
            request_id: Names the call in the server's log; made here if None.
        """
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
        reply = send(self._routing.RecordOutcome, message, call)
        return replies.outcome_result(reply, call.request_id)


def _open(connection: Connection) -> grpc.Channel:
    target, options = connection.target, connection.options
    if connection.credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, connection.credentials, options)
