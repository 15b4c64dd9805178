"""What can go wrong between text and vectors, as one tree of exceptions."""

from typing import ClassVar


class EncodersError(Exception):
    """Root of every error that `encoders` raises on purpose.

    The message is one sentence for a person: what is wrong and what to do.
    `field` names the argument at fault, where there is one.
    """

    reason: ClassVar[str] = "ENCODERS"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class EncoderNotFoundError(EncodersError):
    """A directory does not hold an encoder, or the embedded one is missing."""

    reason = "ENCODER_NOT_FOUND"


class EncoderInvalidError(EncodersError):
    """An encoder's files are damaged, or do not fit together."""

    reason = "ENCODER_INVALID"


class ProviderUnavailableError(EncodersError):
    """The execution provider that was asked for is not there."""

    reason = "PROVIDER_UNAVAILABLE"


class ArtefactNotFoundError(EncodersError):
    """A directory is missing, or holds no router."""

    reason = "ARTEFACT_NOT_FOUND"


class ArtefactInvalidError(EncodersError):
    """A router's files are damaged, do not fit together, or can't be written."""

    reason = "ARTEFACT_INVALID"
