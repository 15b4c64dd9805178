"""The one table from errors to gRPC statuses, and the form that they take on the wire."""

from collections.abc import Callable
from itertools import accumulate

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from encoders import errors as encoders
from pointsman.v1 import types_pb2
from scoring import errors as scoring
from server import errors as server
from server.logs import place_of

_log = structlog.get_logger(__name__)

DOMAIN = "pointsman"

PointsmanError = server.ServerError | scoring.ScoringError | encoders.EncodersError

STATUS: dict[type[PointsmanError], grpc.StatusCode] = {
    server.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    server.MalformedMessageError: grpc.StatusCode.INVALID_ARGUMENT,
    server.OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    server.DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    server.RouterNotFoundError: grpc.StatusCode.NOT_FOUND,
    server.ShuttingDownError: grpc.StatusCode.UNAVAILABLE,
    server.EncodingFailedError: grpc.StatusCode.INTERNAL,
    server.SettingsError: grpc.StatusCode.FAILED_PRECONDITION,
    server.StartError: grpc.StatusCode.UNAVAILABLE,
    scoring.InvalidArrayError: grpc.StatusCode.INVALID_ARGUMENT,
    scoring.UnknownModelError: grpc.StatusCode.INVALID_ARGUMENT,
    scoring.PolicyNeedsCostsError: grpc.StatusCode.FAILED_PRECONDITION,
    scoring.NoCandidateError: grpc.StatusCode.FAILED_PRECONDITION,
    scoring.RouterUnreadyError: grpc.StatusCode.FAILED_PRECONDITION,
    scoring.SampleNotFoundError: grpc.StatusCode.NOT_FOUND,
    scoring.PoolNotFoundError: grpc.StatusCode.NOT_FOUND,
    scoring.TooManyPoolsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    scoring.TooManyVotersError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    scoring.SpaceMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    scoring.MemoryBusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    scoring.MemoryStorageError: grpc.StatusCode.UNAVAILABLE,
    encoders.EncoderNotFoundError: grpc.StatusCode.FAILED_PRECONDITION,
    encoders.EncoderInvalidError: grpc.StatusCode.FAILED_PRECONDITION,
    encoders.ProviderUnavailableError: grpc.StatusCode.FAILED_PRECONDITION,
    encoders.ArtefactNotFoundError: grpc.StatusCode.FAILED_PRECONDITION,
    encoders.ArtefactInvalidError: grpc.StatusCode.FAILED_PRECONDITION,
}
"""Every leaf of the three error trees, and the code that its caller sees."""

START_ONLY: frozenset[type[PointsmanError]] = frozenset(
    {
        server.SettingsError,
        server.StartError,
        encoders.EncoderNotFoundError,
        encoders.EncoderInvalidError,
        encoders.ProviderUnavailableError,
    }
)
"""Errors that keep the server from starting, and that no caller sees."""

_INTERNAL_MESSAGE = (
    "The server failed on this request; its log has the cause under the same request id."
)
_BUSY_RETRY_SECONDS = 0.1
# Beyond 8 kB of metadata gRPC may refuse a status, and the caller would see that instead. The
# message travels twice: percent-encoded, and with the violations in base64.
_MOST_VIOLATIONS = 16
_MESSAGE_BYTES = 1200
_VIOLATION_BYTES = 300
_VIOLATIONS_BYTES = 2400


_WITH_FIELD = (scoring.InvalidArrayError, scoring.UnknownModelError, scoring.NoCandidateError)


def violations_of(error: Exception) -> tuple[server.Violation, ...]:
    """Returns the fields at fault that an error names, as many as a status has room for."""
    found: tuple[server.Violation, ...] = ()
    if isinstance(error, server.InvalidRequestError):
        found = error.violations[:_MOST_VIOLATIONS]
    elif isinstance(error, _WITH_FIELD) and error.field:
        found = (server.Violation(error.field, str(error)),)
    room = _VIOLATIONS_BYTES
    shown = []
    for each in found:
        cut = server.Violation(
            _cut(each.field, _VIOLATION_BYTES, _as_utf8),
            _cut(each.description, _VIOLATION_BYTES, _as_utf8),
        )
        room -= _as_utf8(cut.field) + _as_utf8(cut.description)
        if room < 0:
            break
        shown.append(cut)
    return tuple(shown)


def code_of(error: Exception) -> grpc.StatusCode:
    """Returns the code that the caller sees; INTERNAL for an error outside the table."""
    return (
        STATUS.get(type(error), grpc.StatusCode.INTERNAL)
        if isinstance(error, PointsmanError)
        else grpc.StatusCode.INTERNAL
    )


def reason_of(error: Exception) -> str:
    """Returns the upper-case reason that the caller sees."""
    return error.reason if isinstance(error, PointsmanError) else "INTERNAL"


def message_of(error: Exception) -> str:
    """Returns the sentence that the caller sees. An unexpected error's own text stays inside."""
    text = str(error) if type(error) in STATUS else _INTERNAL_MESSAGE
    return _cut(text, _MESSAGE_BYTES, _percent_encoded)


def rich_status(error: Exception, request_id: str) -> status_pb2.Status:
    """Builds the google.rpc.Status of an error, with ErrorInfo, BadRequest and RetryInfo."""
    status = status_pb2.Status(code=code_of(error).value[0], message=message_of(error))
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=reason_of(error), domain=DOMAIN, metadata={"request_id": request_id}
        )
    ]
    violations = violations_of(error)
    if violations:
        details.append(_bad_request(violations))
    delay = _retry_delay(error)
    if delay is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def item_error(error: Exception) -> types_pb2.ItemError:
    """Builds the error of one item of a stream, and logs an unexpected one."""
    if not isinstance(error, PointsmanError):
        _log.error("item", code=code_of(error).name, error=place_of(error))
    return types_pb2.ItemError(
        code=code_of(error).value[0],
        reason=reason_of(error),
        message=message_of(error),
        field_violations=[
            types_pb2.FieldViolation(field=each.field, description=each.description)
            for each in violations_of(error)
        ],
        retry_delay=_retry_delay(error),
    )


def _cut(text: str, most: int, size: Callable[[str], int]) -> str:
    """Returns a text, or its beginning and dots where it is larger than `most`."""
    if 3 * len(text.encode()) <= most:  # none of the sizes is more
        return text
    for place, taken in enumerate(accumulate(map(size, text))):
        if taken > most:
            return text[:place] + " ..."
    return text


def _as_utf8(text: str) -> int:
    return len(text.encode())


def _percent_encoded(character: str) -> int:
    return 1 if " " <= character <= "~" and character != "%" else 3 * _as_utf8(character)


def _bad_request(violations: tuple[server.Violation, ...]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=each.field, description=each.description
            )
            for each in violations
        ]
    )


def _retry_delay(error: Exception) -> duration_pb2.Duration | None:
    seconds = error.retry_after if isinstance(error, server.OverloadedError) else None
    if isinstance(error, scoring.MemoryBusyError):
        seconds = _BUSY_RETRY_SECONDS
    if seconds is None:
        return None
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return delay
