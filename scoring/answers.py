"""The answers to one prompt, and how far they lie from each other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.kernels.measure import measure
from scoring.pairs import pair_count
from scoring.validation import LARGEST_SQUARED_NORM, as_floats, refuse_vectors


class Answers(NamedTuple):
    """What the answers to one prompt say of each other.

    Attributes:
        voters: The K distinct voters, in order of first appearance.
        voter_of: (g,) int64, index into `voters` of each generation.
        pairs: (K(K-1)/2,) float32, mean squared distance between the answers of
            each two voters over all pairs of their samples; columns as in
            `scoring.pairs`.
        mean_squared_distance: (g,) float64, of each generation to those of the
            other voters; 0 with one voter.
        agreement: Mean cosine between generations of different voters, in
            [-1, 1]; NaN with one voter. A zero vector has cosine 0 to any other.
    """

    voters: tuple[str, ...]
    voter_of: NDArray[np.int64]
    pairs: NDArray[np.float32]
    mean_squared_distance: NDArray[np.float64]
    agreement: float

    @property
    def samples_per_voter(self) -> NDArray[np.int64]:
        """(K,) int64, generations of each voter."""
        return np.bincount(self.voter_of, minlength=len(self.voters)).astype(np.int64)


def measure_answers(voters: Sequence[str], vectors: NDArray[np.float32]) -> Answers:
    """Measures the answers to one prompt against each other.

    Args:
        voters: Who gave each of the g generations; a name may appear several
            times.
        vectors: (g, d) embeddings of the generations.

    Raises:
        InvalidArrayError: There is no generation, the lengths differ, the vectors
            have the wrong shape, or one holds NaN, infinity or numbers so large
            that distances overflow float32.
    """
    if not voters:
        raise InvalidArrayError("voters is empty; give at least one generation.", field="voters")
    floats = as_floats(vectors, field="vectors", axes=("generations", "dimensions"))
    if floats.shape[0] != len(voters):
        raise InvalidArrayError(
            f"There are {len(voters)} voters and {floats.shape[0]} vectors; give one each.",
            field="vectors",
        )
    index: dict[str, int] = {}
    voter_of = np.array([index.setdefault(voter, len(index)) for voter in voters], np.int64)
    pairs, distances = np.empty(pair_count(len(index)), np.float32), np.empty(len(voters))
    agreement, refused = measure(floats, voter_of, pairs, distances, LARGEST_SQUARED_NORM)
    if refused:
        refuse_vectors(floats, field="vectors")
    return Answers(tuple(index), voter_of, pairs, distances, agreement)
