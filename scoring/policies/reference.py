"""A slow twin of the policies, written from their definitions, for comparison."""

import math
from collections.abc import Sequence
from dataclasses import replace

from scoring.policies.values import (
    ArgMax,
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    Policy,
    RandomConfident,
    Rule,
    Threshold,
)


def reference_choice(
    policy: Policy, models: Sequence[str], scores: Sequence[float], costs: Sequence[float]
) -> int | None:
    """Returns the place of the model to call, absent where the rule allows none.

    Args:
        policy: How; `Sample` is taken for `ArgMax`, and `RandomConfident` too.
        models: K distinct names.
        scores: K scores, NaN where unknown.
        costs: K costs, NaN where unknown.
    """
    rule = policy.rule
    if isinstance(rule, FirstConfident) and not any(score >= rule.confidence for score in scores):
        return reference_choice(replace(policy, rule=ArgMax()), models, scores, costs)
    worth = _worth(rule, models, scores, costs)
    allowed = [place for place in range(len(models)) if not math.isnan(worth[place])]
    if not allowed:
        return None
    best = [place for place in allowed if worth[place] == max(worth[other] for other in allowed)]
    if isinstance(rule, FirstConfident):
        best = allowed
    chosen = min(best, key=lambda place: _precedence(rule, models[place], costs[place]))
    for place in allowed:
        if policy.stickiness and models[place] == policy.stickiness.previous_model:
            return place if worth[chosen] - worth[place] <= policy.stickiness.margin else chosen
    return chosen


def reference_confident(rule: RandomConfident, scores: Sequence[float]) -> list[int]:
    """Returns the places that `RandomConfident` draws among, best first; none is likelier."""
    known = [place for place, score in enumerate(scores) if not math.isnan(score)]
    ranked = sorted(known, key=lambda place: -scores[place])
    confident = [place for place in ranked if scores[place] >= rule.confidence]
    return confident or ranked[: rule.among]


def reference_shares(scores: Sequence[float], temperature: float) -> list[float]:
    """Returns softmax(scores / temperature), NaN as 0."""
    top = max((score for score in scores if not math.isnan(score)), default=0.0)
    powers = [
        0.0 if math.isnan(score) else math.exp((score - top) / temperature) for score in scores
    ]
    total = math.fsum(powers)
    return [power / total if total else 0.0 for power in powers]


def _worth(
    rule: Rule, models: Sequence[str], scores: Sequence[float], costs: Sequence[float]
) -> list[float]:
    pairs = list(zip(scores, costs, strict=True))
    match rule:
        case Budget():
            return [score if cost <= rule.max_cost else math.nan for score, cost in pairs]
        case CostPenalty():
            return [score - rule.penalty * cost if rule.penalty else score for score, cost in pairs]
        case FirstConfident():
            return [score if score >= rule.confidence else math.nan for score in scores]
        case NearestConfidence():
            known = dict(zip(models, scores, strict=True))
            terms = [weight * known.get(model, math.nan) for model, weight in rule.weights]
            aim = rule.intercept + sum(terms)
            return (
                list(scores) if not math.isfinite(aim) else [-abs(score - aim) for score in scores]
            )
        case Threshold():
            two = _worth_of_two(rule, dict(zip(models, scores, strict=True)))
            return [two.get(model, math.nan) for model in models]
        case _:
            return list(scores)


def _worth_of_two(rule: Threshold, scores: dict[str, float]) -> dict[str, float]:
    lead = scores[rule.strong] - scores[rule.weak]
    if math.isnan(lead):
        return {model: 0.0 * scores[model] for model in (rule.strong, rule.weak)}
    return {rule.strong: lead - rule.threshold, rule.weak: 0.0}


def _precedence(rule: Rule, model: str, cost: float) -> tuple[float, float]:
    """Decides between equals, the least first."""
    price = math.inf if math.isnan(cost) else cost
    if isinstance(rule, Threshold):
        return float(model == rule.weak), 0.0
    if isinstance(rule, FirstConfident) and model in rule.preference:
        return float(rule.preference.index(model) - len(rule.preference)), 0.0
    return 0.0, price
