"""The straight way of one RoutePrompt: router, encode, score, choose."""

import time
from typing import NamedTuple

import numpy as np

from scoring.errors import InvalidArrayError, RouterUnreadyError, SpaceMismatchError
from scoring.memory import EmbeddingSpace, Memory
from scoring.routers import OutcomeRouter, RouterFallback, RouterScores, SmoothieRouter
from server.deciding import decide, may_fall_back, not_allowed, require_allowed
from server.encoding import EncodedPrompt, encode_prompt
from server.requests import Decision, PromptVector, RouteReply, RouteRequest, Timings
from server.routers.registry import RouterRegistry
from server.routers.values import ServedRouter
from server.spaces import pool_revision, prompt_space
from server.worker import EstimateWorker

_OVER_POOLS = (SmoothieRouter, OutcomeRouter)
_WARM_UP = RouteRequest(router="", prompt="Which model should answer this?")


class _Decided(NamedTuple):
    decision: Decision
    revision: str
    began: float
    ended: float
    recall_seconds: float = 0.0


class Routing:
    """Takes a prompt through one router.

    Args:
        memory: The pools.
        worker: Scores and chooses.
    """

    def __init__(self, memory: Memory, worker: EstimateWorker) -> None:
        self._memory = memory
        self._worker = worker

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
        run = self._worker.run_small if router.is_quick else self._worker.run
        decided = await run(self._decide, router, request, prompt)
        timings.queue += decided.began - sent
        timings.recall = decided.recall_seconds
        timings.estimate = decided.ended - decided.began - timings.recall
        timings.total = time.perf_counter() - began
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
        elif self._memory.has(router.pool):
            self._memory.require_space(router.pool, self._space(router, prompt))
        else:
            _fall_back(router, request, _no_pool(router.pool))

    def _space(self, router: ServedRouter, prompt: str | PromptVector) -> EmbeddingSpace:
        return prompt_space(self._memory, router.pool, router.served.identity, prompt)

    def _decide(
        self, router: ServedRouter, request: RouteRequest, prompt: EncodedPrompt
    ) -> _Decided:
        began, recalling = time.perf_counter(), 0.0
        revision = router.revision or pool_revision(self._memory, router.pool, router.router.kind)
        try:
            scores = self._scores(router, request, prompt)
            recalling = scores.recall_seconds
            decision = decide(router, request, scores, growing=router.models is None)
        except RouterUnreadyError as error:
            decision = _fall_back(router, request, error)
        return _Decided(decision, revision, began, time.perf_counter(), recalling)

    def _scores(
        self, router: ServedRouter, request: RouteRequest, prompt: EncodedPrompt
    ) -> RouterScores:
        vectors = np.ascontiguousarray(prompt.vector)[None]
        if isinstance(router.router, _OVER_POOLS):
            # The pool may have come, or come anew, in another space since the request was checked.
            return router.router.score(vectors, self._space(router, request.prompt))
        return router.router.score(vectors)


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
