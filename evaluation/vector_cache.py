"""Vectors of texts kept on a disk, so that a second run encodes only what is new.

A directory for each encoder holds segments, files of the texts that were encoded together. A
segment appears when it is whole and never changes, so that processes share them without a lock:

    magic (8 bytes), count n and dimension d (uint32, little-endian)
    n keys (32 bytes each, SHA-256 of a text)
    n flags (1 byte each): the text was longer than the encoder reads
    n * d float32, little-endian
    SHA-256 of all before it

No text is kept. A file that is damaged, cut or gone counts as none.
"""

import hashlib
import os
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders import Encoded

VECTOR_CACHE = Path("~/.cache/pointsman/vectors")
"""Where commands keep vectors; `expanduser` it."""
MOST_BYTES = 512 * 2**20
"""About 340,000 vectors of 384 numbers."""

_MAGIC = b"ptsmvec1"
_HEADER = struct.Struct("<8sII")
_KEY = 32
_SUFFIX = ".vectors"
_MOST_COUNT = 1 << 20


class RevisedEncoder(Protocol):
    """A text encoder that says which one it is."""

    @property
    def revision(self) -> str:
        """Another one whenever a vector would be another."""

    @property
    def dimension(self) -> int:
        """Coordinates of a vector."""

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encodes texts, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """n texts of one file; `vectors` is (n, d) float32, `truncated` (n,) bool."""

    keys: list[bytes]
    vectors: NDArray[np.float32]
    truncated: NDArray[np.bool_]


class CachingEncoder:
    """Encodes what no earlier run has encoded, and remembers it.

    A kept vector is bit for bit what the encoder gave then. (What it would give now may differ in
    the last bits, as in any other batch.) A disk that is full or can't be written costs the
    remembering, never the encoding.

    Attributes:
        hits: Texts that were found.
        misses: Texts that were encoded.
    """

    def __init__(
        self, encoder: RevisedEncoder, directory: Path, most_bytes: int = MOST_BYTES
    ) -> None:
        """Looks what is there.

        Args:
            encoder: Encodes what is not.
            directory: Of the segments of all encoders; made where it is missing.
            most_bytes: Of all segments together; the longest unused are deleted beyond it.
        """
        self._encoder = encoder
        self._root = directory
        self._own = directory / hashlib.sha256(encoder.revision.encode()).hexdigest()[:16]
        self._most_bytes = most_bytes
        self._places: dict[bytes, tuple[Path, int]] = {}
        self._open: tuple[Path, _Segment] | None = None
        self._used: set[Path] = set()
        self.hits = 0
        self.misses = 0
        for path in _paths(self._own):
            self._note(path, _read_keys(path, encoder.dimension))

    @property
    def revision(self) -> str:
        """The encoder's own."""
        return self._encoder.revision

    @property
    def dimension(self) -> int:
        """The encoder's own."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Gives the vectors of texts, in their order."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        truncated = np.empty(len(texts), np.bool_)
        keys = [_key(text) for text in texts]
        missing = []
        for row, key in enumerate(keys):
            found = self._find(key)
            if found is None:
                missing.append(row)
            else:
                vectors[row], truncated[row] = found
        if missing:
            fresh = self._encoder.encode([texts[row] for row in missing])
            vectors[missing], truncated[missing] = fresh.vectors, fresh.truncated
            self._keep(_Segment([keys[row] for row in missing], fresh.vectors, fresh.truncated))
        self.hits += len(texts) - len(missing)
        self.misses += len(missing)
        return Encoded(vectors, truncated)

    def _find(self, key: bytes) -> tuple[NDArray[np.float32], np.bool_] | None:
        place = self._places.get(key)
        if place is None:
            return None
        path, row = place
        segment = self._segment(path)
        if segment is None or segment.keys[row] != key:
            del self._places[key]
            return None
        return segment.vectors[row], segment.truncated[row]

    def _segment(self, path: Path) -> _Segment | None:
        if self._open is None or self._open[0] != path:
            segment = _read(path, self.dimension)
            if segment is None:
                return None
            self._open = path, segment
            if path not in self._used:
                self._used.add(path)
                with suppress(OSError):
                    os.utime(path)
        return self._open[1]

    def _note(self, path: Path, keys: Sequence[bytes]) -> None:
        for row, key in enumerate(keys):
            self._places[key] = path, row

    def _keep(self, segment: _Segment) -> None:
        data = _serialise(segment)
        if len(data) > self._most_bytes:
            return
        with suppress(OSError):
            path = _write(self._own, data)
            self._note(path, segment.keys)
            _trim(self._root, self._most_bytes)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _paths(folder: Path) -> list[Path]:
    """The segments of a folder, in a stable order."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    except OSError:
        return []


def _serialise(segment: _Segment) -> bytes:
    count, dimension = segment.vectors.shape
    parts = (
        _HEADER.pack(_MAGIC, count, dimension),
        b"".join(segment.keys),
        np.ascontiguousarray(segment.truncated, np.uint8).tobytes(),
        np.ascontiguousarray(segment.vectors, "<f4").tobytes(),
    )
    content = b"".join(parts)
    return content + hashlib.sha256(content).digest()


def _write(folder: Path, data: bytes) -> Path:
    """Writes a segment under the name of its hash, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{data[-_KEY:].hex()[:32]}{_SUFFIX}"
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _read_keys(path: Path, dimension: int) -> list[bytes]:
    """The keys of a segment, unverified; none where it is not one of this dimension."""
    try:
        with path.open("rb") as file:
            magic, count, found = _HEADER.unpack(file.read(_HEADER.size))
            if magic != _MAGIC or found != dimension or count > _MOST_COUNT:
                return []
            return _split(file.read(count * _KEY))
    except (OSError, struct.error):
        return []


def _read(path: Path, dimension: int) -> _Segment | None:
    """A segment whose hash is right; None where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content, digest = data[:-_KEY], data[-_KEY:]
    if len(content) < _HEADER.size or hashlib.sha256(content).digest() != digest:
        return None
    _, count, found = _HEADER.unpack_from(content)
    flags = _HEADER.size + count * _KEY
    if found != dimension or len(content) != flags + count + 4 * count * dimension:
        return None
    vectors = np.frombuffer(content, "<f4", offset=flags + count).astype(np.float32)
    truncated = np.frombuffer(content, np.uint8, count, flags).astype(np.bool_)
    keys = _split(content[_HEADER.size : flags])
    return _Segment(keys, vectors.reshape(count, dimension), truncated)


def _split(keys: bytes) -> list[bytes]:
    return [keys[start : start + _KEY] for start in range(0, len(keys), _KEY)]


def _trim(root: Path, most_bytes: int) -> None:
    """Deletes the segments of any encoder that were used the longest ago."""
    found = []
    for folder in root.iterdir():
        for path in _paths(folder):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, path, status.st_size))
    excess = sum(size for _, _, size in found) - most_bytes
    for _, path, size in sorted(found):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size
