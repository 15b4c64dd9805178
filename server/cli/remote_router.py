"""Routes many prompts by a running server, several at a time."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaluation.routed import RankedModel, RoutedPrompt
from evaluation.texts import Progress
from pointsman.client import (
    ArgMaxPolicy,
    AsyncClient,
    BudgetPolicy,
    CostPenaltyPolicy,
    FirstConfidentPolicy,
    NearestConfidencePolicy,
    PointsmanError,
    Policy,
    RandomConfidentPolicy,
    RouteResult,
    SamplePolicy,
    ThresholdPolicy,
)
from scoring.policies import (
    ArgMax,
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    RandomConfident,
    Rule,
    Sample,
    Threshold,
)
from server.cli.wanted import Wanted

_MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class RemoteRouter:
    """A router of a running server.

    Attributes:
        address: `host:port` or `unix:/path`.
        router: Its name; the server's default if empty.
        concurrency: Calls at a time; at least 1.
        timeout: Seconds that a call may take.
    """

    address: str
    router: str = ""
    concurrency: int = 8
    timeout: float = 30.0

    async def route(
        self,
        prompts: Sequence[str],
        wanted: Wanted,
        progress: Progress | None = None,
    ) -> list[RouteResult]:
        """Routes prompts, in their order.

        A call that the server is too busy for is made again when it says so.

        Raises:
            PointsmanError: A call failed; the others are given up.
            ValueError: The address has no form that gRPC understands.
        """
        async with AsyncClient(self.address, timeout=self.timeout) as client:
            calls = _Calls(client, self.router, wanted, prompts, progress)
            return await calls.made(self.concurrency)


class _Calls:
    """The calls for all prompts; each worker takes the next prompt that none has."""

    def __init__(
        self,
        client: AsyncClient,
        router: str,
        wanted: Wanted,
        prompts: Sequence[str],
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._router = router
        self._wanted = wanted
        self._left: Iterator[tuple[int, str]] = iter(enumerate(prompts))
        self._results: dict[int, RouteResult] = {}
        self._count = len(prompts)
        self._progress = progress

    async def made(self, concurrency: int) -> list[RouteResult]:
        workers = [asyncio.create_task(self._work()) for _ in range(concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return [self._results[row] for row in range(self._count)]

    async def _work(self) -> None:
        for row, prompt in self._left:
            self._results[row] = await self._patiently(row, prompt)
            if self._progress:
                self._progress(len(self._results), self._count)

    async def _patiently(self, row: int, prompt: str) -> RouteResult:
        attempts = 1
        while True:
            try:
                return await self._call(row, prompt)
            except PointsmanError as error:
                if error.retry_after is None or attempts == _MOST_ATTEMPTS:
                    raise _of_prompt(row, error) from error
                await asyncio.sleep(error.retry_after)
                attempts += 1

    async def _call(self, row: int, prompt: str) -> RouteResult:
        return await self._client.route(
            prompt,
            router=self._router,
            candidates=self._wanted.candidates,
            denied=sorted(self._wanted.denied),
            policy=client_policy(self._wanted.policy(row).rule),
        )


def _of_prompt(row: int, error: PointsmanError) -> PointsmanError:
    return PointsmanError(
        f"Prompt {row + 1}: {error.message}",
        code=error.code,
        reason=error.reason,
        fields=error.fields,
        request_id=error.request_id,
    )


def client_policy(rule: Rule) -> Policy:
    """Returns the client's policy for a rule."""
    match rule:
        case ArgMax():
            return ArgMaxPolicy()
        case Sample(temperature, seed):
            return SamplePolicy(temperature, seed)
        case Budget(max_cost):
            return BudgetPolicy(max_cost)
        case CostPenalty(penalty):
            return CostPenaltyPolicy(penalty)
        case Threshold(strong, weak, threshold):
            return ThresholdPolicy(strong, weak, threshold)
        case RandomConfident(confidence, among, seed):
            return RandomConfidentPolicy(confidence, among, seed)
        case FirstConfident(confidence, preference):
            return FirstConfidentPolicy(confidence, preference)
        case NearestConfidence(weights, intercept):
            return NearestConfidencePolicy(dict(weights), intercept)


def routed_result(prompt: str, task: str, result: RouteResult) -> RoutedPrompt:
    """Puts a reply beside its prompt."""
    return RoutedPrompt(
        prompt=prompt,
        task=task,
        model=result.model,
        ranking=tuple(
            RankedModel(each.model, each.score, each.probability, each.cost)
            for each in result.ranking
        ),
        margin=result.margin,
        entropy=result.entropy,
        abstained=result.abstained,
        reason=result.fallback.reason if result.fallback else "",
    )
