"""Vectors of the texts that came last, by a digest of the text, within a number of bytes."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecentVector:
    """What an encoder made of a text.

    Attributes:
        coordinates: Bytes of d float32. They can't change under whoever reads them, so an entry
            may go while a request still uses it.
        truncated: The text was longer than the encoder reads.
    """

    coordinates: bytes
    truncated: bool


# Of an entry beside its coordinates: digest, record, place in the table and in the order of use,
# and what malloc rounds up; 205 to 240 are allocated, the most where the table has just grown.
_ENTRY_BYTES = 272


class RecentVectors:
    """Keeps the vectors that were used last. No text is in it, nor what leads back to one.

    Used from the event loop only; the counts may be read from any thread.

    Args:
        most_bytes: Bound of what it takes, its own bookkeeping included; 0 keeps nothing.

    Attributes:
        hits: Texts whose vector was here.
        misses: Texts that were sent to an encoder.
        shared: Texts that waited for a vector which another one had been sent for.
        evictions: Vectors that made room for others.
        bytes: Taken now.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.hits = self.misses = self.shared = self.evictions = 0
        self.bytes = 0
        self._vectors: OrderedDict[bytes, RecentVector] = OrderedDict()

    def __len__(self) -> int:
        return len(self._vectors)

    def find(self, digests: Iterable[bytes]) -> dict[bytes, RecentVector]:
        """Returns those of some texts that are here, each of which is now the last used."""
        found = {}
        for digest in digests:
            vector = self._vectors.get(digest)
            if vector is not None:
                self._vectors.move_to_end(digest)
                self.hits += 1
                found[digest] = vector
        return found

    def keep(self, digest: bytes, vector: RecentVector) -> None:
        """Adds a vector, in the place of those that were used longest ago."""
        taken = _bytes_of(vector)
        if taken > self.most_bytes:
            return
        before = self._vectors.pop(digest, None)
        if before is not None:
            self.bytes -= _bytes_of(before)
        while self.bytes + taken > self.most_bytes:
            _, oldest = self._vectors.popitem(last=False)
            self.bytes -= _bytes_of(oldest)
            self.evictions += 1
        self._vectors[digest] = vector
        self.bytes += taken


def _bytes_of(vector: RecentVector) -> int:
    return _ENTRY_BYTES + len(vector.coordinates)
