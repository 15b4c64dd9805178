"""In front of a batcher: a text that came lately, or is being encoded, is not encoded again."""

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from server.encoding import TextEncoder
from server.errors import EncodingFailedError
from server.recent_vectors import RecentVector, RecentVectors
from server.tickets import EncodedTexts

_KEY_BYTES = 32
_DIGEST_BYTES = 16

_Vectors = dict[bytes, RecentVector]
_Landing = asyncio.Future[_Vectors | EncodingFailedError]


@dataclass(frozen=True, slots=True)
class _Times:
    """Seconds of one request, as in `EncodedTexts`."""

    tokenise: float = 0.0
    queue: float = 0.0
    encode: float = 0.0


_NO_TIME = _Times()


@dataclass(slots=True, eq=False)
class _Flight:
    """Texts that one request has sent to the batcher, for others that have the same.

    Attributes:
        digests: Of the texts, all of them different.
        characters: Of the texts, together.
        landings: One for each request that waits: vectors, none where the flight was given up,
            or why it failed.
    """

    digests: tuple[bytes, ...]
    characters: int
    landings: list[_Landing] = field(default_factory=list)


class SharingEncoder:
    """Takes vectors from those that are kept, and encodes the same text once for all who wait.

    A request waits for the flight of another only where that is no larger than what it would
    send itself: a prompt does not wait for the fifty answers that came with its twin. Where the
    one who sent a flight gives up, or has no time left, the first who waited for it sends what it
    needs, and the others wait for that. A flight that fails, fails everyone who waits.

    Digests have a random key of this encoder's own. So nobody can choose two texts that share
    one, and an encoder that comes back, as when a router is reloaded, is run and not remembered.

    Used from the event loop only.

    Args:
        behind: Encodes what is not kept, the texts of a request in one call.
        recent: Keeps vectors, those of other encoders too.
        dimension: Coordinates of a vector.
    """

    def __init__(self, behind: TextEncoder, recent: RecentVectors, *, dimension: int) -> None:
        self._behind = behind
        self._recent = recent
        self._dimension = dimension
        self._keyed = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=os.urandom(_KEY_BYTES))
        self._flights: dict[bytes, _Flight] = {}

    async def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encodes the texts of one request, and does not suspend where all of them are kept.

        Args:
            texts: n texts; no reference to one is kept while it waits for a batch.

        Raises:
            EncodingFailedError: The encoder failed on a run that held one of them, or another
                text of a flight that this request waited for.
            OverloadedError: What waits already takes longer than the caller's deadline.
        """
        digests = [self._digest(text) for text in texts]
        vectors = self._recent.find(digests)
        times = _NO_TIME
        if missing := self._missing(digests, texts, vectors):
            del texts  # they may be large, and the wait for a batch long
            times = await self._obtain(missing, vectors)
        return self._gathered(digests, vectors, times)

    def _digest(self, text: str) -> bytes:
        digest = self._keyed.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _missing(
        self, digests: Sequence[bytes], texts: Sequence[str], vectors: _Vectors
    ) -> dict[bytes, str]:
        missing: dict[bytes, str] = {}
        if len(vectors) == len(digests):
            return missing
        for digest, text in zip(digests, texts, strict=True):
            if digest in missing:
                self._recent.shared += 1
            elif digest not in vectors:
                missing[digest] = text
        return missing

    async def _obtain(self, missing: dict[bytes, str], vectors: _Vectors) -> _Times:
        """Adds the vectors of texts, which are taken out, and returns where the time went."""
        began = time.perf_counter()
        times = _NO_TIME
        while missing:
            landings, alone = self._board(missing)
            if alone:
                times = await self._fly(alone, vectors)
            for landing in landings:
                vectors.update(_arrived(await landing))
            left = [digest for digest in missing if digest not in vectors]
            vectors.update(self._recent.find(left))
            missing = {digest: missing[digest] for digest in left if digest not in vectors}
        # To wait for others is to queue.
        waited = time.perf_counter() - began - times.tokenise - times.encode
        return replace(times, queue=max(times.queue, waited))

    def _board(self, missing: dict[bytes, str]) -> tuple[list[_Landing], dict[bytes, str]]:
        """Returns the landings to wait for, and takes out the texts that are on no flight."""
        characters = sum(map(len, missing.values()))
        flights: dict[_Flight, None] = {}
        alone: dict[bytes, str] = {}
        for digest in tuple(missing):
            flight = self._flights.get(digest)
            if flight is None or flight.characters > characters:
                alone[digest] = missing.pop(digest)
            else:
                flights[flight] = None
                self._recent.shared += 1
        return [_wait_for(flight) for flight in flights], alone

    async def _fly(self, alone: dict[bytes, str], vectors: _Vectors) -> _Times:
        flight = _Flight(tuple(alone), sum(map(len, alone.values())))
        self._flights.update(dict.fromkeys(alone, flight))
        self._recent.misses += len(alone)
        encoding = self._behind.encode(list(alone.values()))
        alone.clear()
        landed: _Vectors | EncodingFailedError = {}
        try:
            encoded = await encoding
            landed = self._kept(flight.digests, encoded)
        except EncodingFailedError as error:
            landed = error
            raise
        finally:
            self._land(flight, landed)
        vectors.update(landed)
        return _Times(encoded.tokenise_seconds, encoded.queue_seconds, encoded.encode_seconds)

    def _kept(self, digests: Sequence[bytes], encoded: EncodedTexts) -> _Vectors:
        kept: _Vectors = {}
        rows = zip(digests, encoded.vectors, encoded.truncated, strict=True)
        for digest, vector, truncated in rows:
            kept[digest] = RecentVector(vector.tobytes(), bool(truncated))
            self._recent.keep(digest, kept[digest])
        return kept

    def _land(self, flight: _Flight, landed: _Vectors | EncodingFailedError) -> None:
        for digest in flight.digests:
            # A smaller flight may have taken its place.
            if self._flights.get(digest) is flight:
                del self._flights[digest]
        for landing in flight.landings:
            if not landing.done():
                landing.set_result(landed)

    def _gathered(
        self, digests: Sequence[bytes], vectors: Mapping[bytes, RecentVector], times: _Times
    ) -> EncodedTexts:
        rows = [vectors[digest] for digest in digests]
        # One copy, into memory of this request's own that it may write to.
        joined = bytearray().join([row.coordinates for row in rows])
        return EncodedTexts(
            np.frombuffer(joined, np.float32).reshape(len(rows), self._dimension),
            np.array([row.truncated for row in rows], np.bool_),
            times.tokenise,
            times.queue,
            times.encode,
        )


def _wait_for(flight: _Flight) -> _Landing:
    # One for each who waits: to be cancelled cancels what is awaited.
    landing: _Landing = asyncio.get_running_loop().create_future()
    flight.landings.append(landing)
    return landing


def _arrived(landed: _Vectors | EncodingFailedError) -> _Vectors:
    if isinstance(landed, EncodingFailedError):
        raise EncodingFailedError(str(landed))
    return landed
