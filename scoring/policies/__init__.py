"""How a model is chosen from the scores of a router. See `docs/policies.md`.

>>> from scoring.policies import Budget, Policy, choose
>>> costs = [30.0, 1.0, 2.0]
>>> choice = choose(Policy(Budget(5.0)), ["ant", "bee", "cat"], [0.9, 0.6, 0.7], costs)
>>> choice.index, choice.order.tolist()
(2, [0, 2, 1])
"""

from scoring.policies.calibrate import share_at, strong_leads, threshold_for_share
from scoring.policies.choose import Choice, choose
from scoring.policies.fit import fit_nearest
from scoring.policies.plain import choose_plain
from scoring.policies.softmax import softmax
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

__all__ = [
    "ArgMax",
    "Budget",
    "Choice",
    "CostPenalty",
    "FirstConfident",
    "NearestConfidence",
    "Policy",
    "RandomConfident",
    "Rule",
    "Sample",
    "Stickiness",
    "Threshold",
    "choose",
    "choose_plain",
    "fit_nearest",
    "share_at",
    "softmax",
    "strong_leads",
    "threshold_for_share",
]
