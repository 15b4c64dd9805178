"""Slow twins of the curves, from their definitions, for comparison."""

import itertools
import math
from collections.abc import Sequence

from scoring.policies import CostPenalty, Policy, choose


def reference_height(points: Sequence[tuple[float, float]], cost: float) -> float:
    """Returns the best quality that a mixture of two points reaches for this cost or less."""
    best = -math.inf
    for first_cost, first_quality in points:
        if first_cost <= cost:
            best = max(best, first_quality)
        for other_cost, other_quality in points:
            if first_cost <= cost <= other_cost and first_cost < other_cost:
                share = (cost - first_cost) / (other_cost - first_cost)
                best = max(best, first_quality + share * (other_quality - first_quality))
    return best


def reference_area(points: Sequence[tuple[float, float]], low: float, high: float) -> float:
    """Returns the mean of `reference_height` from low to high, exactly.

    The height is linear between the costs of two points that are next to each other, as far
    as the corners of a hull are points; so the trapezoids between all of them are exact.
    """
    inner = sorted(cost for cost, _ in points if low < cost < high)
    at = [low, *inner, high]
    heights = [reference_height(points, cost) for cost in at]
    areas = [
        (right - left) * (heights[place] + heights[place + 1]) / 2
        for place, (left, right) in enumerate(itertools.pairwise(at))
    ]
    return math.fsum(areas) / (high - low)


def reference_choice(scores: Sequence[float], costs: Sequence[float], penalty: float) -> int:
    """Returns what the policy that serves chooses."""
    models = [f"model {place}" for place in range(len(scores))]
    return choose(Policy(CostPenalty(penalty)), models, scores, costs).index
