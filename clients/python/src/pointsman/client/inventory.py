"""What a server holds, as plain values: pools, what they keep, and routers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pointsman.client.enums import Durability
    from pointsman.client.vectors import Vector


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Where the vectors of a pool or a router live."""

    id: str
    """Names the encoder, its weights and what it embedded."""
    dimension: int
    """Number of coordinates."""


@dataclass(frozen=True, slots=True)
class PoolVoter:
    """One voter of a pool."""

    voter: str
    """Name of the voter."""
    samples: int
    """Live samples that it answered."""
    noise_variance: float | None
    """Over the whole pool (Smoothie-Global); None where it can't be estimated."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool."""

    name: str
    """Name of the pool."""
    space: EmbeddingSpace
    """Where its vectors live."""
    samples: int
    """Live samples."""
    capacity: int
    """Most samples it keeps; the oldest go first."""
    revision: int
    """Samples it has taken since it was created."""
    voters: tuple[PoolVoter, ...]
    """In order of first appearance."""
    created_at: datetime | None
    """When the first sample came, in UTC."""
    oldest_at: datetime | None
    """When the oldest live sample was learned, in UTC; None where there is none."""
    newest_at: datetime | None
    """When the newest live sample was learned, in UTC; None where there is none."""
    outcomes: int
    """Live outcomes."""
    agreement_contradicted: bool
    """The outcomes say that agreement misleads in this pool, as of a few seconds ago: record more
    of them, and score with `Estimator.CALIBRATED`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One learned sample: no text of the prompt or of an answer is in it."""

    sample_id: str
    """Name of the sample."""
    learned_at: datetime
    """When it was learned, in UTC."""
    prompt: Vector
    """Embedding of the prompt, (d,) float32."""
    voters: tuple[str, ...]
    """The K voters that answered."""
    distances: Vector
    """(K (K - 1) / 2,) float32: mean squared distances between the answers of each two voters,
    in the order (0,1), (0,2), (1,2), (0,3), ... by index into `voters`."""
    features: Vector | None = None
    """(2 K,) float32, two for each voter: the mean cosine between prompt and answer, and the mean
    of log(1 + characters of the answer); NaN where one is not known, None where none is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How good one answer was: no text of the prompt or of the answer is in it."""

    outcome_id: str
    """Name of the outcome."""
    model: str
    """The model, or voter, that answered."""
    quality: float
    """From 0 to 1."""
    recorded_at: datetime
    """When it was recorded, in UTC."""
    sample_id: str
    """Name of the prompt, which is that of its sample where it has one."""
    prompt: Vector
    """Embedding of the prompt, (d,) float32."""
    voters: tuple[str, ...] = ()
    """The K voters that answered the prompt; empty where that is not known."""
    distances: Vector | None = None
    """How their answers lay, as in `Sample`; None where that is not known."""
    features: Vector | None = None
    """As in `Sample`."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of imported samples and outcomes."""

    imported: int
    """Samples added."""
    skipped: int
    """Samples that the pool had already."""
    expired: int
    """Samples that were past the pool's time to live, and so not added."""
    outcomes_imported: int
    """Outcomes added."""
    outcomes_skipped: int
    """Outcomes that the pool had already."""
    outcomes_expired: int
    """Outcomes that were past the pool's time to live, and so not added."""
    durability: Durability
    """How far the imported ones are safe."""


@dataclass(frozen=True, slots=True)
class Router:
    """One router."""

    name: str
    """Name of the router."""
    kind: str
    """As in routerdc, knn or smoothie."""
    revision: str
    """Revision in service; of the pool, for routers that recall."""
    models: tuple[str, ...]
    """Models it can choose, in order."""
    space: EmbeddingSpace | None
    """Where its vectors live; None where the pool that it rests on is not there yet."""
    loaded_at: datetime | None
    """When this revision came into service, in UTC."""
    last_error: str
    """Why the newest artefact is not in service; empty where it is."""
