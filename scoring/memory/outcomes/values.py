"""The values that go into the outcomes of a memory and come out of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.memory.values import Durability


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredAnswers:
    """How the answers to one prompt lay: what a sample says of them."""

    voters: tuple[str, ...]
    """Who answered: K distinct names."""
    pairs: NDArray[np.float32]
    """Mean squared distances between their answers (K(K-1)/2,): (0,1), (0,2), (1,2), ..."""
    features: NDArray[np.float32] | None = None
    """What else was measured of them (K, F), as in `NewSample`."""


@dataclass(frozen=True, slots=True)
class NewOutcome:
    """How good one model's answer to one prompt was.

    The prompt is called the outcome's *subject*. It is named by `sample_id`: a
    live sample, or a subject that outcomes were recorded of before. Where
    `prompt` is given instead, the subject is named after the vector, so that
    equal vectors are one subject. Where both are given, the vector is that of a
    subject of this name if there is none yet.

    A subject keeps how its answers lay: from the live sample of its name, whichever
    of the two comes first; or, where neither is there any more, from `answers`.
    """

    outcome_id: str
    """Names the outcome within its pool; recording a name twice adds it once."""
    model: str
    """Who answered."""
    quality: float
    """From 0 to 1."""
    recorded_at: float
    """Unix seconds."""
    sample_id: str = ""
    """Names the prompt."""
    prompt: NDArray[np.float32] | None = None
    """Embedding of the prompt (d,)."""
    answers: MeasuredAnswers | None = None
    """How the answers to the prompt lay; not kept where the subject has that already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome(NewOutcome):
    """An outcome as it lies in the log; it can be recorded again as it is."""

    sample_id: str
    """Names its subject."""
    prompt: NDArray[np.float32]
    """Embedding of its subject (d,)."""


@dataclass(frozen=True, slots=True)
class OutcomeReceipt:
    """What became of a recorded outcome."""

    outcome_id: str
    """The caller's name of it."""
    sample_id: str
    """Names the subject that it belongs to: the caller's name, or one made from the vector."""
    durability: Durability
    """How far it is safe, unless it expired."""
    existed: bool
    """The pool had an outcome of this name already; nothing was added."""
    expired: bool
    """It was past its time to live on arrival; nothing was added."""


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeNeighbourhood:
    """The subjects nearest to a prompt.

    Attributes:
        models: Names of the V models that the pool has outcomes of, in column order.
        quality_sums: (k, V) float64, sum of the qualities of each subject and model.
        counts: (k, V) int64, how many outcomes these are; 0 where there are none.
        squared_distances: (k,) float32, prompt to prompt, ascending.
    """

    models: tuple[str, ...]
    quality_sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    squared_distances: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSubjects:
    """Every live subject of a pool, in the order of their first outcomes.

    Attributes:
        models: Names of the M models that the pool has outcomes of, in column order.
        quality_sums: (S, M) float64, sum of the qualities of each subject and model.
        counts: (S, M) int64, how many outcomes these are; 0 where there are none.
        voters: Names of the pool's V voters, in column order.
        measured: (S, V, 1 + F) float32, how the answers of each voter lay: their mean squared
            distance to the answers of the others, then `scoring.features.FEATURES`. NaN where
            it is not known.
    """

    models: tuple[str, ...]
    quality_sums: NDArray[np.float64]
    counts: NDArray[np.int64]
    voters: tuple[str, ...]
    measured: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeTotals:
    """Sums over every live subject of a pool.

    Attributes:
        models: Names of the V models that the pool has outcomes of, in column
            order; a model stays known when its outcomes are gone.
        quality_sums: (V,) float64, sum of each model's qualities.
        counts: (V,) int64, how many outcomes these are.
    """

    models: tuple[str, ...]
    quality_sums: NDArray[np.float64]
    counts: NDArray[np.int64]
