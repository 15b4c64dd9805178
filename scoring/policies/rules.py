"""What each rule takes, and what the models are worth to it.

The worth (K,) is what a rule compares: the score, less what the rule takes off for
cost. It is NaN for a model that the rule doesn't allow.
"""

from collections.abc import Sequence
from math import inf, isnan, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.errors import NoCandidateError, PolicyNeedsCostsError, UnknownModelError
from scoring.policies.softmax import softmax
from scoring.policies.values import Budget, CostPenalty, Sample, Threshold

Floats = NDArray[np.float64]


class Taken(NamedTuple):
    """What a rule takes."""

    worth: Floats
    """(K,) of the models."""
    place: int
    """Of the one taken."""
    unsure: str = ""
    """Why the rule took the best score instead, in one sentence; empty where it didn't."""


def take_best(worth: Floats, costs: Floats) -> Taken:
    """Takes the greatest worth; of equals the cheapest, unknown costs last, then the first."""
    # Models are few: NumPy would take longer to be called than this.
    values = worth.tolist()
    best = max([value for value in values if not isnan(value)], default=nan)
    places = [place for place, value in enumerate(values) if value == best] or [0]
    if len(places) == 1:
        return Taken(worth, places[0])
    prices = costs.tolist()
    return Taken(worth, min(places, key=lambda place: _or_last(prices[place])))


def _or_last(cost: float) -> float:
    return inf if isnan(cost) else cost


def take_sample(rule: Sample, scores: Floats) -> Taken:
    """Draws from softmax(scores / temperature).

    The draw runs along the ranking, so that a seed means the same in whatever
    order the models are named.
    """
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(softmax(scores[order], rule.temperature))
    draw = unit_draw(rule.seed) * reached[-1]
    return Taken(scores, int(order[np.searchsorted(reached, draw, side="right")]))


def unit_draw(seed: int | None) -> float:
    """One number from [0, 1), the same for the same seed."""
    return float(np.random.Generator(np.random.PCG64(seed)).random())


def take_within(rule: Budget, scores: Floats, costs: Floats) -> Taken:
    """Takes the best score among the models that cost no more.

    Raises:
        PolicyNeedsCostsError: No cost is known.
        NoCandidateError: No model is cheap enough, or none of those has a score.
    """
    _require_costs(costs, "a budget")
    affordable = costs <= rule.max_cost
    if not affordable.any():
        raise NoCandidateError(
            f"No model costs {rule.max_cost:g} or less; the cheapest costs "
            f"{np.nanmin(costs):g}: raise max_cost.",
            field="max_cost",
        )
    if np.isnan(scores[affordable]).all():
        raise NoCandidateError(
            f"None of the models that cost {rule.max_cost:g} or less has a score: raise max_cost.",
            field="max_cost",
        )
    return take_best(np.where(affordable, scores, np.nan), costs)


def take_penalised(rule: CostPenalty, scores: Floats, costs: Floats) -> Taken:
    """Takes the best of score - penalty * cost; without a penalty costs needn't be known.

    Raises:
        PolicyNeedsCostsError: No cost is known.
        NoCandidateError: No model has both a cost and a score.
    """
    if rule.penalty == 0:
        return take_best(scores, costs)
    _require_costs(costs, "a cost penalty")
    worth = scores - rule.penalty * costs
    if np.isnan(worth).all():
        raise NoCandidateError(
            "No model has both a score and a cost: use a policy that weighs no costs.",
            field="penalty",
        )
    return take_best(worth, costs)


def take_either(rule: Threshold, models: Sequence[str], scores: Floats) -> Taken:
    """Takes the strong model where its lead reaches the threshold, else the weak one.

    The strong model is worth its lead less the threshold and the weak one nothing.
    Where only one of them has a score, it is taken.

    Raises:
        UnknownModelError: One of them isn't among the models.
        NoCandidateError: Neither has a score.
    """
    strong = place_of(models, rule.strong, field="strong")
    weak = place_of(models, rule.weak, field="weak")
    lead = _lead(scores[strong], scores[weak])
    if np.isnan(lead):
        raise NoCandidateError(f"Neither {rule.strong!r} nor {rule.weak!r} has a score.")
    worth = np.full(len(models), np.nan)
    worth[strong] = lead - rule.threshold
    worth[weak] = 0.0
    index = strong if worth[strong] >= 0 else weak
    return Taken(np.where(np.isnan(scores), np.nan, worth), index)


def _lead(strong: float, weak: float) -> float:
    """By how much a score leads another; infinite where only one of them is known."""
    if np.isnan(strong) != np.isnan(weak):
        return -np.inf if np.isnan(strong) else np.inf
    return strong - weak


def place_of(models: Sequence[str], name: str, *, field: str) -> int:
    """The place of a model that is asked for by name.

    Raises:
        UnknownModelError: It isn't among the models.
    """
    if name not in models:
        raise UnknownModelError(
            f"The {field} model {name!r} isn't among {some(models)}.", field=field
        )
    return models.index(name)


def some(models: Sequence[str]) -> str:
    """Names of models, as a sentence has room for them."""
    shown = ", ".join(repr(model) for model in models[:8])
    return f"{shown} and {len(models) - 8} others" if len(models) > 8 else shown


def _require_costs(costs: Floats, what: str) -> None:
    if np.isnan(costs).all():
        raise PolicyNeedsCostsError(
            f"No model has a cost, and {what} needs one: give the router costs, or use "
            "another policy."
        )
