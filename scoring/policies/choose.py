"""Which model to call, given what is known of each. See `docs/policies.md`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.policies.confident import take_first, take_nearest, take_random
from scoring.policies.plain import require_finite, require_scores
from scoring.policies.rules import (
    Floats,
    Taken,
    take_best,
    take_either,
    take_penalised,
    take_sample,
    take_within,
)
from scoring.policies.values import (
    ArgMax,
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    Policy,
    RandomConfident,
    Rule,
    Sample,
    Stickiness,
    Threshold,
)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The model to call.

    Attributes:
        index: Its place among the models.
        order: (K,) int64, places of all models by score, best first, NaN last;
            equal scores keep their order. Whatever the rule, costs don't move it.
        sticky: The rule alone would have taken another model.
        unsure: Why the rule fell back to the best scores, in one sentence; empty where it
            didn't.
    """

    index: int
    order: NDArray[np.int64]
    sticky: bool
    unsure: str = ""


def choose(policy: Policy, models: Sequence[str], scores: ArrayLike, costs: ArrayLike) -> Choice:
    """Chooses one of K models.

    Args:
        policy: How.
        models: K distinct names.
        scores: (K,) float64, higher is better; NaN where nothing is known of the
            model, which is then never chosen.
        costs: (K,) float64, NaN where unknown.

    Raises:
        NoCandidateError: There is no model, or the rule allows none.
        RouterUnreadyError: No model has a score.
        PolicyNeedsCostsError: The rule weighs costs and none is known.
        UnknownModelError: The strong or the weak model isn't among the models.
        InvalidArrayError: An array has another shape, or holds infinity.
    """
    known = _checked(scores, len(models), field="scores")
    prices = _checked(costs, len(models), field="costs")
    require_scores(models, known.tolist())
    order = np.argsort(-known, kind="stable").astype(np.int64, copy=False)
    # Numbers near the largest may overflow to an infinity, which compares as it should.
    with np.errstate(over="ignore", invalid="ignore"):
        taken = _taken(policy.rule, models, known, prices)
        kept = _kept(policy.stickiness, models, taken.worth, taken.place)
    return Choice(kept, order, sticky=kept != taken.place, unsure=taken.unsure)


def _taken(rule: Rule, models: Sequence[str], scores: Floats, costs: Floats) -> Taken:
    match rule:
        case ArgMax():
            return take_best(scores, costs)
        case Sample():
            return take_sample(rule, scores)
        case Budget():
            return take_within(rule, scores, costs)
        case CostPenalty():
            return take_penalised(rule, scores, costs)
        case Threshold():
            return take_either(rule, models, scores)
        case RandomConfident():
            return take_random(rule, scores, costs)
        case FirstConfident():
            return take_first(rule, models, scores, costs)
        case NearestConfidence():
            return take_nearest(rule, models, scores, costs)


def _kept(stickiness: Stickiness | None, models: Sequence[str], worth: Floats, index: int) -> int:
    """The previous model's place, where it is allowed and close enough; else `index`."""
    if stickiness is None or stickiness.previous_model not in models:
        return index
    previous = models.index(stickiness.previous_model)
    return previous if worth[index] - worth[previous] <= stickiness.margin else index


def _checked(values: ArrayLike, models: int, *, field: str) -> Floats:
    array = np.asarray(values, np.float64)
    if array.shape != (models,):
        raise InvalidArrayError(f"{field} has shape {array.shape}; give ({models},).", field=field)
    require_finite(array.tolist(), field=field)
    return array
