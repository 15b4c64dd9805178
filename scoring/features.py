"""What is told of an answer besides how far it lies from the others: no label is in it."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers
from scoring.pairs import pair_column
from scoring.validation import as_floats, as_list

FEATURES = ("relevance", "log_length")
"""What is measured of a voter's answers to a prompt, and kept with a sample, in this order.

`relevance` is the mean over its answers of the cosine between prompt and answer,
0 for a zero vector; `log_length` that of log(1 + characters of the answer).
"""


def measure_features(
    answers: Answers,
    prompt: NDArray[np.float32],
    vectors: NDArray[np.float32],
    characters: Sequence[int] | None,
) -> NDArray[np.float32]:
    """Measures the answers to one prompt.

    Args:
        answers: Who gave which of the g generations.
        prompt: (d,) embedding of the prompt.
        vectors: (g, d) embeddings of the generations.
        characters: (g,) how long their texts are; None where they came as vectors.

    Returns:
        (K, 2) float32, columns as in `FEATURES`, NaN where one can't be told.

    Raises:
        InvalidArrayError: The shapes don't fit each other.
    """
    generations = len(answers.voter_of)
    floats = as_floats(vectors, field="vectors", axes=("generations", "dimensions"))
    relevance = _cosines(as_list(prompt, np.float32, field="prompt", length=len(floats[0])), floats)
    lengths = np.full(generations, np.nan)
    if characters is not None:
        lengths = np.log1p(as_list(characters, np.int64, field="characters", length=generations))
    table = np.column_stack([relevance, lengths])
    if generations == len(answers.voters):
        return table.astype(np.float32)
    sums = np.zeros((len(answers.voters), len(FEATURES)))
    np.add.at(sums, answers.voter_of, table)
    return (sums / answers.samples_per_voter[:, None]).astype(np.float32)


def mean_distances(pairs: NDArray[np.float32], voters: int) -> NDArray[np.float32]:
    """Averages how far each voter's answers lie from those of the others.

    Args:
        pairs: (n, K(K-1)/2) mean squared distances between the voters of n samples.
        voters: K.

    Returns:
        (n, K) float32; NaN where there is one voter.
    """
    means = np.full((len(pairs), voters), np.nan, np.float32)
    for voter, columns in enumerate(_columns(voters)):
        means[:, voter] = pairs[:, columns].mean(axis=1, dtype=np.float64)
    return means


@lru_cache(maxsize=64)
def _columns(voters: int) -> tuple[NDArray[np.int64], ...]:
    """The columns of each voter's pairs; none of a voter that has no other."""
    if voters < 2:
        return ()
    return tuple(
        np.array([pair_column(voter, other) for other in range(voters) if other != voter])
        for voter in range(voters)
    )


def _cosines(prompt: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide, wanted = vectors.astype(np.float64), prompt.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(wanted)
    products = wide @ wanted
    cosines: NDArray[np.float64] = np.zeros_like(products)
    np.divide(products, lengths, out=cosines, where=lengths > 0)
    return cosines
