"""Four prompts and two models, small enough to work out by hand."""

import numpy as np

from evaluation.routers import Applied, Contender, Latency
from evaluation.scores import ScoreTable
from scoring.policies import ArgMax, Policy

MODELS = ("ant", "bee")
SCORES = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
COSTS = [[4.0, 1.0]] * 4


def table(scores=SCORES, tasks=("x", "x", "y", "y"), costs=COSTS, models=MODELS):
    prompts = [f"p{row}" for row in range(len(scores))]
    given = None if costs is None else np.array(costs, float)
    return ScoreTable.of(prompts, tasks, models, np.array(scores, float), given)


def contender(name="router", scores=SCORES, costs=COSTS[0], **given):
    return Contender(name, "tiny", np.array(scores, float), np.array(costs, float), **given)


def latency():
    return Latency(np.array([0.010, 0.020, 0.030]), np.array([0.001, 0.001, 0.001]))


ARG_MAX = Applied("arg-max", lambda _: lambda _: Policy(ArgMax()))


def many(times, scores=SCORES, **given):
    """The same rows again and again, so that intervals are narrow."""
    return table(scores * times, ("x", "x", "y", "y") * times, COSTS * times, **given)
