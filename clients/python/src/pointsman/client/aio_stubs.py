"""The channel of a client for asyncio, opened by its first call."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from grpc import aio

from pointsman.v1 import (
    admin_service_pb2_grpc,
    routing_service_pb2_grpc,
    scoring_service_pb2_grpc,
)

if TYPE_CHECKING:
    from pointsman.client.connection import Connection


class AsyncStubs:
    """The services of a server.

    A channel of grpc.aio belongs to the event loop that it is opened in, and there may be none
    yet when a client is made.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._opened: aio.Channel | None = None

    async def close(self) -> None:
        """Closes the channel, if it was ever opened."""
        if self._opened is not None:
            await self._opened.close()

    @cached_property
    def scoring(self) -> scoring_service_pb2_grpc.ScoringServiceAsyncStub:
        """Of `ScoringService`."""
        return scoring_service_pb2_grpc.ScoringServiceStub(self._channel)

    @cached_property
    def routing(self) -> routing_service_pb2_grpc.RoutingServiceAsyncStub:
        """Of `RoutingService`."""
        return routing_service_pb2_grpc.RoutingServiceStub(self._channel)

    @cached_property
    def admin(self) -> admin_service_pb2_grpc.AdminServiceAsyncStub:
        """Of `AdminService`."""
        return admin_service_pb2_grpc.AdminServiceStub(self._channel)

    @property
    def _channel(self) -> aio.Channel:
        if self._opened is None:
            self._opened = _open(self._connection)
        return self._opened


def _open(connection: Connection) -> aio.Channel:
    target, options = connection.target, connection.options
    if connection.credentials is None:
        return aio.insecure_channel(target, options)
    return aio.secure_channel(target, connection.credentials, options)
