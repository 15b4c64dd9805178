"""How a model is chosen from a router's scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pointsman.v1 import routing_service_pb2


@dataclass(frozen=True, slots=True)
class ArgMaxPolicy:
    """Takes the best score."""


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """Draws a model with probability softmax(score / temperature)."""

    temperature: float
    """Above 0; lower is nearer to `ArgMaxPolicy`."""
    seed: int | None = None
    """Makes the draw repeatable."""


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """Takes the best score among the models that cost no more."""

    max_cost: float
    """In the unit of the router's costs; 0 allows only what is free."""


@dataclass(frozen=True, slots=True)
class CostPenaltyPolicy:
    """Takes the best of score - penalty * cost."""

    penalty: float
    """Score given up per unit of cost; 0 or more."""


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Calls the strong model where its lead over the weak one reaches the threshold."""

    strong: str
    """The dearer model."""
    weak: str
    """The cheaper model."""
    threshold: float
    """Least lead in score."""


@dataclass(frozen=True, slots=True)
class RandomConfidentPolicy:
    """Draws uniformly among the models whose score is the confidence or more."""

    confidence: float
    """In the unit of the scores."""
    among: int = 1
    """How many of the best scores to draw among where no model is confident."""
    seed: int | None = None
    """Makes the draw repeatable."""


@dataclass(frozen=True, slots=True)
class FirstConfidentPolicy:
    """Takes the most preferred of the models whose score is the confidence or more.

    Where none is so confident, takes the best score.
    """

    confidence: float
    """In the unit of the scores."""
    preference: Sequence[str] = ()
    """Most preferred first. The other models follow, the cheapest first."""


@dataclass(frozen=True, slots=True)
class NearestConfidencePolicy:
    """Takes the score nearest to what a linear model of the scores predicts for a right answer."""

    weights: Mapping[str, float] = field(hash=False)
    """By model; those that are not in it weigh nothing."""
    intercept: float
    """Added to the weighted sum of the scores."""


Policy: TypeAlias = (
    ArgMaxPolicy
    | SamplePolicy
    | BudgetPolicy
    | CostPenaltyPolicy
    | ThresholdPolicy
    | RandomConfidentPolicy
    | FirstConfidentPolicy
    | NearestConfidencePolicy
)
"""One of the rules above."""


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Stays with the previous model while no other leads it by more than the margin."""

    previous_model: str
    """The model of the turn before."""
    margin: float
    """Lead in score that another model needs; 0 or more."""


def policy_message(
    policy: Policy | None, stickiness: Stickiness | None
) -> routing_service_pb2.Policy | None:
    """Builds the policy of a request; None where nothing is said."""
    if policy is None and stickiness is None:
        return None
    message = routing_service_pb2.Policy() if policy is None else _rule_message(policy)
    if stickiness is not None:
        message.stickiness.previous_model = stickiness.previous_model
        message.stickiness.margin = stickiness.margin
    return message


def _rule_message(policy: Policy) -> routing_service_pb2.Policy:
    wire = routing_service_pb2.Policy
    match policy:
        case ArgMaxPolicy():
            return wire(arg_max=wire.ArgMax())
        case SamplePolicy(temperature, seed):
            return wire(sample=wire.Sample(temperature=temperature, seed=seed))
        case BudgetPolicy(max_cost):
            return wire(budget=wire.Budget(max_cost=max_cost))
        case CostPenaltyPolicy(penalty):
            return wire(cost_penalty=wire.CostPenalty(penalty=penalty))
        case ThresholdPolicy(strong, weak, threshold):
            rule = wire.Threshold(strong=strong, weak=weak, threshold=threshold)
            return wire(threshold=rule)
        case RandomConfidentPolicy(confidence, among, seed):
            drawn = wire.RandomConfident(confidence=confidence, among=among, seed=seed)
            return wire(random_confident=drawn)
        case FirstConfidentPolicy(confidence, preference):
            first = wire.FirstConfident(confidence=confidence, preference=preference)
            return wire(first_confident=first)
        case NearestConfidencePolicy(weights, intercept):
            nearest = wire.NearestConfidence(weights=weights, intercept=intercept)
            return wire(nearest_confidence=nearest)
    raise TypeError(f"A policy must be one of the client's, not {type(policy).__name__}.")
