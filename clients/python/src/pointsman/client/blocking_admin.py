"""What the blocking client asks of a server's pools and routers."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from pointsman.client import replies
from pointsman.client.calls import Feed, receive, send, send_all
from pointsman.client.requests import import_header, import_item
from pointsman.v1 import admin_service_pb2

if TYPE_CHECKING:
    from pointsman.client.connection import Connection
    from pointsman.client.inventory import (
        EmbeddingSpace,
        ImportResult,
        Outcome,
        Pool,
        Router,
        Sample,
    )
    from pointsman.v1 import admin_service_pb2_grpc


class AdminCalls:
    """The methods of `Client` that call `AdminService`."""

    _connection: Connection
    _admin: admin_service_pb2_grpc.AdminServiceStub

    def pools(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Pool, ...]:
        """Lists every pool, by name."""
        message = admin_service_pb2.ListPoolsRequest()
        call = self._connection.call(timeout, request_id)
        reply = send(self._admin.ListPools, message, call)
        return tuple(replies.pool(each) for each in reply.pools)

    def pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Pool:
        """Describes one pool."""
        message = admin_service_pb2.GetPoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return replies.pool(send(self._admin.GetPool, message, call).pool)

    def delete_pool(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> int:
        """Removes a pool with all it has learned; returns how many samples. There is no way back.

        Never retried: a repetition after a lost reply would find no pool.
        """
        message = admin_service_pb2.DeletePoolRequest(pool=name)
        call = self._connection.call(timeout, request_id)
        return send(self._admin.DeletePool, message, call).samples

    def export_samples(
        self, pool: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Generator[Sample | Outcome, None, None]:
        """Yields every sample of a pool, oldest first, then every outcome.

        Their space, which an import asks for, is `client.pool(name).space`.

        Args:
            pool: Name of the pool.
            timeout: Seconds for the whole stream; no limit if None.
            request_id: Names the stream in the server's log; made here if None.
        """
        message = admin_service_pb2.ExportSamplesRequest(pool=pool)
        call = self._connection.stream(timeout, request_id)
        return receive(self._admin.ExportSamples, message, call, replies.exported_items)

    def import_samples(
        self,
        pool: str,
        samples: Iterable[Sample | Outcome],
        *,
        space: EmbeddingSpace,
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> ImportResult:
        """Adds exported samples and outcomes to a pool; those it has already are skipped.

        Where `samples` itself raises, the error passes through, and what came before it stays
        imported.

        Args:
            pool: Name of the pool; created if there is none.
            samples: Samples and outcomes, as exported. Pulled in a thread of gRPC, as the server
                reads.
            space: Where their vectors live; must be the pool's.
            timeout: Seconds for the whole stream; no limit if None.
            request_id: Names the stream in the server's log; made here if None.
        """
        call = self._connection.stream(timeout, request_id)
        feed = Feed(samples, import_item, header=import_header(pool, space))
        reply = send_all(self._admin.ImportSamples, feed, call)
        return replies.import_result(reply)

    def routers(
        self, *, timeout: float | None = None, request_id: str | None = None
    ) -> tuple[Router, ...]:
        """Lists every router, by name."""
        message = admin_service_pb2.ListRoutersRequest()
        call = self._connection.call(timeout, request_id)
        reply = send(self._admin.ListRouters, message, call)
        return tuple(replies.router(each) for each in reply.routers)

    def router(
        self, name: str, *, timeout: float | None = None, request_id: str | None = None
    ) -> Router:
        """Describes one router."""
        message = admin_service_pb2.GetRouterRequest(router=name)
        call = self._connection.call(timeout, request_id)
        return replies.router(send(self._admin.GetRouter, message, call).router)

    def reload_router(
        self,
        name: str,
        *,
        directory: str = "",
        timeout: float | None = None,
        request_id: str | None = None,
    ) -> Router:
        """Loads a router's artefact anew; the old one stays in service if the new is broken.

        Args:
            name: Name of the router.
            directory: Of the artefact, on the server; the one it was loaded from if empty.
            timeout: Seconds; the client's if None.
            request_id: Names the call in the server's log; made here if None.
        """
        message = admin_service_pb2.ReloadRouterRequest(router=name, directory=directory)
        call = self._connection.call(timeout, request_id)
        return replies.router(send(self._admin.ReloadRouter, message, call).router)
