"""What an evaluation of routers found, as values."""

import enum
from dataclasses import dataclass

from evaluation.bootstrap import Interval
from evaluation.measured import Way
from evaluation.routers.bounds import UpperBounds
from evaluation.routers.contenders import Latency
from evaluation.routers.curve import Curve
from evaluation.routers.reliability import Reliability
from evaluation.ways import Choices


class Role(enum.StrEnum):
    """What a way to choose is there for."""

    ROUTER = "router"
    """A router with a policy: it answers the question."""
    BASELINE = "baseline"
    """Anybody can have it, and a router must beat it."""
    BOUND = "bound"
    """It knows the scores that it is measured by, and can't be had."""
    MODEL = "model"
    """One model for every prompt."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A way to choose, and where it stands.

    Attributes:
        role: What it is there for.
        key: What it is, for programs: `random`, `best single`, `model 0`, `router 0` and so on.
        router: Name of the router; empty where it is none.
        policy: Name of the policy; empty likewise.
        way: What it reaches, and costs.
        lead: Over the best single model, with draws in common.
        pooled: The same with equal weight for every prompt, whatever its task.
        gap: To the oracle per prompt, 0 or less.
        closed: Share of the way from the best single model to the oracle; NaN where those
            are the same.
        shares: Of the prompts that go to each model; empty where it doesn't choose one.
    """

    role: Role
    key: str
    router: str
    policy: str
    way: Way
    lead: Interval
    pooled: Interval
    gap: Interval
    closed: Interval
    shares: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RouterFacts:
    """What is known of a router, whatever the policy.

    Attributes:
        name: As the report calls it.
        kind: How it works.
        latency: None where it was not measured.
        training_seconds: NaN where it isn't known.
        bounds: What its scores would allow.
        reliability: Of the probability of being the best model; None without calibration.
        quality: Of the expected quality of the choice; None where scores are something else.
        curve: None where a cost is unknown.
        note: What a reader must know of it.
    """

    name: str
    kind: str
    latency: Latency | None
    training_seconds: float
    bounds: UpperBounds
    reliability: Reliability | None
    quality: Reliability | None
    curve: Curve | None
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class RoutingEvaluation:
    """All that was found.

    Attributes:
        models: Names of the K models.
        tasks: Names of the T tasks.
        rows: How many prompts each has.
        positive: Whether a score above 0 counts as 1 in it.
        routers: Routers by policies, in the order given.
        baselines: Random, voting, best single, best per task and, with costs, the cheapest.
        bounds: The oracle per task and per prompt.
        alone: Each model alone.
        best_single: Name of the best single model.
        trained: Whether it, and the best per task, were found on training rows.
        best: Place in `routers` of the one that the answer is about; None where there is none.
        lead: Of that one over the best single model; the interval allows for the choice among
            several routers, and for that of the best single model where it was found on these
            rows. NaN where there is none.
        pooled: The same with equal weight for every prompt, whatever its task.
        compared: How many routers by policies that choice was among.
        differing: On how many prompts it comes to something else than the best single model.
        facts: Of each router.
        zero: The curve of the single models; None where a cost is unknown.
        choices: Of each of `routers`, (n,) places of models.
        row_tasks: n names.
        seed: Of the intervals and draws.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    rows: tuple[int, ...]
    positive: tuple[bool, ...]
    routers: tuple[Standing, ...]
    baselines: tuple[Standing, ...]
    bounds: tuple[Standing, ...]
    alone: tuple[Standing, ...]
    best_single: str
    trained: bool
    best: int | None
    lead: Interval
    pooled: Interval
    compared: int
    differing: int
    facts: tuple[RouterFacts, ...]
    zero: Curve | None
    choices: tuple[Choices, ...]
    row_tasks: tuple[str, ...]
    seed: int

    def reference(self, key: str) -> Standing | None:
        """Returns the baseline or bound of that key, if there is one."""
        found = (each for each in (*self.baselines, *self.bounds) if each.key == key)
        return next(found, None)

    @property
    def all_standings(self) -> tuple[Standing, ...]:
        """Every way to choose, routers first."""
        return (*self.routers, *self.baselines, *self.bounds, *self.alone)

    def standing_of_best_single(self) -> Standing:
        """Returns what always calling the best single model comes to."""
        return self.alone[self.models.index(self.best_single)]
