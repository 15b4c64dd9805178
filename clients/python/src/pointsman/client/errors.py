"""What a call raises, and how it is read from a gRPC status."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.any_pb2 import Any as PackedDetail
    from google.protobuf.duration_pb2 import Duration

    from pointsman.v1 import types_pb2

_DETAILS_KEY = "grpc-status-details-bin"
# What gRPC says of a call that the other side has reset, and not its caller.
_RESET = ("", "CANCELLED", None)
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a request."""

    field: str
    """Path from the root of the request, as in `generations[2].vector`."""
    description: str
    """What is wrong and what to do."""


class PointsmanError(Exception):
    """A call, or one item of a stream, failed.

    Attributes:
        message: One sentence for a person.
        code: The gRPC status code.
        reason: An upper-case reason that is stable between releases, as in `POOL_NOT_FOUND`;
            empty where the failure never reached a Pointsman server.
        fields: The invalid fields, where the code is `INVALID_ARGUMENT`.
        retry_after: Seconds to wait before another attempt, where the server says so.
        request_id: The id of the call, which the server logs too.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        fields: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.fields = fields
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        label = f"{self.code.name} ({self.reason})" if self.reason else self.code.name
        faults = (f"{each.field}: {each.description}" for each in self.fields)
        # The server's own message names them already.
        unsaid = "; ".join(each for each in faults if each not in self.message)
        return f"{label}: {self.message}" + (f" [{unsaid}]" if unsaid else "")

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their positional arguments, and ours are named.
        rebuild = partial(
            type(self),
            code=self.code,
            reason=self.reason,
            fields=self.fields,
            retry_after=self.retry_after,
            request_id=self.request_id,
        )
        return rebuild, (self.message,)


@dataclass(slots=True)
class _Details:
    reason: str = ""
    fields: tuple[FieldError, ...] = ()
    retry_after: float | None = None


def call_error(error: grpc.RpcError, request_id: str) -> PointsmanError:
    """Converts the failure of a call. Absent or unreadable details leave their fields empty."""
    details = _read_details(error)
    return PointsmanError(
        _message_of(error),
        code=error.code(),
        reason=details.reason,
        fields=details.fields,
        retry_after=details.retry_after,
        request_id=request_id,
    )


def _message_of(error: grpc.RpcError) -> str:
    message = error.details()
    if error.code() is grpc.StatusCode.CANCELLED and message in _RESET:
        return (
            "The server reset the call before it looked at it, as one that has fallen behind "
            "does; call again later."
        )
    return message or "The call failed and no message says why."


def closed_error(request_id: str) -> PointsmanError:
    """Returns the failure of a call whose client was closed."""
    return PointsmanError(
        "The client is closed; make another one to call again.",
        code=grpc.StatusCode.CANCELLED,
        request_id=request_id,
    )


def item_error(error: types_pb2.ItemError, request_id: str) -> PointsmanError:
    """Converts the failure of one item of a stream."""
    return PointsmanError(
        error.message,
        code=_CODES.get(error.code, grpc.StatusCode.UNKNOWN),
        reason=error.reason,
        fields=tuple(FieldError(each.field, each.description) for each in error.field_violations),
        retry_after=_seconds(error.retry_delay) if error.HasField("retry_delay") else None,
        request_id=request_id,
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _read_details(error: grpc.RpcError) -> _Details:
    details = _Details()
    # A call that never reached a server may have no trailing metadata at all. The stubs of gRPC
    # don't know that an entry unpacks.
    entries = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in entries:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            _read_status(value, details)
    return details


def _read_status(serialised: bytes, details: _Details) -> None:
    try:
        status = status_pb2.Status.FromString(serialised)
    except DecodeError:
        return
    for packed in status.details:
        try:
            _read_detail(packed, details)
        except DecodeError:
            continue


def _read_detail(packed: PackedDetail, details: _Details) -> None:
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    if packed.Unpack(info):
        details.reason = info.reason
    elif packed.Unpack(bad_request):
        details.fields = tuple(
            FieldError(each.field, each.description) for each in bad_request.field_violations
        )
    elif packed.Unpack(retry):
        details.retry_after = _seconds(retry.retry_delay)
