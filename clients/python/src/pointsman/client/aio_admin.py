"""What the client for asyncio asks of a server's pools and routers."""

# ruff: noqa: ASYNC109  a timeout is the deadline of the call, which the server must know

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import TYPE_CHECKING

from pointsman.client import replies
from pointsman.client.aio_calls import AsyncFeed, receive, send, send_all
from pointsman.client.requests import import_header, import_item
from pointsman.v1 import admin_service_pb2

if TYPE_CHECKING:
    from pointsman.client.aio_stubs import AsyncStubs
    from pointsman.client.connection import Connection
    from pointsman.client.inventory import (
        EmbeddingSpace,
        ImportResult,
        Outcome,
        Pool,
        Router,
        Sample,
    )


class AsyncAdminCalls:
    """The methods of `AsyncClient` that call `AdminService`."""

    _connection: Connection
    _stubs: AsyncStubs

    async def pools(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Pool, ...]:
        """As `Client.pools`."""
        message = admin_service_pb2.ListPoolsRequest()
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.admin.ListPools, message, call)
        return tuple(replies.pool(each) for each in reply.pools)

    async def pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Pool:
        """As `Client.pool`."""
        message = admin_service_pb2.GetPoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return replies.pool((await send(self._stubs.admin.GetPool, message, call)).pool)

    async def delete_pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> int:
        """As `Client.delete_pool`."""
        message = admin_service_pb2.DeletePoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return (await send(self._stubs.admin.DeletePool, message, call)).samples

    def export_samples(
        self, pool: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> AsyncGenerator[Sample | Outcome, None]:
        """As `Client.export_samples`."""
        message = admin_service_pb2.ExportSamplesRequest(pool=pool)
        call = self._connection.stream(timeout, request_id)
        return receive(self._stubs.admin.ExportSamples, message, call, replies.exported_items)

    async def import_samples(
        self,
        pool: str,
        samples: Iterable[Sample | Outcome] | AsyncIterable[Sample | Outcome],
        *,
        space: EmbeddingSpace,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> ImportResult:
        """As `Client.import_samples`."""
        call = self._connection.stream(timeout, request_id)
        feed = AsyncFeed(samples, import_item, header=import_header(pool, space))
        reply = await send_all(self._stubs.admin.ImportSamples, feed, call)
        return replies.import_result(reply)

    async def routers(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Router, ...]:
        """As `Client.routers`."""
        message = admin_service_pb2.ListRoutersRequest()
        call = self._connection.call(timeout, request_id)
        reply = await send(self._stubs.admin.ListRouters, message, call)
        return tuple(replies.router(each) for each in reply.routers)

    async def router(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Router:
        """As `Client.router`."""
        message = admin_service_pb2.GetRouterRequest(router=name)
        call = self._connection.call(timeout, request_id)
        return replies.router((await send(self._stubs.admin.GetRouter, message, call)).router)

    async def reload_router(
        self,
        name: str,
        *,
        directory: str = "",
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Router:
        """As `Client.reload_router`."""
        message = admin_service_pb2.ReloadRouterRequest(router=name, directory=directory)
        call = self._connection.call(timeout, request_id)
        return replies.router((await send(self._stubs.admin.ReloadRouter, message, call)).router)
