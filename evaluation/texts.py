"""Texts to vectors, each distinct text once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders import Encoded

Progress = Callable[[int, int], None]
"""Told how many of how many texts are encoded."""

_CHUNK = 64


class TextEncoder(Protocol):
    """What `encoders.SentenceEncoder` does for a data set."""

    @property
    def dimension(self) -> int:
        """Coordinates of a vector."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encodes texts, in their order."""


class EncodedTexts:
    """The vectors of many texts; about 1.5 kB each with 384 dimensions.

    Attributes:
        truncated: How many distinct texts were longer than the encoder reads.
    """

    def __init__(
        self, texts: Iterable[str], encoder: TextEncoder, progress: Progress | None = None
    ) -> None:
        self._row = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        self._vectors = np.empty((len(self._row), encoder.dimension), np.float32)
        self.truncated = 0
        distinct = list(self._row)
        for start in range(0, len(distinct), _CHUNK):
            chunk = distinct[start : start + _CHUNK]
            encoded = encoder.encode(chunk)
            self._vectors[start : start + len(chunk)] = encoded.vectors
            self.truncated += int(encoded.truncated.sum())
            if progress:
                progress(start + len(chunk), len(distinct))

    def __len__(self) -> int:
        return len(self._row)

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the (n, d) vectors of texts that were given at the beginning."""
        return self._vectors[[self._row[text] for text in texts]]
