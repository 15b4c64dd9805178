"""ScoringService on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from pointsman.v1 import scoring_service_pb2 as pb
from pointsman.v1 import scoring_service_pb2_grpc as rpc
from server.admission import Admission
from server.conversion.scoring import score_request, score_response
from server.pipeline import ScoringPipeline
from server.services.streams import answer_each
from server.settings import Settings
from server.status import item_error

Context = grpc.aio.ServicerContext[Any, Any]


class ScoringServicer(rpc.ScoringServiceServicer):
    """Ranks generations.

    Args:
        pipeline: Does the work.
        admission: Refuses what is too much, before any work.
        draining: Set when the server goes down.
        settings: Limits and defaults.
    """

    def __init__(
        self,
        pipeline: ScoringPipeline,
        admission: Admission,
        draining: asyncio.Event,
        settings: Settings,
    ) -> None:
        self._pipeline = pipeline
        self._admission = admission
        self._draining = draining
        self._settings = settings

    async def ScoreGenerations(
        self, request: pb.ScoreGenerationsRequest, context: Context
    ) -> pb.ScoreGenerationsResponse:
        """Ranks the answers to one prompt."""
        with self._admission.admit():
            reply = await self._pipeline.score(score_request(request, self._settings))
            return score_response(reply)

    async def ScoreGenerationsStream(
        self, request_iterator: AsyncIterator[pb.ScoreGenerationsStreamRequest], context: Context
    ) -> AsyncIterator[pb.ScoreGenerationsStreamResponse]:
        """Ranks many, in flight together; replies come as they are ready."""
        most = self._settings.limits.stream_in_flight
        replies = answer_each(request_iterator, self._answer, most, self._draining)
        async with aclosing(replies):
            async for reply in replies:
                yield reply

    async def _answer(
        self, item: pb.ScoreGenerationsStreamRequest
    ) -> pb.ScoreGenerationsStreamResponse:
        try:
            async with self._admission.admit_in_turn():
                reply = await self._pipeline.score(score_request(item.request, self._settings))
                response = score_response(reply)
                return pb.ScoreGenerationsStreamResponse(id=item.id, response=response)
        except Exception as error:  # noqa: BLE001  a bad item fails alone
            return pb.ScoreGenerationsStreamResponse(id=item.id, error=item_error(error))
