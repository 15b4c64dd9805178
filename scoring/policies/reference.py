"""A slow twin of the policies, written from their definitions, for comparison."""

import math
from collections.abc import Sequence

from scoring.policies.values import Budget, CostPenalty, Policy, Rule, Threshold


def reference_choice(
    policy: Policy, models: Sequence[str], scores: Sequence[float], costs: Sequence[float]
) -> int | None:
    """Returns the place of the model to call, absent where the rule allows none.

    Args:
        policy: How; `Sample` is taken for `ArgMax`.
        models: K distinct names.
        scores: K scores, NaN where unknown.
        costs: K costs, NaN where unknown.
    """
    worth = _worth(policy.rule, models, scores, costs)
    allowed = [place for place in range(len(models)) if not math.isnan(worth[place])]
    if not allowed:
        return None
    best = [place for place in allowed if worth[place] == max(worth[other] for other in allowed)]
    chosen = min(best, key=lambda place: _precedence(policy.rule, models[place], costs[place]))
    for place in allowed:
        if policy.stickiness and models[place] == policy.stickiness.previous_model:
            return place if worth[chosen] - worth[place] <= policy.stickiness.margin else chosen
    return chosen


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


def _precedence(rule: Rule, model: str, cost: float) -> float:
    """Decides between equals, the least first."""
    if isinstance(rule, Threshold):
        return float(model == rule.weak)
    return math.inf if math.isnan(cost) else cost
