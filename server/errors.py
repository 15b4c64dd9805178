"""What can go wrong in the process itself, as one tree of exceptions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ServerError(Exception):
    """Root of every error that `server` raises on purpose.

    The message is one sentence for a person: what is wrong and what to do.
    """

    reason: ClassVar[str] = "SERVER"


@dataclass(frozen=True, slots=True)
class Violation:
    """One invalid field: its path from the root of the request, and what to do."""

    field: str
    description: str


class InvalidRequestError(ServerError):
    """A request has invalid fields."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{each.field}: {each.description}" for each in violations))
        self.violations = tuple(violations)

    def within(self, place: str) -> "InvalidRequestError":
        """The same of a message that stands at this place in the request."""
        return InvalidRequestError(
            [Violation(f"{place}.{each.field}", each.description) for each in self.violations]
        )


class MalformedMessageError(ServerError):
    """The bytes of a request are not the message that the method takes."""

    reason = "MALFORMED_MESSAGE"


class OverloadedError(ServerError):
    """The server has as much in flight as it admits, or as can be done within the deadline."""

    reason = "OVERLOADED"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(ServerError):
    """The deadline of a request has passed."""

    reason = "DEADLINE_EXCEEDED"


class RouterNotFoundError(ServerError):
    """No router has this name."""

    reason = "ROUTER_NOT_FOUND"


class ShuttingDownError(ServerError):
    """The server is going down and takes no more work."""

    reason = "SHUTTING_DOWN"


class EncodingFailedError(ServerError):
    """The encoder failed on a batch of valid texts."""

    reason = "ENCODING_FAILED"


class SettingsError(ServerError):
    """The settings can't be used. The message names the setting to change."""

    reason = "SETTINGS"


class StartError(ServerError):
    """The server can't start. The message names what to change."""

    reason = "START"
