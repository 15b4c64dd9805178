"""The health of each service, as the standard health protocol tells it."""

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from pointsman.v1 import admin_service_pb2, routing_service_pb2, scoring_service_pb2

SCORING = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name
ROUTING = routing_service_pb2.DESCRIPTOR.services_by_name["RoutingService"].full_name
ADMIN = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
_SERVER = ""

_SERVICES = (SCORING, ROUTING, ADMIN, _SERVER)


class Health:
    """Tells callers and probes which services serve. Until `serving`, none does."""

    def __init__(self) -> None:
        self._servicer = health_aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Offers the health service on a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def starting(self) -> None:
        """Says that nothing serves yet."""
        for service in _SERVICES:
            await self._servicer.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)

    async def serving(self) -> None:
        """Says that everything is warm."""
        for service in _SERVICES:
            await self._servicer.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stopping(self) -> None:
        """Says for good that nothing serves any more."""
        await self._servicer.enter_graceful_shutdown()
