"""The gRPC server: every service, its boundary and its limits."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from pointsman.v1 import admin_service_pb2_grpc, routing_service_pb2_grpc, scoring_service_pb2_grpc
from server.boundary import Boundary
from server.call_log import CallLog
from server.engine import Engine
from server.health import ADMIN, ROUTING, SCORING, Health
from server.pools import Pools
from server.services.admin import AdminServicer
from server.services.routing import RoutingServicer
from server.services.scoring import ScoringServicer
from server.settings import Settings

# Calls that are open, streams and health watches too, for each that may be in work.
_CALLS_PER_ADMITTED = 4
# Calls that have come and wait for the event loop, where only gRPC's core sees them. Beyond these
# it refuses some, and beyond twice as many all that come: a loop that answers a thousand a second
# would else find callers who have waited for a second, and answer only those who have gone.
_MOST_PENDING = 256


def make_server(
    settings: Settings,
    engine: Engine,
    health: Health,
    call_log: CallLog,
    draining: asyncio.Event,
) -> grpc.aio.Server:
    """Makes the gRPC server, bound to no address yet.

    Args:
        settings: Limits, logs and reflection.
        engine: What the services call.
        health: Answers health checks.
        call_log: Is told of every call that has ended.
        draining: Set when the server goes down; open streams end then.
    """
    limits = settings.limits
    server = grpc.aio.server(
        maximum_concurrent_rpcs=_CALLS_PER_ADMITTED * limits.in_flight,
        options=[
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.max_send_message_length", limits.message_bytes),
            # A port that another server has must be refused, not shared.
            ("grpc.so_reuseport", 0),
            ("grpc.server.max_pending_requests", _MOST_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_PENDING),
        ],
    )
    boundary = Boundary(call_log)
    by_path = cast("grpc.aio.Server", _ByPath(server, boundary))
    scoring_service_pb2_grpc.add_ScoringServiceServicer_to_server(
        ScoringServicer(engine.pipeline, engine.admission, draining, settings), by_path
    )
    routing_service_pb2_grpc.add_RoutingServiceServicer_to_server(
        RoutingServicer(engine.routing, engine.outcomes, engine.admission, draining, settings),
        by_path,
    )
    writes_in_flight = max(1, settings.memory.queue // 4)
    pools = Pools(engine.memory, engine.calibrations, writes_in_flight=writes_in_flight)
    admin_service_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminServicer(pools, engine.routers, engine.admission, settings), by_path
    )
    health.add_to(by_path)
    if settings.reflection:
        names = (SCORING, ROUTING, ADMIN, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, by_path)
    return server


class _ByPath:
    """Takes handlers for a server that finds them by the path of a call.

    Generated code also registers every method with the server's core, which then waits for a
    call of each of them: nineteen futures that are made and waited for anew at every call, 0.1 ms.

    Args:
        server: Gets the handlers.
        boundary: Goes around them.
    """

    def __init__(self, server: grpc.aio.Server, boundary: Boundary) -> None:
        self._server = server
        self._boundary = boundary

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Passes the handlers on."""
        self._server.add_generic_rpc_handlers(tuple(map(self._boundary.around, handlers)))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, object]) -> None:
        """Registers nothing."""
