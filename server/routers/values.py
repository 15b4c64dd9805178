"""A router in service, as one value that never changes, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scoring.memory import EmbeddingSpace
from scoring.routers import RECALLING_KINDS, Router, TemperatureCalibration
from server.encoding import ServedEncoder
from server.routers.settings import AbstainingSettings, PoolRouterSettings

_FEW_NEIGHBOURS = 64


@dataclass(frozen=True, slots=True, eq=False)
class ServedRouter:
    """Everything that answering one request takes.

    Attributes:
        section: What the settings say of it.
        router: Scores the models.
        served: Encodes its prompts.
        pool: That it rests on; empty for an artefact.
        space: Where its vectors live; None for a pool, which has its own.
        models: That it can choose; None for a pool, whose models may grow.
        costs: Of a call, by model; what is unknown is not in it.
        calibration: Turns scores into probabilities; None where there is none.
        abstain_below_probability: Of the best model; None for never.
        revision: Of the artefact; empty for a pool, which has its own.
        loaded_at: Unix seconds.
    """

    name: str
    section: AbstainingSettings
    router: Router
    served: ServedEncoder
    loaded_at: float
    pool: str = ""
    space: EmbeddingSpace | None = None
    models: tuple[str, ...] | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    calibration: TemperatureCalibration | None = None
    abstain_below_probability: float | None = None
    revision: str = ""

    @property
    def is_quick(self) -> bool:
        """Whether scoring a prompt takes some 0.1 ms: where few samples, or none, are recalled."""
        if isinstance(self.section, PoolRouterSettings):
            return self.section.neighbours <= _FEW_NEIGHBOURS
        return self.router.kind not in RECALLING_KINDS


@dataclass(frozen=True, slots=True)
class RouterReport:
    """What an administrator sees of a router.

    Attributes:
        space: None where the pool that it rests on does not exist yet.
        loaded_at: Unix seconds.
        last_error: Why the newest artefact is not in service; empty where it is.
    """

    name: str
    kind: str
    revision: str
    models: tuple[str, ...]
    space: EmbeddingSpace | None
    loaded_at: float
    last_error: str
