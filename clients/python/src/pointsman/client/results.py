"""What scoring and routing return: plain values, free of gRPC and protobuf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman.client.enums import Durability, Estimator


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a call spent its time inside the server, in microseconds; 0 for a stage not run."""

    queue_us: int
    """Waiting for a place in a batch."""
    tokenise_us: int
    """Text to tokens."""
    encode_us: int
    """Tokens to vectors, shared by every call of the same batch."""
    recall_us: int
    """Finding the nearest prompts of the pool."""
    estimate_us: int
    """Estimating noise, or scoring candidates."""
    learn_us: int
    """Making the sample durable."""
    total_us: int
    """From admission to reply."""


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """What became of a write."""

    durability: Durability
    """How far it is safe; `NONE` if it did not happen."""
    sample_id: str
    """Name of the sample, for `record_outcome`; or what the outcome is of."""
    reason: str
    """Why nothing was written, or `SAMPLE_EXISTS` for a repeated sample and `OUTCOME_EXISTS` for a
    repeated outcome; empty else."""
    message: str
    """The reason as one sentence; empty where there is none."""


@dataclass(frozen=True, slots=True)
class GenerationScore:
    """One answer's place."""

    voter: str
    """Who answered."""
    sample: int
    """Which of the voter's answers this is, from 0."""
    weight: float
    """Share of trust; those of a reply sum to 1. By `Estimator.CALIBRATED`, with outcomes, the
    probability that the voter is the best."""
    noise_variance: float | None
    """The voter's estimated noise; may be zero or negative. None where too few voters answered."""
    rank: int
    """1 is the best; every rank occurs once."""
    mean_squared_distance: float
    """To the answers of the other voters."""
    truncated: bool
    """The text was longer than the encoder reads; the rest was not seen."""


@dataclass(frozen=True, slots=True)
class VoterScore:
    """One voter's place."""

    voter: str
    """Who answered."""
    weight: float
    """Share of trust; those of the voters sum to 1."""
    noise_variance: float | None
    """As in `GenerationScore`."""
    rank: int
    """1 is the best; every rank occurs once."""
    generations: int
    """Answers of this voter in the request."""
    samples_used: int
    """Samples of the pool, this one included, that its noise rests on."""
    expected_quality: float | None
    """Of its answer, on the scale of the recorded outcomes. Set by `Estimator.CALIBRATED` alone;
    None without outcomes."""
    expected_quality_standard_error: float | None
    """Of the expected quality; None where that is."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why another estimator ran than the one wanted, or why it couldn't tell the voters apart."""

    wanted: Estimator
    """The one asked for, or that the server would have chosen."""
    reason: str
    """In upper case. `POOL_EMPTY`, `NO_COMMON_VOTERS` or `ONE_ANSWER_PER_VOTER`: another estimator
    ran. `TOO_FEW_VOTERS`: no noise could be estimated, and the voters are in the order of the
    request."""
    message: str
    """One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How recorded outcomes and agreement were weighed against each other."""

    agreement_weight: float
    """Share of the estimate that rests on agreement, in [0, 1]; 1 without outcomes."""
    outcomes: int
    """Outcomes that it rests on. In a pool of thousands it may lack the latest hundredth."""
    lead: float
    """The best voter's lead in expected quality over the second; 0 where there is no second, or no
    outcome."""
    lead_low: float
    """Lower end of a 95 % interval of the lead."""
    lead_high: float
    """Upper end of the same interval."""
    contradicted: bool
    """The outcomes of the pool say that agreement misleads there: the voters that agree with the
    others are not the better ones."""


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Which answer is best, how sure that is, and why."""

    best_index: int
    """Index into `scores`, which are in the order of the request."""
    scores: tuple[GenerationScore, ...]
    """One per answer."""
    voters: tuple[VoterScore, ...]
    """One per voter, in order of first appearance."""
    estimator: Estimator
    """The one that ran."""
    neighbours_used: int
    """Samples that the estimate rests on, this one included: those in which a voter of this
    request answered beside another. For Global, those of the voter that has most."""
    margin: float | None
    """How far the best voter leads: the noise variance of the second less that of the best, over
    the mean squared distance between the voters of this request. 0 is a tie; None where there is
    no second, or no noise was estimated. `calibration` has the lead in quality."""
    margin_standard_error: float | None
    """Of the margin; None with fewer than two samples."""
    tied: tuple[int, ...]
    """Indexes of the answers as good as the best, itself included; empty where it is alone."""
    agreement: float | None
    """Mean cosine between the answers of different voters, in [-1, 1]; None with one voter."""
    fallback: Fallback | None
    """Set where another estimator ran than the one wanted, or it couldn't tell the voters apart."""
    calibration: Calibration | None
    """What outcomes changed; set by `Estimator.CALIBRATED` alone."""
    learned: WriteReceipt | None
    """What became of the sample, where the request asked to learn."""
    timings: Timings
    """Where the time went."""
    encoder_revision: str
    """Empty where the request carried vectors."""
    pool_revision: int
    """Samples that the pool had taken since it was created; 0 where there is no pool yet."""
    prompt_truncated: bool
    """The prompt was longer than the encoder reads; the rest was not seen."""
    max_tokens: int
    """Tokens that the encoder reads of a text; 0 where the request carried vectors."""
    request_id: str
    """The id of the call, which the server logs too."""

    @property
    def best(self) -> str:
        """The voter of the best answer."""
        return self.scores[self.best_index].voter


@dataclass(frozen=True, slots=True)
class ModelScore:
    """One model's place."""

    model: str
    """Name of the model."""
    score: float
    """The router's own; only the order is comparable between routers."""
    probability: float | None
    """Calibrated probability that it is the one to choose; None without a calibration."""
    cost: float | None
    """Of a call, in the unit of the router's data; None where unknown."""


@dataclass(frozen=True, slots=True)
class RoutingFallback:
    """Why a router did otherwise than it was asked."""

    reason: str
    """In upper case. `LOW_PROBABILITY`, `LOW_MARGIN` or `ROUTER_UNREADY`: it abstained, or would
    have (`FALLBACK_NOT_ALLOWED`). `FEW_NEIGHBOURS` or `NOISE_UNIDENTIFIED`: the scores rest on the
    whole pool."""
    message: str
    """One sentence for a person."""


@dataclass(frozen=True, slots=True)
class RouteResult:
    """Which model should answer, and why."""

    model: str
    """The model to call."""
    ranking: tuple[ModelScore, ...]
    """All candidates that the router has a score for, best first. A policy may choose another
    than the first."""
    margin: float | None
    """Score of the first in the ranking less that of the second; None with one."""
    entropy: float | None
    """Of the probabilities, in nats; None where there are none."""
    abstained: bool
    """The router was not sure enough and `model` is its configured fallback."""
    fallback: RoutingFallback | None
    """Why, where it abstained or fell back."""
    router: str
    """Router that answered."""
    router_revision: str
    """Its revision; that of the pool, for routers that recall."""
    neighbours_used: int
    """Samples that the scores rest on, for routers that recall."""
    voters_used: int
    """Voters that the scores rest on, for routers that recall."""
    timings: Timings
    """Where the time went."""
    prompt_truncated: bool
    """The prompt was longer than the encoder reads; the rest was not seen."""
    request_id: str
    """The id of the call, which the server logs too."""


@dataclass(frozen=True, slots=True)
class OutcomeResult:
    """What became of an outcome."""

    recorded: WriteReceipt
    """How far it is safe, and the sample that it belongs to."""
    outcome_id: str
    """Name of the outcome: the caller's, or one made for it."""
    request_id: str
    """The id of the call, which the server logs too."""
