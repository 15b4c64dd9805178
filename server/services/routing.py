"""RoutingService on the wire. Its methods are of the contract, and not offered yet."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from server.errors import NotOfferedError

Context = grpc.aio.ServicerContext[Any, Any]

_SENTENCE = "This server ranks generations only; it has no router yet."


class RoutingServicer(rpc.RoutingServiceServicer):
    """Answers UNIMPLEMENTED, with a sentence."""

    async def RoutePrompt(
        self, request: pb.RoutePromptRequest, context: Context
    ) -> pb.RoutePromptResponse:
        """Not offered."""
        raise NotOfferedError(_SENTENCE)

    async def RoutePromptStream(
        self, request_iterator: AsyncIterator[pb.RoutePromptStreamRequest], context: Context
    ) -> AsyncIterator[pb.RoutePromptStreamResponse]:
        """Not offered."""
        raise NotOfferedError(_SENTENCE)
        yield pb.RoutePromptStreamResponse()  # what makes it a stream

    async def RecordOutcome(
        self, request: pb.RecordOutcomeRequest, context: Context
    ) -> pb.RecordOutcomeResponse:
        """Not offered."""
        raise NotOfferedError("This server records no outcomes yet.")
