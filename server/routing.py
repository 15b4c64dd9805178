"""The straight way of one RoutePrompt: router, encode, score, choose."""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from scoring.errors import InvalidArrayError, RouterUnreadyError, SpaceMismatchError
from scoring.memory import EmbeddingSpace, Memory
from scoring.routers import RouterFallback
from server.deciding import allows, decide, require_known
from server.encoding import EncodedPrompt, encode_prompt
from server.requests import Decision, PromptVector, RouteReply, RouteRequest, Timings
from server.routers.registry import RouterRegistry
from server.routers.values import ServedRouter
from server.spaces import pool_revision, prompt_space

_WARM_UP = RouteRequest(router="", prompt="Which model should answer this?")


@dataclass(frozen=True, slots=True)
class _Decided:
    decision: Decision
    revision: str


class Routing:
    """Takes a prompt through one router.

    Args:
        memory: The pools.
        estimate_thread: The one thread in which estimates run.
    """

    def __init__(self, memory: Memory, estimate_thread: Executor) -> None:
        self._memory = memory
        self._estimate_thread = estimate_thread

    async def route(self, router: ServedRouter, request: RouteRequest) -> RouteReply:
        """Chooses a model.

        Raises:
            UnknownModelError: A candidate, or a model of the policy, is not of the router.
            SpaceMismatchError: The vector is of another space than the router's.
            RouterUnreadyError: The router has nothing to score with, and no fallback.
            EncodingFailedError: The encoder failed.
        """
        began = time.perf_counter()
        timings = Timings()
        if router.models is not None:
            require_known(request, router.models)
        self._require_space(router, request)
        prompt = await encode_prompt(router.served.encoder, request.prompt, timings)
        scoring = time.perf_counter()
        decided = await asyncio.get_running_loop().run_in_executor(
            self._estimate_thread, self._decide, router, request, prompt
        )
        ended = time.perf_counter()
        timings.estimate, timings.total = ended - scoring, ended - began
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

    def _require_space(self, router: ServedRouter, request: RouteRequest) -> None:
        prompt = request.prompt
        if router.space is not None:
            if isinstance(prompt, PromptVector):
                _require_same(router.space, prompt)
        elif self._memory.has(router.pool):
            space = prompt_space(self._memory, router.pool, router.served.identity, prompt)
            self._memory.require_space(router.pool, space)

    def _decide(
        self, router: ServedRouter, request: RouteRequest, prompt: EncodedPrompt
    ) -> _Decided:
        revision = router.revision or pool_revision(self._memory, router.pool)
        try:
            scores = router.router.score(np.ascontiguousarray(prompt.vector)[None])
            return _Decided(decide(router, request, scores), revision)
        except RouterUnreadyError as error:
            model = router.section.fallback
            if model is None or not allows(request, model):
                raise
            why = RouterFallback(error.reason, str(error))
            return _Decided(Decision(model, abstained=True, fallback=why), revision)


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
