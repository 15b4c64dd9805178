"""Rules that ask which models are likely to be right: SelectLLM's, see `docs/policies.md`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.policies.rules import Floats, Taken, take_best, unit_draw
from scoring.policies.values import FirstConfident, NearestConfidence, RandomConfident


def take_random(rule: RandomConfident, scores: Floats, costs: Floats) -> Taken:
    """Draws among the confident, or among the best where none is.

    The draw runs along the ranking, so that a seed means the same in whatever
    order the models are named.
    """
    order = np.argsort(-scores, kind="stable")
    confident = order[scores[order] >= rule.confidence]
    if confident.size:
        return Taken(_only(scores, confident), _drawn(rule.seed, confident))
    unsure = _nobody(scores, rule.confidence)
    if rule.among == 1:
        return take_best(scores, costs)._replace(unsure=unsure)
    best = order[: min(rule.among, np.count_nonzero(~np.isnan(scores)))]
    return Taken(_only(scores, best), _drawn(rule.seed, best), unsure)


def take_first(rule: FirstConfident, models: Sequence[str], scores: Floats, costs: Floats) -> Taken:
    """Takes the first of the confident in the order of preference, or the best score.

    A preferred model that isn't among the models has no effect. Those that aren't
    preferred follow, the cheapest first, unknown costs last, then as they come.
    """
    confident = np.flatnonzero(scores >= rule.confidence)
    if not confident.size:
        return take_best(scores, costs)._replace(unsure=_nobody(scores, rule.confidence))
    rank = {model: place for place, model in enumerate(rule.preference)}
    wanted = np.array([rank.get(model, len(rank)) for model in models])[confident]
    prices = np.where(np.isnan(costs), np.inf, costs)[confident]
    first = np.lexsort((prices, wanted))[0]
    return Taken(_only(scores, confident), int(confident[first]))


def take_nearest(
    rule: NearestConfidence, models: Sequence[str], scores: Floats, costs: Floats
) -> Taken:
    """Takes the score nearest to the predicted one, or the best score.

    The worth of a model is how near it is: less the distance. Of equals as in
    `take_best`.
    """
    known = dict(zip(models, scores.tolist(), strict=True))
    terms = [weight * known.get(model, np.nan) for model, weight in rule.weights]
    target = rule.intercept + sum(terms)
    if not np.isfinite(target):
        unsure = (
            "What to aim at isn't known: a model that the policy weighs has no score here, or its "
            "numbers overflow."
        )
        return take_best(scores, costs)._replace(unsure=unsure)
    return take_best(-np.abs(scores - target), costs)


def _drawn(seed: int | None, places: NDArray[np.int64]) -> int:
    return int(places[int(unit_draw(seed) * places.size)])


def _only(scores: Floats, places: NDArray[np.int64]) -> Floats:
    worth = np.full_like(scores, np.nan)
    worth[places] = scores[places]
    return worth


def _nobody(scores: Floats, confidence: float) -> str:
    return f"No model is confident: the best score is {np.nanmax(scores):.3g}, not {confidence:g}."
