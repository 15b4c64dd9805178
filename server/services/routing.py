"""RoutingService on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from server.admission import Admission
from server.conversion.outcomes import outcome_request, outcome_response
from server.conversion.routing import route_request, route_response
from server.outcomes import OutcomeRecorder
from server.routing import RoutingPipeline
from server.services.streams import answer_each
from server.settings import Settings
from server.status import item_error

Context = grpc.aio.ServicerContext[Any, Any]


class RoutingServicer(rpc.RoutingServiceServicer):
    """Chooses models, and records how the choice turned out.

    Args:
        pipeline: Chooses.
        recorder: Records.
        admission: Refuses what is too much, before any work.
        draining: Set when the server goes down.
        settings: Limits.
    """

    def __init__(
        self,
        pipeline: RoutingPipeline,
        recorder: OutcomeRecorder,
        admission: Admission,
        draining: asyncio.Event,
        settings: Settings,
    ) -> None:
        self._pipeline = pipeline
        self._recorder = recorder
        self._admission = admission
        self._draining = draining
        self._settings = settings

    async def RoutePrompt(
        self, request: pb.RoutePromptRequest, context: Context
    ) -> pb.RoutePromptResponse:
        """Chooses a model for one prompt."""
        with self._admission.admit():
            return await self._route(request)

    async def RoutePromptStream(
        self, request_iterator: AsyncIterator[pb.RoutePromptStreamRequest], context: Context
    ) -> AsyncIterator[pb.RoutePromptStreamResponse]:
        """Chooses for many, in flight together; replies come as they are ready."""
        most = self._settings.limits.stream_in_flight
        replies = answer_each(request_iterator, self._answer, most, self._draining)
        async with aclosing(replies):
            async for reply in replies:
                yield reply

    async def RecordOutcome(
        self, request: pb.RecordOutcomeRequest, context: Context
    ) -> pb.RecordOutcomeResponse:
        """Tells how good an answer turned out to be."""
        with self._admission.admit():
            reply = await self._recorder.record(outcome_request(request, self._settings))
            return outcome_response(reply)

    async def _answer(self, item: pb.RoutePromptStreamRequest) -> pb.RoutePromptStreamResponse:
        try:
            async with self._admission.admit_in_turn():
                response = await self._route(item.request)
                return pb.RoutePromptStreamResponse(id=item.id, response=response)
        except Exception as error:  # noqa: BLE001  a bad item fails alone
            return pb.RoutePromptStreamResponse(id=item.id, error=item_error(error))

    async def _route(self, request: pb.RoutePromptRequest) -> pb.RoutePromptResponse:
        return route_response(await self._pipeline.route(route_request(request, self._settings)))
