"""Client of Pointsman: `Client` blocks, `AsyncClient` is for asyncio."""

from pointsman.client.aio import AsyncClient
from pointsman.client.blocking import Client
from pointsman.client.enums import Durability, Embedding, Estimator
from pointsman.client.errors import FieldError, PointsmanError
from pointsman.client.inventory import (
    EmbeddingSpace,
    ImportResult,
    Outcome,
    Pool,
    PoolVoter,
    Router,
    Sample,
)
from pointsman.client.policies import (
    ArgMaxPolicy,
    BudgetPolicy,
    CostPenaltyPolicy,
    FirstConfidentPolicy,
    NearestConfidencePolicy,
    Policy,
    RandomConfidentPolicy,
    SamplePolicy,
    Stickiness,
    ThresholdPolicy,
)
from pointsman.client.requests import (
    Answer,
    Generation,
    Generations,
    RouteRequest,
    ScoreRequest,
)
from pointsman.client.results import (
    Calibration,
    Fallback,
    GenerationScore,
    ModelScore,
    OutcomeResult,
    RouteResult,
    RoutingFallback,
    ScoreResult,
    Timings,
    VoterScore,
    WriteReceipt,
)
from pointsman.client.vectors import Vector

__all__ = [
    "Answer",
    "ArgMaxPolicy",
    "AsyncClient",
    "BudgetPolicy",
    "Calibration",
    "Client",
    "CostPenaltyPolicy",
    "Durability",
    "Embedding",
    "EmbeddingSpace",
    "Estimator",
    "Fallback",
    "FieldError",
    "FirstConfidentPolicy",
    "Generation",
    "GenerationScore",
    "Generations",
    "ImportResult",
    "ModelScore",
    "NearestConfidencePolicy",
    "Outcome",
    "OutcomeResult",
    "PointsmanError",
    "Policy",
    "Pool",
    "PoolVoter",
    "RandomConfidentPolicy",
    "RouteRequest",
    "RouteResult",
    "Router",
    "RoutingFallback",
    "Sample",
    "SamplePolicy",
    "ScoreRequest",
    "ScoreResult",
    "Stickiness",
    "ThresholdPolicy",
    "Timings",
    "Vector",
    "VoterScore",
    "WriteReceipt",
]
