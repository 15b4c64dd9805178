"""AdminService on the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from pointsman.v1 import admin_service_pb2 as pb
from pointsman.v1 import admin_service_pb2_grpc as rpc
from server.admission import Admission
from server.conversion import pools as convert
from server.errors import InvalidRequestError, NotOfferedError, Violation
from server.pools import Pools
from server.settings import Settings

Context = grpc.aio.ServicerContext[Any, Any]

_NO_ROUTERS = "This server ranks generations only; it has no router yet."


class AdminServicer(rpc.AdminServiceServicer):
    """Describes and manages pools.

    Args:
        pools: Does the work.
        admission: Counts exports and imports among the requests in flight.
        settings: Limits.
    """

    def __init__(self, pools: Pools, admission: Admission, settings: Settings) -> None:
        self._pools = pools
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
        return pb.DeletePoolResponse(samples=await self._pools.delete(_named(request.pool)))

    async def ExportSamples(
        self, request: pb.ExportSamplesRequest, context: Context
    ) -> AsyncIterator[pb.ExportSamplesResponse]:
        """Every sample of a pool, after the header."""
        space = convert.space_message(self._pools.space(_named(request.pool)))
        header = pb.SamplesHeader(pool=request.pool, space=space)
        with self._admission.admit():
            yield pb.ExportSamplesResponse(header=header)
            async for sample in self._pools.samples(request.pool):
                yield pb.ExportSamplesResponse(sample=convert.sample_message(sample))

    async def ImportSamples(
        self, request_iterator: AsyncIterator[pb.ImportSamplesRequest], context: Context
    ) -> pb.ImportSamplesResponse:
        """Adds exported samples."""
        first = await anext(request_iterator, pb.ImportSamplesRequest())
        pool, space = convert.import_header(first, self._settings)
        samples = (
            convert.import_sample(each, space, self._settings) async for each in request_iterator
        )
        with self._admission.admit():
            return convert.import_response(await self._pools.import_samples(pool, space, samples))

    async def ListRouters(
        self, request: pb.ListRoutersRequest, context: Context
    ) -> pb.ListRoutersResponse:
        """Not offered."""
        raise NotOfferedError(_NO_ROUTERS)

    async def GetRouter(
        self, request: pb.GetRouterRequest, context: Context
    ) -> pb.GetRouterResponse:
        """Not offered."""
        raise NotOfferedError(_NO_ROUTERS)

    async def ReloadRouter(
        self, request: pb.ReloadRouterRequest, context: Context
    ) -> pb.ReloadRouterResponse:
        """Not offered."""
        raise NotOfferedError(_NO_ROUTERS)


def _named(pool: str) -> str:
    if not pool:
        raise InvalidRequestError([Violation("pool", "is empty; name a pool")])
    return pool
