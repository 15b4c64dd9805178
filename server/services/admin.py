"""AdminService on the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from pointsman.v1 import admin_service_pb2 as pb
from pointsman.v1 import admin_service_pb2_grpc as rpc
from server.admission import Admission
from server.conversion import pools as convert
from server.conversion.outcomes import outcome_message
from server.conversion.routers import reload_request, router_message, router_name
from server.errors import InvalidRequestError, Violation
from server.pools import Pools
from server.routers.registry import RouterRegistry
from server.settings import Settings

Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(rpc.AdminServiceServicer):
    """Describes and manages pools and routers.

    Args:
        pools: Manages pools.
        routers: Manages routers.
        admission: Counts exports, imports and reloads among the requests in flight.
        settings: Limits.
    """

    def __init__(
        self, pools: Pools, routers: RouterRegistry, admission: Admission, settings: Settings
    ) -> None:
        self._pools = pools
        self._routers = routers
        self._admission = admission
        self._settings = settings

    async def ListPools(
        self, request: pb.ListPoolsRequest, context: Context
    ) -> pb.ListPoolsResponse:
        """Every pool, by name."""
        reports = await asyncio.to_thread(self._pools.reports)
        return pb.ListPoolsResponse(pools=map(convert.pool_message, reports))

    async def GetPool(self, request: pb.GetPoolRequest, context: Context) -> pb.GetPoolResponse:
        """One pool."""
        return pb.GetPoolResponse(
            pool=convert.pool_message(self._pools.report(_named(request.pool)))
        )

    async def DeletePool(
        self, request: pb.DeletePoolRequest, context: Context
    ) -> pb.DeletePoolResponse:
        """Removes a pool."""
        samples, outcomes = await self._pools.delete(_named(request.pool))
        return pb.DeletePoolResponse(samples=samples, outcomes=outcomes)

    async def ExportSamples(
        self, request: pb.ExportSamplesRequest, context: Context
    ) -> AsyncIterator[pb.ExportSamplesResponse]:
        """Every sample and then every outcome of a pool, after the header."""
        space = convert.space_message(self._pools.space(_named(request.pool)))
        header = pb.SamplesHeader(pool=request.pool, space=space)
        with self._admission.admit():
            yield pb.ExportSamplesResponse(header=header)
            async for sample in self._pools.samples(request.pool):
                yield pb.ExportSamplesResponse(sample=convert.sample_message(sample))
            async for outcome in self._pools.outcomes(request.pool):
                yield pb.ExportSamplesResponse(outcome=outcome_message(outcome))

    async def ImportSamples(
        self, request_iterator: AsyncIterator[pb.ImportSamplesRequest], context: Context
    ) -> pb.ImportSamplesResponse:
        """Adds exported samples and outcomes."""
        first = await anext(request_iterator, pb.ImportSamplesRequest())
        pool, space = convert.import_header(first, self._settings)
        items = convert.import_items(request_iterator, space, self._settings)
        with self._admission.admit():
            return convert.import_response(await self._pools.import_samples(pool, space, items))

    async def ListRouters(
        self, request: pb.ListRoutersRequest, context: Context
    ) -> pb.ListRoutersResponse:
        """Every router, by name."""
        reports = await asyncio.to_thread(self._routers.reports)
        return pb.ListRoutersResponse(routers=map(router_message, reports))

    async def GetRouter(
        self, request: pb.GetRouterRequest, context: Context
    ) -> pb.GetRouterResponse:
        """One router."""
        name = router_name(request.router, self._settings)
        report = await asyncio.to_thread(self._routers.report, name)
        return pb.GetRouterResponse(router=router_message(report))

    async def ReloadRouter(
        self, request: pb.ReloadRouterRequest, context: Context
    ) -> pb.ReloadRouterResponse:
        """Loads a router's artefact anew and swaps it in."""
        name, directory = reload_request(request, self._settings)
        with self._admission.admit():
            report = await self._routers.reload(name, directory)
        return pb.ReloadRouterResponse(router=router_message(report))


def _named(pool: str) -> str:
    if not pool:
        raise InvalidRequestError([Violation("pool", "is empty; name a pool")])
    return pool
