"""The straight way of one RecordOutcome: encode, record."""

import asyncio
import time

import numpy as np
from numpy.typing import NDArray

from scoring.memory import EmbeddingSpace, Memory, NewOutcome
from server.encoding import ServedEncoder, encode_prompt
from server.requests import OutcomeReply, OutcomeRequest, Timings, Written
from server.spaces import prompt_space, require_pool


class OutcomeRecorder:
    """Records how good answers were.

    Args:
        served: Encodes prompts that come as text.
        memory: The pools.
        create_pools: Whether an unknown pool is created by its first outcome.
    """

    def __init__(self, served: ServedEncoder, memory: Memory, *, create_pools: bool) -> None:
        self._served = served
        self._memory = memory
        self._create_pools = create_pools

    async def record(self, request: OutcomeRequest) -> OutcomeReply:
        """Records one outcome, and returns when it is durable.

        Raises:
            PoolNotFoundError: The pool is unknown, and may not be created or can't be without a
                prompt.
            SampleNotFoundError: The pool has no sample of this name.
            SpaceMismatchError: The pool lives in another embedding space.
            TooManyPoolsError, TooManyVotersError, MemoryBusyError, MemoryStorageError: The
                memory can't take it.
            EncodingFailedError: The encoder failed.
        """
        space, vector = await self._subject(request)
        outcome = NewOutcome(
            outcome_id=request.outcome_id,
            model=request.model,
            quality=request.quality,
            recorded_at=time.time(),
            sample_id=request.sample_id,
            prompt=vector,
        )
        recording = self._memory.record(request.pool, space, outcome, create=self._create_pools)
        # Shielded: a caller that is cancelled must not cancel the writer's future.
        receipt = await asyncio.shield(asyncio.wrap_future(recording))
        if receipt.expired:
            message = "The pool's time to live is over already; nothing was added."
            return OutcomeReply(
                Written(receipt.sample_id, None, "OUTCOME_EXPIRED", message), request.outcome_id
            )
        written = Written(receipt.sample_id, receipt.durability)
        if receipt.existed:
            message = "The pool had this outcome_id already; nothing was added."
            written = Written(receipt.sample_id, receipt.durability, "OUTCOME_EXISTS", message)
        return OutcomeReply(written, request.outcome_id)

    async def _subject(
        self, request: OutcomeRequest
    ) -> tuple[EmbeddingSpace | None, NDArray[np.float32] | None]:
        if request.prompt is None:
            return None, None
        space = prompt_space(self._memory, request.pool, self._served.identity, request.prompt)
        require_pool(self._memory, request.pool, space, create=self._create_pools)
        prompt = await encode_prompt(self._served.encoder, request.prompt, Timings())
        return space, np.array(prompt.vector, np.float32)
