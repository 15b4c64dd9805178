"""The boundary: bytes to messages, errors to statuses, one log line for every call.

Nothing but a status leaves it: a handler's exception becomes the status of the table in
`server.status`, and an unexpected one becomes INTERNAL, with the cause in the log alone.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from server import deadline
from server.errors import DeadlineError, MalformedMessageError, OverloadedError
from server.logs import place_of
from server.status import PointsmanError, code_of, message_of, reason_of, rich_status

_log = structlog.get_logger(__name__)

_OURS = "/pointsman."
_REQUEST_ID = "x-request-id"
_REQUEST_ID_LENGTH = 128
_NEW_ID_BYTES = 16
_SECONDS_BETWEEN_REFUSALS = 1.0
_DETAILS = "grpc-status-details-bin"

Context = grpc.aio.ServicerContext[Any, Any]
# A string, for the class takes parameters in its type stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Observe = Callable[[str, str, float], None]
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]]


class BoundaryInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method of our own services.

    Requests are parsed here instead of by gRPC, whose own parser answers INTERNAL to bytes that
    are not the message.

    Args:
        observe: Is told method, code and seconds of every call that has ended.
        log_requests: Writes a line for every call; without it, only for those that failed.
    """

    def __init__(self, observe: Observe, *, log_requests: bool) -> None:
        self._observe = observe
        self._log_requests = log_requests
        self._refusals = _Refusals()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Returns the wrapped handler."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_OURS):
            return handler
        call = _Call(
            handler,
            method,
            handler_call_details,
            self._observe,
            self._refusals,
            log_requests=self._log_requests,
        )
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                call.stream_stream, None, handler.response_serializer
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                call.stream_unary, None, handler.response_serializer
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                call.unary_stream, None, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            call.unary_unary, None, handler.response_serializer
        )


class _Call:
    """One call of one method."""

    def __init__(
        self,
        handler: Any,  # its methods are typed for blocking servers, and ours are not
        method: str,
        details: grpc.HandlerCallDetails,
        observe: Observe,
        refusals: "_Refusals",
        *,
        log_requests: bool,
    ) -> None:
        self._refusals = refusals
        self._handler = handler
        self._method = method
        self._request_id = _request_id(details)
        self._observe = observe
        self._log_requests = log_requests
        self._began = time.perf_counter()

    async def unary_unary(self, raw: bytes, context: Context) -> Any:
        async with self._guard(context):
            return await self._handler.unary_unary(self._parse(raw), context)

    async def unary_stream(self, raw: bytes, context: Context) -> AsyncIterator[Any]:
        async with self._guard(context):
            replies = self._handler.unary_stream(self._parse(raw), context)
            async for reply in _closing(replies):
                yield reply

    async def stream_unary(self, raw: AsyncIterator[bytes], context: Context) -> Any:
        async with self._guard(context):
            return await self._handler.stream_unary(self._parse_each(raw), context)

    async def stream_stream(
        self, raw: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Any]:
        async with self._guard(context):
            replies = self._handler.stream_stream(self._parse_each(raw), context)
            async for reply in _closing(replies):
                yield reply

    def _parse(self, raw: bytes) -> Any:
        try:
            return self._handler.request_deserializer(raw)
        except (DecodeError, ValueError):
            raise MalformedMessageError(
                f"The request is not a valid message of {self._method}: its bytes can't be "
                "parsed, or a text is not UTF-8."
            ) from None

    async def _parse_each(self, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for each in raw:
            yield self._parse(each)

    @asynccontextmanager
    async def _guard(self, context: Context) -> AsyncIterator[None]:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self._request_id, method=self._method)
        context.set_trailing_metadata(((_REQUEST_ID, self._request_id),))
        try:
            _begin(context)
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self._end("DEADLINE_EXCEEDED" if _is_over(context) else "CANCELLED")
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it leaves as a status
            await self._abort(error, context)
        else:
            self._end("OK", log=self._log_requests)

    async def _abort(self, error: Exception, context: Context) -> NoReturn:
        code, reason = code_of(error), reason_of(error)
        if isinstance(error, OverloadedError):
            unlogged = self._refusals.unlogged(time.monotonic())
            self._end(code.name, log=unlogged is not None, reason=reason, unlogged=unlogged or 0)
        elif isinstance(error, PointsmanError):
            self._end(code.name, reason=reason)
        else:
            self._end(code.name, reason=reason, error=place_of(error))
        details = rich_status(error, self._request_id).SerializeToString()
        await context.abort(
            code,
            message_of(error),
            ((_REQUEST_ID, self._request_id), (_DETAILS, details)),
        )

    def _end(self, code: str, *, log: bool = True, **fields: str | int) -> None:
        seconds = time.perf_counter() - self._began
        # In the next turn of the loop, when the reply is on its way.
        tell = partial(self._tell, code, seconds, log=log, **fields)
        asyncio.get_running_loop().call_soon(tell)

    def _tell(self, code: str, seconds: float, *, log: bool, **fields: str | int) -> None:
        self._observe(self._method, code, seconds)
        if log:
            write = _log.error if "error" in fields else _log.info
            write("call", code=code, milliseconds=round(seconds * 1e3, 3), **fields)


class _Refusals:
    """Logs one refusal a second: under overload there are hundreds, and each line costs."""

    def __init__(self) -> None:
        self._next = 0.0
        self._unlogged = 0

    def unlogged(self, now: float) -> int | None:
        """Returns how many were not logged since the last one, or None for one more."""
        if now < self._next:
            self._unlogged += 1
            return None
        unlogged, self._unlogged = self._unlogged, 0
        self._next = now + _SECONDS_BETWEEN_REFUSALS
        return unlogged


async def _closing(replies: AsyncGenerator[Any, None]) -> AsyncIterator[Any]:
    """Yields every reply; when it is closed early, so is the handler, at once."""
    async with aclosing(replies):
        async for reply in replies:
            yield reply


def _is_over(context: Context) -> bool:
    remaining = context.time_remaining()
    return remaining is not None and remaining <= 0


def _begin(context: Context) -> None:
    """Notes the deadline for all who queue work for this call."""
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise DeadlineError("The deadline had passed when the request arrived; allow more time.")
    deadline.begin(remaining)


def _request_id(details: grpc.HandlerCallDetails) -> str:
    """Returns the caller's request id, or a new one where it sent none that can be logged."""
    for key, value in details.invocation_metadata or ():
        readable = isinstance(value, str) and value.isascii() and value.isprintable()
        if key == _REQUEST_ID and readable and value:
            return str(value[:_REQUEST_ID_LENGTH])
    return os.urandom(_NEW_ID_BYTES).hex()
