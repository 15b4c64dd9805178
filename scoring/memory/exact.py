"""A few vectors, compared one by one."""

import numpy as np
from numpy.typing import NDArray

from scoring.kernels.distances import squared_distances

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Numbers of samples (n,) and their squared distances (n,), nearest first."""

_SMALLEST = 64


def nearest(seqs: NDArray[np.int64], squared: NDArray[np.float32], k: int) -> Found:
    """The `k` least of `squared` (n,), ascending; among equals the later sample first."""
    if 0 < k < len(squared):
        kept = squared <= np.partition(squared, k - 1)[k - 1]
        seqs, squared = seqs[kept], squared[kept]
    order = np.lexsort((-seqs, squared))[:k]
    return seqs[order], squared[order]


class ExactBuffer:
    """Vectors in order of arrival, searched by brute force.

    Added to and removed from at either end in amortised constant time; its
    memory follows what lives in it.
    """

    def __init__(self, dimension: int) -> None:
        self._vectors = np.empty((_SMALLEST, dimension), np.float32)
        self._seqs = np.empty(_SMALLEST, np.int64)
        self._alive = np.zeros(_SMALLEST, np.bool_)
        self._head = 0
        self._tail = 0
        self.live = 0

    def add(self, seq: int, vector: NDArray[np.float32]) -> None:
        """Appends a vector (d,)."""
        if self._tail == len(self._seqs):
            self._make_room()
        self._vectors[self._tail] = vector
        self._seqs[self._tail] = seq
        self._alive[self._tail] = True
        self._tail += 1
        self.live += 1

    def _make_room(self) -> None:
        room = max(_SMALLEST, 2 * self.live)
        live = np.flatnonzero(self._alive)
        vectors = np.empty((room, self._vectors.shape[1]), np.float32)
        seqs = np.empty(room, np.int64)
        vectors[: self.live], seqs[: self.live] = self._vectors[live], self._seqs[live]
        self._vectors, self._seqs = vectors, seqs
        self._alive = np.arange(room) < self.live
        self._head, self._tail = 0, self.live

    def oldest(self) -> tuple[int, NDArray[np.float32]]:
        """The first live sample and its vector (d,), a view. The buffer must not be empty."""
        return int(self._seqs[self._head]), self._vectors[self._head]

    def remove(self, seq: int) -> bool:
        """Removes a sample; says whether it was here."""
        seqs, alive = self._seqs[self._head : self._tail], self._alive[self._head : self._tail]
        (places,) = np.nonzero((seqs == seq) & alive)
        if not places.size:
            return False
        self._alive[self._head + places[0]] = False
        self.live -= 1
        while self._head < self._tail and not self._alive[self._head]:
            self._head += 1
        return True

    def search(self, vector: NDArray[np.float32], k: int) -> Found:
        """The `k` nearest to `vector` (d,) by squared distance, or fewer."""
        alive = self._alive[self._head : self._tail]
        squared = squared_distances(self._vectors[self._head : self._tail], vector)
        return nearest(self._seqs[self._head : self._tail][alive], squared[alive], k)
