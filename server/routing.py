"""The straight way of one RoutePrompt: router, encode, score, choose."""

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.errors import (
    InvalidArrayError,
    PoolNotFoundError,
    RouterUnreadyError,
    SpaceMismatchError,
)
from scoring.memory import EmbeddingSpace, Memory
from scoring.routers import RouterFallback
from server.deciding import decide, may_fall_back, not_allowed, require_allowed
from server.encoding import EncodedPrompt, encode_prompt
from server.pool_scores import PoolRouter, PoolScores, Scored, Unscored, score_alike
from server.requests import Decision, PromptVector, RouteReply, RouteRequest, Timings
from server.routers.registry import RouterRegistry
from server.routers.values import ServedRouter
from server.spaces import pool_revision, prompt_space
from server.worker import EstimateWorker

_WARM_UP = RouteRequest(router="", prompt="Which model should answer this?")


class _Decided(NamedTuple):
    decision: Decision
    revision: str
    recall_seconds: float
    estimate_seconds: float


class Routing:
    """Takes a prompt through one router.

    Args:
        memory: The pools.
        worker: Scores and chooses, but for what `pool_scores` does.
        pool_scores: Scores by routers over pools that recall few samples.
    """

    def __init__(self, memory: Memory, worker: EstimateWorker, pool_scores: PoolScores) -> None:
        self._memory = memory
        self._worker = worker
        self._pool_scores = pool_scores

    async def route(self, router: ServedRouter, request: RouteRequest) -> RouteReply:
        """Chooses a model.

        Raises:
            UnknownModelError: A candidate, or a model of the policy, is not of the router.
            NoCandidateError: The request or its policy allows no model.
            PolicyNeedsCostsError: The policy weighs costs, and none is known.
            SpaceMismatchError: The vector is of another space than the router's.
            RouterUnreadyError: The router has nothing to score with, and no fallback.
            EncodingFailedError: The encoder failed.
        """
        began = time.perf_counter()
        timings = Timings()
        self._require_answerable(router, request)
        prompt = await encode_prompt(router.served.encoder, request.prompt, timings)
        sent = time.perf_counter()
        decided = await self._decided(router, request, prompt)
        ended = time.perf_counter()
        timings.recall = decided.recall_seconds
        timings.estimate = decided.estimate_seconds
        timings.queue += ended - sent - timings.recall - timings.estimate
        timings.total = ended - began
        return RouteReply(
            decided.decision, router.name, decided.revision, timings, prompt.truncated
        )

    async def warm_up(self, router: ServedRouter) -> None:
        """Sends a real prompt through a router. One whose pool is not ready yet stays cold.

        Raises:
            PointsmanError: The router does not work.
        """
        if router.pool and not self._memory.has(router.pool):
            return
        try:
            await self.route(router, _WARM_UP)
        except (RouterUnreadyError, SpaceMismatchError):
            if not router.pool:
                raise

    def _require_answerable(self, router: ServedRouter, request: RouteRequest) -> None:
        """Refuses what can be refused before any work is done for it."""
        prompt = request.prompt
        if router.models is not None:
            require_allowed(request, router.models, growing=False)
        if router.space is not None:
            if isinstance(prompt, PromptVector):
                _require_same(router.space, prompt)
        else:
            try:
                self._memory.require_space(router.pool, self._space(router, prompt))
            except PoolNotFoundError:
                _fall_back(router, request, _no_pool(router.pool))

    def _space(self, router: ServedRouter, prompt: str | PromptVector) -> EmbeddingSpace:
        return prompt_space(self._memory, router.pool, router.served.identity, prompt)

    async def _decided(
        self, router: ServedRouter, request: RouteRequest, prompt: EncodedPrompt
    ) -> _Decided:
        vector = np.ascontiguousarray(prompt.vector)
        if not isinstance(router.router, PoolRouter):
            run = self._worker.run_small if router.is_quick else self._worker.run
            return await run(_decide_by, router, request, vector)
        # The pool may have come, or come anew, in another space since the request was checked.
        asked = Unscored(router.router, self._space(router, request.prompt), vector)
        revision = pool_revision(self._memory, router.pool, router.router.kind)
        began = time.perf_counter()
        try:
            if router.is_quick:
                scored = await self._pool_scores.run(asked)
            else:
                scored = (await self._worker.run(score_alike, [asked]))[0]
        except RouterUnreadyError as error:
            decision = _fall_back(router, request, error)
            return _Decided(decision, revision, 0.0, time.perf_counter() - began)
        return _decide(router, request, scored, revision)


class RoutingPipeline:
    """Finds the router of a request, and keeps it whole until the reply is there.

    Args:
        routers: By name.
        routing: Does the work.
    """

    def __init__(self, routers: RouterRegistry, routing: Routing) -> None:
        self._routers = routers
        self._routing = routing

    async def route(self, request: RouteRequest) -> RouteReply:
        """Chooses a model for one prompt.

        Raises:
            RouterNotFoundError: There is no router of this name.
            PointsmanError: As `Routing.route`.
        """
        with self._routers.use(request.router) as router:
            return await self._routing.route(router, request)


def _decide_by(
    router: ServedRouter, request: RouteRequest, vector: NDArray[np.float32]
) -> _Decided:
    began = time.perf_counter()
    scores = router.router.score(vector[None])
    scored = Scored(scores, time.perf_counter() - began)
    return _decide(router, request, scored, router.revision)


def _decide(router: ServedRouter, request: RouteRequest, scored: Scored, revision: str) -> _Decided:
    began, recall = time.perf_counter(), scored.scores.recall_seconds
    try:
        decision = decide(router, request, scored.scores, growing=router.models is None)
    except RouterUnreadyError as error:
        decision = _fall_back(router, request, error)
    estimate = scored.seconds - recall + time.perf_counter() - began
    return _Decided(decision, revision, recall, estimate)


def _fall_back(router: ServedRouter, request: RouteRequest, error: RouterUnreadyError) -> Decision:
    """Abstains where a router has nothing to score with.

    Raises:
        RouterUnreadyError: There is no fallback, or it may not be called.
    """
    model = router.section.fallback
    if model is None:
        raise error
    if not may_fall_back(router, request, model):
        raise RouterUnreadyError(f"{error} {not_allowed(model)}", field=error.field)
    return Decision(model, abstained=True, fallback=RouterFallback(error.reason, str(error)))


def _no_pool(pool: str) -> RouterUnreadyError:
    return RouterUnreadyError(
        f"Pool {pool!r}, which the router rests on, is not there yet: score answers into it, or "
        "record outcomes.",
        field="pool",
    )


def _require_same(space: EmbeddingSpace, prompt: PromptVector) -> None:
    if prompt.space != space.id:
        raise SpaceMismatchError(
            f"The router lives in the embedding space {space.id!r} and the vector in "
            f"{prompt.space!r}; encode with the router's encoder and name its space.",
            field="embedding_space",
        )
    if len(prompt.vector) != space.dimension:
        raise InvalidArrayError(
            f"The vector has {len(prompt.vector)} coordinates where the router's space has "
            f"{space.dimension}; encode with the router's encoder.",
            field="prompt.vector",
        )
