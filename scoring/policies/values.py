"""How a model is chosen from scores, as values."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from scoring.errors import InvalidArrayError


@dataclass(frozen=True, slots=True)
class ArgMax:
    """Takes the best score."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Draws a model with probability softmax(score / temperature).

    Raises:
        InvalidArrayError: A number is out of its range.
    """

    temperature: float
    """Finite and above 0, in the unit of the scores; lower is nearer to `ArgMax`."""
    seed: int | None = None
    """0 or more; makes the draw repeatable. Without it every draw is a fresh one."""

    def __post_init__(self) -> None:
        _require(0 < self.temperature < math.inf, "temperature", "a finite number above 0")
        _require(self.seed is None or self.seed >= 0, "seed", "0 or more, or absent")


@dataclass(frozen=True, slots=True)
class Budget:
    """Takes the best score among the models that cost no more.

    Raises:
        InvalidArrayError: The number is out of its range.
    """

    max_cost: float
    """0 or more, in the unit of the costs."""

    def __post_init__(self) -> None:
        _require(self.max_cost >= 0, "max_cost", "0 or more")


@dataclass(frozen=True, slots=True)
class CostPenalty:
    """Takes the best of score - penalty * cost.

    Raises:
        InvalidArrayError: The number is out of its range.
    """

    penalty: float
    """0 or more and finite: score given up per unit of cost."""

    def __post_init__(self) -> None:
        _require(0 <= self.penalty < math.inf, "penalty", "a finite number, 0 or more")


@dataclass(frozen=True, slots=True)
class Threshold:
    """Takes `strong` where its score leads that of `weak` by the threshold or more.

    Raises:
        InvalidArrayError: The threshold is not finite, or both names are the same.
    """

    strong: str
    weak: str
    threshold: float
    """Finite, in the unit of the scores; may be negative."""

    def __post_init__(self) -> None:
        _require(math.isfinite(self.threshold), "threshold", "a finite number")
        _require(self.strong != self.weak, "weak", "another model than strong")


@dataclass(frozen=True, slots=True)
class RandomConfident:
    """Draws uniformly among the models whose score is the confidence or more.

    Where none is so confident, draws among the best few scores instead.

    Raises:
        InvalidArrayError: A number is out of its range.
    """

    confidence: float
    """Finite, in the unit of the scores."""
    among: int = 1
    """1 or more: the best scores to draw among where no model is confident."""
    seed: int | None = None
    """0 or more; makes the draw repeatable. Without it every draw is a fresh one."""

    def __post_init__(self) -> None:
        _require(math.isfinite(self.confidence), "confidence", "a finite number")
        _require(self.among >= 1, "among", "1 or more")
        _require(self.seed is None or self.seed >= 0, "seed", "0 or more, or absent")


@dataclass(frozen=True, slots=True)
class FirstConfident:
    """Takes the most preferred of the models whose score is the confidence or more.

    Where none is so confident, takes the best score.

    Raises:
        InvalidArrayError: The confidence is not finite, or a model is preferred twice.
    """

    confidence: float
    """Finite, in the unit of the scores."""
    preference: tuple[str, ...] = ()
    """Models, most preferred first; the others come after them, the cheapest first."""

    def __post_init__(self) -> None:
        _require(math.isfinite(self.confidence), "confidence", "a finite number")
        distinct = len(set(self.preference)) == len(self.preference)
        _require(distinct, "preference", "distinct models")


@dataclass(frozen=True, slots=True)
class NearestConfidence:
    """Takes the score nearest to the one that a linear model predicts for a right answer.

    The prediction is intercept + the sum of weight * score. Where a model that has a weight
    has no score, takes the best score. `fit_nearest` learns the numbers.

    Raises:
        InvalidArrayError: A number is not finite, or a model has two weights.
    """

    weights: tuple[tuple[str, float], ...]
    """Pairs of a model and its weight."""
    intercept: float

    def __post_init__(self) -> None:
        finite = all(math.isfinite(weight) for _, weight in self.weights)
        _require(finite, "weights", "finite numbers")
        distinct = len({model for model, _ in self.weights}) == len(self.weights)
        _require(distinct, "weights", "of distinct models")
        _require(math.isfinite(self.intercept), "intercept", "a finite number")


Rule: TypeAlias = (
    ArgMax
    | Sample
    | Budget
    | CostPenalty
    | Threshold
    | RandomConfident
    | FirstConfident
    | NearestConfidence
)


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Stays with the previous model unless the one chosen leads it by more than the margin.

    Raises:
        InvalidArrayError: The margin is out of its range.
    """

    previous_model: str
    """The model of the turn before; one that may not be chosen now has no effect."""
    margin: float
    """0 or more, in the unit of the scores."""

    def __post_init__(self) -> None:
        _require(self.margin >= 0, "margin", "0 or more")


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule, and whether it sticks to what was chosen before."""

    rule: Rule = ArgMax()
    stickiness: Stickiness | None = None


def _require(fine: bool, field: str, wanted: str) -> None:  # noqa: FBT001 - what it requires
    if not fine:
        raise InvalidArrayError(f"{field} must be {wanted}.", field=field)
