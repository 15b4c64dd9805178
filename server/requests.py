"""What flows between the hops: requests and replies as frozen values that know no wire."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers
from scoring.calibrated import CalibratedEstimate
from scoring.estimator import Estimate, Ranking
from scoring.memory import Durability
from scoring.policies import Policy
from scoring.routers import RouterFallback

DEFAULT_POOL = "default"
NO_POLICY = Policy()


class EstimatorKind(enum.StrEnum):
    """How noise is estimated."""

    AUTO = "auto"
    GLOBAL = "global"
    LOCAL = "local"
    SINGLE = "single"
    SAMPLES = "samples"
    CALIBRATED = "calibrated"


class EmbeddingKind(enum.StrEnum):
    """What of a generation is embedded."""

    POOL = "pool"
    GENERATION = "generation"
    PROMPT_AND_GENERATION = "prompt-and-generation"


class Texts(NamedTuple):
    """A prompt and its answers as text, to be encoded here."""

    prompt: str
    answers: tuple[str, ...]


class Vectors(NamedTuple):
    """A prompt and its answers as vectors of the caller's own encoder.

    Attributes:
        prompt: Shape (d,), float32, finite.
        answers: Shape (g, d), float32, finite, C-contiguous.
        space: The caller's name for its embedding space; empty where it gave none.
    """

    prompt: NDArray[np.float32]
    answers: NDArray[np.float32]
    space: str


class ScoreRequest(NamedTuple):
    """The answers to one prompt, validated.

    Attributes:
        voters: Who gave each answer, shape (g,).
        neighbours: Prompts that Local rests on, this one included.
        sample_id: Name of the sample; empty where none is learned and the caller gave none.
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


class ScoreReply(NamedTuple):
    """Which answer is best, how sure that is, and why.

    Attributes:
        truncated: Shape (g + 1,), bool: the prompt first, then each answer; the text was longer
            than the encoder reads.
        max_tokens: Tokens that the encoder reads; 0 where the request carried vectors.
        calibrated: What outcomes changed, where the request asked for them.
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
    calibrated: CalibratedEstimate | None


@dataclass(frozen=True, slots=True, eq=False)
class PromptVector:
    """A prompt as a vector of the caller's own encoder.

    Attributes:
        vector: Shape (d,), float32, finite.
        space: The caller's name for its embedding space; empty where it gave none.
    """

    vector: NDArray[np.float32]
    space: str


class RouteRequest(NamedTuple):
    """One prompt to route, validated.

    Attributes:
        router: Name of the router; the default one if empty.
        candidates: Only these may be chosen; all that the router knows if empty.
        denied: These may not be chosen.
    """

    router: str
    prompt: str | PromptVector
    candidates: tuple[str, ...] = ()
    denied: frozenset[str] = frozenset()
    policy: Policy = NO_POLICY


class RankedModel(NamedTuple):
    """One model's place; what is None is not known."""

    model: str
    score: float
    probability: float | None
    cost: float | None


class Decision(NamedTuple):
    """Which model to call, and why.

    Attributes:
        ranking: The models that may be chosen and have a score, best first.
        margin: Score of the first less that of the second; None where there is no second.
        entropy: Of the probabilities, in nats; None where there are none.
        abstained: The router was not sure, or had nothing, and the model is its fallback.
        fallback: Why it abstained, or did otherwise than it was asked.
    """

    model: str
    ranking: tuple[RankedModel, ...] = ()
    margin: float | None = None
    entropy: float | None = None
    abstained: bool = False
    fallback: RouterFallback | None = None
    neighbours_used: int = 0
    voters_used: int = 0


class RouteReply(NamedTuple):
    """A decision, who made it, and where the time went."""

    decision: Decision
    router: str
    revision: str
    timings: Timings
    truncated: bool


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeRequest:
    """How good one answer was, validated.

    Attributes:
        sample_id: The subject, where `prompt` is None; else empty.
        quality: From 0 to 1.
        outcome_id: Name of the outcome; never empty.
    """

    pool: str
    sample_id: str
    prompt: str | PromptVector | None
    model: str
    quality: float
    outcome_id: str


@dataclass(frozen=True, slots=True)
class OutcomeReply:
    """What became of an outcome, and its name."""

    recorded: Written
    outcome_id: str
