"""The straight way of one ScoreGenerations: admit, encode, recall and estimate, learn."""

import asyncio
import time

import numpy as np

from scoring.errors import (
    MemoryBusyError,
    MemoryStorageError,
    PoolNotFoundError,
    TooManyPoolsError,
    TooManyVotersError,
)
from scoring.estimator import rank_generations
from scoring.memory import EmbeddingSpace, Memory, NewSample
from server.calibration import Calibrations
from server.encoding import ServedEncoder, note_encoding
from server.estimation import Embedded, Estimated, estimate_request, estimate_together
from server.recalls import Recalls
from server.requests import (
    EmbeddingKind,
    EstimatorKind,
    ScoreReply,
    ScoreRequest,
    Texts,
    Timings,
    Vectors,
    Written,
)
from server.spaces import is_joined, keeps_joined, require_pool, text_space, vector_space
from server.worker import EstimateWorker

_WARM_UP = ScoreRequest(
    pool="warm-up",
    voters=("a", "b", "c"),
    content=Texts("What is warm?", ("Tea.", "The sun.", "Green tea.")),
    estimator=EstimatorKind.SINGLE,
    neighbours=1,
    embedding=EmbeddingKind.GENERATION,
    learn=False,
    sample_id="warm-up",
)
_FEW_NEIGHBOURS = 64
_FEW_PRODUCTS = 200_000
_LEARNING_REFUSED = (
    PoolNotFoundError,
    MemoryBusyError,
    MemoryStorageError,
    TooManyPoolsError,
    TooManyVotersError,
)


class ScoringPipeline:
    """Takes validated requests through every stage.

    Args:
        served: Turns texts into vectors, in batches.
        memory: The pools.
        worker: Runs estimates that are large, and asks for the sums of whole pools.
        recalls: Finds neighbours for the others.
        calibrations: Of the pools.
        create_pools: Whether an unknown pool is created by its first sample.
    """

    def __init__(
        self,
        served: ServedEncoder,
        memory: Memory,
        worker: EstimateWorker,
        recalls: Recalls,
        calibrations: Calibrations,
        *,
        create_pools: bool,
    ) -> None:
        self._encoder = served.encoder
        self._identity = served.identity
        self._memory = memory
        self._create_pools = create_pools
        self._worker = worker
        self._recalls = recalls
        self._calibrations = calibrations

    async def score(self, request: ScoreRequest) -> ScoreReply:
        """Ranks the answers of one request, and learns them where it asks to.

        Raises:
            PoolNotFoundError: The pool is unknown and may not be created.
            SpaceMismatchError: The pool lives in another embedding space.
            InvalidArrayError: The vectors can't be measured.
            EncodingFailedError: The encoder failed.
        """
        space = self._space(request)
        require_pool(self._memory, request.pool, space, create=self._create_pools)
        return await self._run(request, space)

    async def warm_up(self) -> None:
        """Sends one request through every stage, so that the first caller finds all warm."""
        await self._run(_WARM_UP, self._space(_WARM_UP))

    async def _run(self, request: ScoreRequest, space: EmbeddingSpace) -> ScoreReply:
        began = time.perf_counter()
        timings = Timings()
        embedded = await self._embed(request, space, timings)
        sent = time.perf_counter()
        fit = None
        if request.estimator is EstimatorKind.CALIBRATED:
            fit = await self._calibrations.current(request.pool)
        if _is_small(request, embedded):
            estimated = await estimate_together(
                self._memory, self._recalls, self._worker, request, embedded
            )
        else:
            estimated = await self._worker.run(
                estimate_request, self._memory, request, embedded, fit
            )
        timings.recall = estimated.recall_seconds
        timings.estimate = estimated.estimate_seconds
        timings.queue += time.perf_counter() - sent - timings.recall - timings.estimate
        learned = None
        if request.learn:
            learned = await self._learn(request, embedded, estimated, timings)
        timings.total = time.perf_counter() - began
        return self._reply(request, embedded, estimated, learned, timings)

    def _space(self, request: ScoreRequest) -> EmbeddingSpace:
        if isinstance(request.content, Vectors):
            return vector_space(request.content.space, len(request.content.prompt))
        joined = request.embedding is EmbeddingKind.PROMPT_AND_GENERATION
        if request.embedding is EmbeddingKind.POOL:
            joined = keeps_joined(self._memory, request.pool)
        return text_space(self._identity, joined=joined)

    async def _embed(
        self, request: ScoreRequest, space: EmbeddingSpace, timings: Timings
    ) -> Embedded:
        content = request.content
        if isinstance(content, Vectors):
            nothing = np.zeros(len(content.answers) + 1, np.bool_)
            return Embedded(content.prompt, content.answers, nothing, space, None)
        encoded = await self._encoder.encode(_texts(content, joined=is_joined(space)))
        note_encoding(encoded, timings)
        lengths = tuple(map(len, content.answers))
        return Embedded(encoded.vectors[0], encoded.vectors[1:], encoded.truncated, space, lengths)

    async def _learn(
        self, request: ScoreRequest, embedded: Embedded, estimated: Estimated, timings: Timings
    ) -> Written:
        began = time.perf_counter()
        sample = NewSample(
            sample_id=request.sample_id,
            prompt=np.array(embedded.prompt, np.float32),
            voters=estimated.answers.voters,
            pairs=estimated.answers.pairs,
            learned_at=time.time(),
            features=estimated.features,
        )
        try:
            # Checked again by the writer, for the pool may be deleted meanwhile.
            learning = self._memory.learn(
                request.pool, embedded.space, sample, create=self._create_pools
            )
            writing = asyncio.wrap_future(learning)
            # Shielded: a caller that is cancelled must not cancel the writer's future.
            receipt = await asyncio.shield(writing)
        except _LEARNING_REFUSED as error:
            return Written(request.sample_id, None, error.reason, str(error))
        finally:
            timings.learn = time.perf_counter() - began
        if receipt.existed:
            message = "The pool had this sample_id already; nothing was added."
            return Written(receipt.sample_id, receipt.durability, "SAMPLE_EXISTS", message)
        return Written(receipt.sample_id, receipt.durability)

    def _reply(
        self,
        request: ScoreRequest,
        embedded: Embedded,
        estimated: Estimated,
        learned: Written | None,
        timings: Timings,
    ) -> ScoreReply:
        encoded = isinstance(request.content, Texts)
        return ScoreReply(
            answers=estimated.answers,
            estimate=estimated.estimate,
            ranking=rank_generations(estimated.answers, estimated.estimate),
            estimator=estimated.kind,
            fallback=estimated.fallback,
            learned=learned,
            timings=timings,
            encoder_revision=self._identity.revision if encoded else "",
            pool_revision=estimated.pool_revision,
            truncated=embedded.truncated,
            max_tokens=self._identity.max_tokens if encoded else 0,
            calibrated=estimated.calibrated,
        )


def _is_small(request: ScoreRequest, embedded: Embedded) -> bool:
    """Whether an estimate takes some 0.1 ms; measuring the answers is quadratic in their number."""
    return (
        request.estimator is not EstimatorKind.CALIBRATED
        and request.neighbours <= _FEW_NEIGHBOURS
        and len(embedded.answers) * embedded.answers.size <= _FEW_PRODUCTS
    )


def _texts(content: Texts, *, joined: bool) -> list[str]:
    if joined:
        return [content.prompt, *(f"{content.prompt}\n{each}" for each in content.answers)]
    return [content.prompt, *content.answers]
