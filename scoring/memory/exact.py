"""A few vectors, compared one by one."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.recall import keep_found, keep_living

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Numbers of samples (n,) int64 and their squared distances (n,) float32."""

NOTHING: Found = (np.zeros(0, np.int64), np.zeros(0, np.float32))

_SMALLEST = 64


class Nearest:
    """The nearest samples so far, gathered from wherever they lie.

    Args:
        k: Most of them.
    """

    def __init__(self, k: int) -> None:
        self.seqs = np.empty(k, np.int64)
        self.squared = np.empty(k, np.float32)
        self.count = 0

    def add(self, found: Found) -> None:
        """Takes samples whose distances are known."""
        if len(self.seqs):
            self.count = keep_found(*found, self.count, self.seqs, self.squared)

    def found(self) -> Found:
        """The nearest, ascending; among equals the later sample first."""
        return self.seqs[: self.count], self.squared[: self.count]


class ExactBuffer:
    """Vectors in order of arrival, searched by brute force.

    Added to and removed from at either end in amortised constant time. A buffer
    that is full stays so: `joined` makes a roomier one of what lives in it.
    """

    def __init__(self, dimension: int, room: int = _SMALLEST) -> None:
        self._vectors = np.empty((room, dimension), np.float32)
        self._seqs = np.empty(room, np.int64)
        self._alive = np.zeros(room, np.bool_)
        self._head = 0
        self._tail = 0
        self.live = 0

    @property
    def full(self) -> bool:
        """Nothing can be added here."""
        return self._tail == len(self._seqs)

    def add(self, seq: int, vector: NDArray[np.float32]) -> None:
        """Appends a vector (d,). The buffer must not be full."""
        self._vectors[self._tail] = vector
        self._seqs[self._tail] = seq
        self._alive[self._tail] = True
        self._tail += 1
        self.live += 1

    def joined(self, seqs: NDArray[np.int64], vectors: NDArray[np.float32]) -> "ExactBuffer":
        """A half-empty copy, with more samples (n,), (n, d) behind those that live here."""
        own = np.flatnonzero(self._alive)
        live = len(own) + len(seqs)
        other = ExactBuffer(self._vectors.shape[1], max(_SMALLEST, 2 * live))
        other._seqs[: len(own)], other._seqs[len(own) : live] = self._seqs[own], seqs
        other._vectors[: len(own)], other._vectors[len(own) : live] = self._vectors[own], vectors
        other._alive[:live] = True
        other._tail = other.live = live
        return other

    def roomier(self) -> "ExactBuffer":
        """A half-empty copy."""
        return self.joined(self._seqs[:0], self._vectors[:0])

    def oldest(self) -> tuple[int, NDArray[np.float32]]:
        """The first live sample and its vector (d,), a view. The buffer must not be empty."""
        return int(self._seqs[self._head]), self._vectors[self._head]

    def remove(self, seq: int) -> bool:
        """Removes a sample; says whether it was here."""
        seqs, alive = self._seqs[self._head : self._tail], self._alive[self._head : self._tail]
        (places,) = np.nonzero((seqs == seq) & alive)
        if not places.size:
            return False
        alive[places[0]] = False
        self.live -= 1
        self._head += int(alive.argmax()) if self.live else len(alive)
        return True

    def search(self, vector: NDArray[np.float32], nearest: Nearest) -> None:
        """Adds what lives here to the nearest to `vector` (d,) by squared distance."""
        if self.live and len(nearest.seqs):
            own = slice(self._head, self._tail)
            nearest.count = keep_living(
                vector,
                self._vectors[own],
                self._alive[own],
                self._seqs[own],
                nearest.count,
                nearest.seqs,
                nearest.squared,
            )
