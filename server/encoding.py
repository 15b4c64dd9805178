"""From a prompt, as text or as the caller's own vector, to a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from server.requests import PromptVector, Timings
from server.tickets import EncodedTexts


class TextEncoder(Protocol):
    """What turns texts into vectors."""

    async def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encodes the texts of one request."""


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """What a reply and a pool say of the encoder.

    Attributes:
        revision: Hash of its weights, tokenizer and pooling.
        dimension: Coordinates of its vectors.
        max_tokens: Tokens that it reads of a text.
    """

    revision: str
    dimension: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class ServedEncoder:
    """An encoder in service, and what it is."""

    encoder: TextEncoder
    identity: EncoderIdentity


class EncodedPrompt(NamedTuple):
    """A prompt as a vector.

    Attributes:
        vector: Shape (d,), float32.
        truncated: The text was longer than the encoder reads.
    """

    vector: NDArray[np.float32]
    truncated: bool = False


async def encode_prompt(
    encoder: TextEncoder, prompt: str | PromptVector, timings: Timings
) -> EncodedPrompt:
    """Encodes a text, or takes a vector as it is.

    Raises:
        EncodingFailedError: The encoder failed.
    """
    if isinstance(prompt, PromptVector):
        return EncodedPrompt(prompt.vector)
    encoded = await encoder.encode([prompt])
    note_encoding(encoded, timings)
    return EncodedPrompt(encoded.vectors[0], bool(encoded.truncated[0]))


def note_encoding(encoded: EncodedTexts, timings: Timings) -> None:
    """Takes over where the time of an encoding went."""
    timings.tokenise = encoded.tokenise_seconds
    timings.queue = encoded.queue_seconds
    timings.encode = encoded.encode_seconds
