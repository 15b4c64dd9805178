"""What flows between the hops: requests and replies as frozen values that know no wire."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers
from scoring.estimator import Estimate, Ranking
from scoring.memory import Durability

DEFAULT_POOL = "default"


class EstimatorKind(enum.StrEnum):
    """How noise is estimated."""

    AUTO = "auto"
    GLOBAL = "global"
    LOCAL = "local"
    SINGLE = "single"
    SAMPLES = "samples"


class EmbeddingKind(enum.StrEnum):
    """What of a generation is embedded."""

    POOL = "pool"
    GENERATION = "generation"
    PROMPT_AND_GENERATION = "prompt-and-generation"


@dataclass(frozen=True, slots=True)
class Texts:
    """A prompt and its answers as text, to be encoded here."""

    prompt: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """A prompt and its answers as vectors of the caller's own encoder.

    Attributes:
        prompt: Shape (d,), float32, finite.
        answers: Shape (g, d), float32, finite, C-contiguous.
        space: The caller's name for its embedding space.
    """

    prompt: NDArray[np.float32]
    answers: NDArray[np.float32]
    space: str


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """The answers to one prompt, validated.

    Attributes:
        voters: Who gave each answer, shape (g,).
        neighbours: Prompts that Local rests on, this one included.
        sample_id: Name of the sample; never empty.
    """

    pool: str
    voters: tuple[str, ...]
    content: Texts | Vectors
    estimator: EstimatorKind
    neighbours: int
    embedding: EmbeddingKind
    learn: bool
    sample_id: str


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why another estimator ran than the one wanted."""

    wanted: EstimatorKind
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write; `durability` is None where it did not happen."""

    sample_id: str
    durability: Durability | None
    reason: str = ""
    message: str = ""


@dataclass(slots=True)
class Timings:
    """Where a request spent its time, in seconds. Filled in on its way."""

    queue: float = 0.0
    tokenise: float = 0.0
    encode: float = 0.0
    recall: float = 0.0
    estimate: float = 0.0
    learn: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """Which answer is best, how sure that is, and why.

    Attributes:
        truncated: Shape (g + 1,), bool: the prompt first, then each answer; the text was longer
            than the encoder reads.
        max_tokens: Tokens that the encoder reads; 0 where the request carried vectors.
    """

    answers: Answers
    estimate: Estimate
    ranking: Ranking
    estimator: EstimatorKind
    fallback: Fallback | None
    learned: Written | None
    timings: Timings
    encoder_revision: str
    pool_revision: int
    truncated: NDArray[np.bool_]
    max_tokens: int
