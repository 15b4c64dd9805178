"""The TF-IDF encoder: text in, unit vectors out, by counting words and character n-grams."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_object, sha256_of, whole_number
from encoders.pooling import to_unit_norm
from encoders.sentence import Encoded
from encoders.terms import terms
from encoders.tokeniser import Tokens

VOCABULARY: Final = "tfidf.json"
ARRAYS: Final = "tfidf.safetensors"
FILES: Final = (VOCABULARY, ARRAYS)
"""What makes the encoder, in its directory."""
MAX_TERMS: Final = 32_768
"""Terms that are read of a text where nothing else is said: about 10,000 characters."""
# A term costs a hundredth of what a token costs a network.
_BATCH_TOKENS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What is counted, and how much it weighs; V terms, words first."""

    words: tuple[str, ...]
    grams: tuple[str, ...]
    """Character n-grams."""
    least: int
    """Characters of the shortest n-grams."""
    most: int
    """Characters of the longest n-grams."""
    idf: NDArray[np.float32]
    """(V,), factors of the terms."""
    projection: NDArray[np.float32]
    """(V, d), right singular vectors of the training texts."""


@dataclass(frozen=True, slots=True, eq=False)
class TfidfEncoder:
    """Latent semantic analysis of counted terms; threads may share it.

    A text's count c of a term weighs (1 + ln c) idf. The weights of words and those of n-grams
    are scaled to unit norm, each apart, so that the many n-grams do not drown the words; both
    together are projected on the strongest d directions of the training texts (Deerwester et al.
    1990), and scaled to unit norm.
    """

    vocabulary: Vocabulary
    max_tokens: int
    """Terms that are read of a text, known or not."""
    revision: str
    """16 hex characters of a SHA-256 over vocabulary, weights and max_tokens."""
    _words: Mapping[str, int]
    _grams: Mapping[str, int]

    @classmethod
    def load(cls, directory: Path, *, max_tokens: int | None = None) -> Self:
        """Loads an encoder.

        Args:
            directory: Holds tfidf.json and tfidf.safetensors.
            max_tokens: In place of the encoder's own.

        Raises:
            EncoderNotFoundError: A file is missing.
            EncoderInvalidError: A file is damaged, or the files do not fit together.
        """
        path = directory / VOCABULARY
        values = read_object(path)
        limit = max_tokens or whole_number(values, "max_tokens", path) or MAX_TERMS
        vocabulary = _read(values, path, _read_arrays(directory / ARRAYS))
        words = {term: place for place, term in enumerate(vocabulary.words)}
        grams = {term: place for place, term in enumerate(vocabulary.grams, len(words))}
        if len(words) + len(grams) != len(vocabulary.idf):
            raise EncoderInvalidError(f"{path} names a term twice; train the router again")
        revision = sha256_of([directory / name for name in FILES], str(limit))[:16]
        return cls(vocabulary, limit, revision, words, grams)

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch of many callers' texts, where nothing else was set."""
        return _BATCH_TOKENS

    @property
    def batches_at_a_time(self) -> int:
        """1: it holds the interpreter."""
        return 1

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self.vocabulary.projection.shape[1])

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Finds the known terms of texts, in their order; a term that comes back comes again."""
        return [self._tokens(text) for text in texts]

    def cut(self, tokens: Sequence[Tokens]) -> Iterator[list[int]]:
        """Yields the indexes of all n texts: they are not padded."""
        yield list(range(len(tokens)))

    def encode_tokens(
        self,
        tokens: Sequence[Tokens],
        *,
        crowded: bool = False,  # noqa: ARG002  they take one thread in any case
    ) -> NDArray[np.float32]:
        """Encodes texts as their terms.

        Returns:
            (n, d) in the order of the texts, unit norm, C-contiguous. A text without a known
            term stays zero.
        """
        vectors = np.zeros((len(tokens), self.dimension), np.float32)
        for row, text in enumerate(tokens):
            if text.ids.size:
                vectors[row] = self._vector(text.ids)
        return to_unit_norm(vectors)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encodes texts, in their order."""
        tokens = self.tokenise(texts)
        truncated = np.array([text.truncated for text in tokens], dtype=np.bool_)
        return Encoded(self.encode_tokens(tokens), truncated)

    def _tokens(self, text: str) -> Tokens:
        found = terms(text, self.vocabulary.least, self.vocabulary.most)
        read = islice(found, self.max_tokens)
        places = ((self._words if word else self._grams).get(term) for word, term in read)
        ids = np.array([place for place in places if place is not None], np.int64)
        return Tokens(ids, truncated=next(found, None) is not None)

    def _vector(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        places, counts = np.unique(ids, return_counts=True)
        weights = (1 + np.log(counts)) * self.vocabulary.idf[places]
        words = places < len(self.vocabulary.words)
        for block in (words, ~words):
            weights[block] /= np.linalg.norm(weights[block]) or 1.0
        projected: NDArray[np.float32] = (
            weights.astype(np.float32) @ (self.vocabulary.projection[places])
        )
        return projected


def is_tfidf(directory: Path) -> bool:
    """Whether a directory holds a TF-IDF encoder, by its files' names."""
    return (directory / VOCABULARY).is_file()


def write_tfidf(directory: Path, vocabulary: Vocabulary, max_tokens: int = MAX_TERMS) -> None:
    """Writes the files that `TfidfEncoder.load` reads.

    Raises:
        OSError: They can't be written.
    """
    values = {
        "words": vocabulary.words,
        "grams": vocabulary.grams,
        "least": vocabulary.least,
        "most": vocabulary.most,
        "max_tokens": max_tokens,
    }
    arrays = {"idf": vocabulary.idf, "projection": vocabulary.projection}
    packed = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    directory.mkdir(parents=True, exist_ok=True)
    # A text may hold half of a surrogate pair, which only an escape can write.
    (directory / VOCABULARY).write_text(json.dumps(values) + "\n", encoding="ascii")
    (directory / ARRAYS).write_bytes(save(packed))


def _read(
    values: Mapping[str, object], path: Path, arrays: Mapping[str, NDArray[np.float32]]
) -> Vocabulary:
    words, grams = (_strings(values.get(name), name, path) for name in ("words", "grams"))
    sizes = [whole_number(dict(values), name, path) for name in ("least", "most")]
    least, most = (size or 0 for size in sizes)
    if not 1 <= least <= most:
        raise EncoderInvalidError(f"{path} holds no sizes of n-grams; train the router again")
    idf, projection = arrays["idf"], arrays["projection"]
    count = len(words) + len(grams)
    if idf.shape != (count,) or projection.ndim != 2 or len(projection) != count:
        message = f"{path} and {ARRAYS} are of different encoders; train the router again"
        raise EncoderInvalidError(message)
    return Vocabulary(words, grams, least, most, idf, projection)


def _strings(value: object, name: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise EncoderInvalidError(f"{name} in {path} is no list of terms; train the router again")
    return tuple(value)


def _read_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        found: dict[str, NDArray[np.float32]] = load(path.read_bytes())
    except OSError as error:
        message = f"{path} can't be read ({error.strerror}); give the directory of an encoder"
        raise EncoderNotFoundError(message) from error
    except Exception as error:  # a type that NumPy lacks raises whatever comes first
        message = f"{path} is not a safetensors file of float32; train the router again"
        raise EncoderInvalidError(message) from error
    fit = set(found) == {"idf", "projection"} and all(
        array.dtype == np.float32 and np.isfinite(array).all() and array.size
        for array in found.values()
    )
    if not fit:
        message = f"{path} does not hold finite idf and projection; train the router again"
        raise EncoderInvalidError(message)
    return {name: np.array(array, order="C") for name, array in found.items()}
