"""The boundary: bytes to messages, errors to statuses, one log line for every call.

Nothing but a status leaves it: a handler's exception becomes the status of the table in
`server.status`, and an unexpected one becomes INTERNAL, with the cause in the log alone.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from server import calls
from server.call_log import CallLog
from server.calls import Call
from server.errors import DeadlineError, MalformedMessageError
from server.status import code_of, message_of, rich_status

_OURS = "/pointsman."
_REQUEST_ID = "x-request-id"
_REQUEST_ID_LENGTH = 128
_NEW_ID_BYTES = 16
_DETAILS = "grpc-status-details-bin"

# gRPC hands it to whoever finds the handler, and makes it anew for whoever asks later.
_metadata: ContextVar[Iterable[tuple[str, str | bytes]]] = ContextVar("metadata", default=())

Context = grpc.aio.ServicerContext[Any, Any]
# A string, for the class takes parameters in its type stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Boundary:
    """Wraps the methods of our own services, each of them once.

    An interceptor of gRPC would wrap anew at every call, which took 0.04 ms of each. Requests are
    parsed here instead of by gRPC, whose own parser answers INTERNAL to bytes that are not the
    message.

    Args:
        log: Is told of every call that has ended.
    """

    def __init__(self, log: CallLog) -> None:
        self._log = log

    def around(self, handlers: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        """Returns the same handlers, those of our own services wrapped."""
        return _Bounded(handlers, self)

    def bound(self, path: str, handler: Handler) -> Handler:
        """Wraps the handler of a method."""
        method, write = _Method(path, handler, self._log), handler.response_serializer
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(method.stream_stream, None, write)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(method.stream_unary, None, write)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(method.unary_stream, None, write)
        return grpc.unary_unary_rpc_method_handler(method.unary_unary, None, write)


class _Bounded(grpc.GenericRpcHandler):
    """Finds wrapped handlers by the path of a call."""

    def __init__(self, handlers: grpc.GenericRpcHandler, boundary: Boundary) -> None:
        self._handlers = handlers
        self._boundary = boundary
        self._bound: dict[str, Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        path = handler_call_details.method
        bound = self._bound.get(path)
        if bound is None:
            handler = self._handlers.service(handler_call_details)
            if handler is None or not path.startswith(_OURS):
                return handler
            bound = self._bound[path] = self._boundary.bound(path, handler)
        _metadata.set(handler_call_details.invocation_metadata)
        return bound


class _Method:
    """One method, from bytes to messages."""

    def __init__(self, path: str, handler: Any, log: CallLog) -> None:
        self._path = path
        self._handler = handler  # its methods are typed for blocking servers, and ours are not
        self._log = log

    async def unary_unary(self, raw: bytes, context: Context) -> Any:
        with self._guard(context) as guard:
            return await self._handler.unary_unary(guard.parse(raw), context)
        return await guard.abort()

    async def unary_stream(self, raw: bytes, context: Context) -> AsyncIterator[Any]:
        with self._guard(context) as guard:
            replies = self._handler.unary_stream(guard.parse(raw), context)
            async with aclosing(replies):
                async for reply in replies:
                    yield reply
            return
        await guard.abort()

    async def stream_unary(self, raw: AsyncIterator[bytes], context: Context) -> Any:
        with self._guard(context) as guard:
            return await self._handler.stream_unary(guard.parse_each(raw), context)
        return await guard.abort()

    async def stream_stream(
        self, raw: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Any]:
        with self._guard(context) as guard:
            replies = self._handler.stream_stream(guard.parse_each(raw), context)
            async with aclosing(replies):
                async for reply in replies:
                    yield reply
            return
        await guard.abort()

    def _guard(self, context: Context) -> "_Guard":
        return _Guard(self._path, self._handler.request_deserializer, context, self._log)


class _Guard:
    """One call: its messages, and the status that it ends with.

    An error ends the `with`, and `abort` then sends its status: as trailers alone, which clients
    take for a call that they may try again. Were the status set, and nothing returned, gRPC would
    send an empty message before it.
    """

    __slots__ = ("_call", "_context", "_deserialise", "_log", "_refusal")

    def __init__(
        self,
        path: str,
        deserialise: Callable[[bytes], Any],
        context: Context,
        log: CallLog,
    ) -> None:
        now, left = time.monotonic(), context.time_remaining()
        ends_at = None if left is None else now + left
        self._call = Call(path, _request_id(), now, ends_at)
        self._deserialise = deserialise
        self._context = context
        self._log = log
        self._refusal: Exception | None = None

    def parse(self, raw: bytes) -> Any:
        """Reads a message.

        Raises:
            MalformedMessageError: It is none of this method.
            DeadlineError: The caller has gone.
        """
        left = calls.seconds_left()
        if left is not None and left <= 0:
            raise DeadlineError(
                "The deadline had passed when the request arrived; allow more time."
            )
        try:
            return self._deserialise(raw)
        except (DecodeError, ValueError):
            raise MalformedMessageError(
                f"The request is not a valid message of {self._call.method}: its bytes can't be "
                "parsed, or a text is not UTF-8."
            ) from None

    async def parse_each(self, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Reads the messages of a stream."""
        async for each in raw:
            yield self.parse(each)

    def __enter__(self) -> "_Guard":
        calls.begin(self._call)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self._refusal = error
            self._log.end(self._call, code_of(error).name, error)
            return True
        code = "OK"
        if error is not None:
            code = "DEADLINE_EXCEEDED" if _is_over(self._context) else "CANCELLED"
        self._log.end(self._call, code, error)
        return False

    async def abort(self) -> NoReturn:
        """Sends the status of the error that ended the `with`."""
        error, request_id = self._refusal, self._call.request_id
        assert error is not None  # noqa: S101  else the handler has returned
        self._refusal = None  # which leads to this frame
        details = rich_status(error, request_id).SerializeToString()
        metadata = ((_REQUEST_ID, request_id), (_DETAILS, details))
        await self._context.abort(code_of(error), message_of(error), metadata)


def _is_over(context: Context) -> bool:
    remaining = context.time_remaining()
    return remaining is not None and remaining <= 0


def _request_id() -> str:
    """Returns the caller's request id, or a new one where it sent none that can be logged."""
    for key, value in _metadata.get():
        readable = isinstance(value, str) and value.isascii() and value.isprintable()
        if key == _REQUEST_ID and readable and value:
            return str(value[:_REQUEST_ID_LENGTH])
    return os.urandom(_NEW_ID_BYTES).hex()
