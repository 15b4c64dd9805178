"""A few vectors, compared one by one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 64


class Window(NamedTuple):
    """Vectors that are compared one by one.

    Attributes:
        vectors: Shape (m, d), float32.
        alive: Shape (m,); whether each counts.
        seqs: Shape (m,), int64, numbers of their samples.
    """

    vectors: NDArray[np.float32]
    alive: NDArray[np.bool_]
    seqs: NDArray[np.int64]


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

    @property
    def window(self) -> Window:
        """What is here, between the first that lives and the last that came."""
        own = slice(self._head, self._tail)
        return Window(self._vectors[own], self._alive[own], self._seqs[own])
