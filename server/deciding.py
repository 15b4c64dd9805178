"""From the scores of a router to the model to call: candidates, policy, abstention."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.errors import NoCandidateError, RouterUnreadyError, UnknownModelError
from scoring.policies import (
    Budget,
    FirstConfident,
    NearestConfidence,
    Rule,
    Threshold,
    choose,
    choose_plain,
)
from scoring.routers import RouterFallback, RouterScores, TemperatureCalibration, entropy_of
from server.names import some_of
from server.requests import NO_POLICY, Decision, RankedModel, RouteRequest
from server.routers.settings import AbstainingSettings

_FIELDS = {"max_cost": "policy.budget.max_cost", "penalty": "policy.cost_penalty.penalty"}

Floats = NDArray[np.float64]


class Deciding(Protocol):
    """What a choice takes of a router, besides its scores."""

    @property
    def section(self) -> AbstainingSettings:
        """When it abstains, and to which model."""

    @property
    def costs(self) -> Mapping[str, float]:
        """Of a call, by model; what is unknown is not in it."""

    @property
    def calibration(self) -> TemperatureCalibration | None:
        """Turns scores into probabilities."""

    @property
    def abstain_below_probability(self) -> float | None:
        """Of the best model; None for never."""


def decide(
    router: Deciding, request: RouteRequest, scores: RouterScores, *, growing: bool = False
) -> Decision:
    """Chooses among the models that the request allows.

    Args:
        router: Gives costs, calibration and what to abstain by.
        request: Its policy and its candidates.
        scores: Of one prompt.
        growing: The router may come to know more models.

    Raises:
        UnknownModelError: A candidate of a router whose models don't grow, or a model of the
            policy, is not of the router.
        NoCandidateError: The request or its policy allows no model.
        RouterUnreadyError: No model that is allowed has a score.
        PolicyNeedsCostsError: The policy weighs costs, and none is known.
    """
    require_allowed(request, scores.models, growing=growing)
    models, known = _allowed(request, scores)
    costs = [router.costs.get(model, nan) for model in models]
    # A list: numbers of a few models are dealt with one by one.
    values = known.tolist()
    best, order, unsure = _chosen(request, models, values, costs)
    probabilities = router.calibration.of_prompt(values) if router.calibration else None
    decision = Decision(
        model=models[best],
        ranking=_ranking(order, models, values, probabilities, costs),
        margin=_margin(order, values),
        entropy=None if probabilities is None else entropy_of(probabilities),
        fallback=_unsure(unsure, scores.fallback[0]),
        neighbours_used=int(scores.neighbours_used[0]),
        voters_used=int(scores.voters_used[0]),
    )
    return _abstained(router, request, decision)


def _allowed(request: RouteRequest, scores: RouterScores) -> tuple[Sequence[str], Floats]:
    """The models that a request allows, and their scores (K,)."""
    if not request.candidates and not request.denied:
        return scores.models, scores.scores[0]
    places = [place for place, model in enumerate(scores.models) if allows(request, model)]
    return [scores.models[place] for place in places], scores.scores[0, places]


def allows(request: RouteRequest, model: str) -> bool:
    """Whether a model may be called for a request."""
    return model not in request.denied and (not request.candidates or model in request.candidates)


def may_fall_back(router: Deciding, request: RouteRequest, model: str) -> bool:
    """Whether a fallback is within the limits of a request.

    They are its candidates, what it denies, a budget, and the two models of a threshold.
    """
    if not allows(request, model):
        return False
    match request.policy.rule:
        case Budget(max_cost):
            return model in router.costs and router.costs[model] <= max_cost
        case Threshold(strong, weak):
            return model in (strong, weak)
        case _:
            return True


def require_allowed(request: RouteRequest, models: Sequence[str], *, growing: bool) -> None:
    """Refuses requests that no model can answer, or that name models which are not there.

    A model that is only denied need not be there. Nor need a candidate where the models may
    grow, as long as another is.

    Args:
        request: To judge.
        models: Of the router.
        growing: More models may come.

    Raises:
        UnknownModelError: A candidate or a model of the policy is not of the router.
        NoCandidateError: Every model is denied.
        RouterUnreadyError: None of the candidates has come yet.
    """
    choices = models
    if request.candidates or request.denied:
        known = frozenset(models)
        for index, candidate in enumerate(request.candidates):
            if candidate not in known and not growing:
                raise _unknown(f"candidates[{index}]", candidate, models)
        choices = [model for model in models if allows(request, model)]
    if not choices:
        raise _none_allowed(request, frozenset(models))
    _require_policy(request.policy.rule, models, choices, growing=growing)


def _require_policy(
    rule: Rule, models: Sequence[str], choices: Sequence[str], *, growing: bool
) -> None:
    if isinstance(rule, Threshold):
        for field, model in (("strong", rule.strong), ("weak", rule.weak)):
            if model not in choices:
                raise _unknown(f"policy.threshold.{field}", model, choices)
    elif not growing:
        for field, model in _named(rule):
            if model not in models:
                raise _unknown(field, model, models)


def _named(rule: Rule) -> list[tuple[str, str]]:
    """Fields and the models that they name, which need be of the router, though not allowed."""
    match rule:
        case FirstConfident():
            field = "policy.first_confident.preference"
            return [(f"{field}[{index}]", model) for index, model in enumerate(rule.preference)]
        case NearestConfidence():
            return [("policy.nearest_confidence.weights", model) for model, _ in rule.weights]
        case _:
            return []


def _none_allowed(
    request: RouteRequest, known: frozenset[str]
) -> NoCandidateError | RouterUnreadyError:
    if request.candidates and not known.issuperset(set(request.candidates) - request.denied):
        return RouterUnreadyError(
            f"The router knows nothing yet of {some_of(request.candidates)}: feed it answers of "
            "these models, or allow others.",
            field="candidates",
        )
    return NoCandidateError(
        "The request allows no model of the router; deny fewer.", field="denied"
    )


def _unknown(field: str, model: str, models: Sequence[str]) -> UnknownModelError:
    return UnknownModelError(
        f"{field}: {model!r} is not among the models to choose from: {some_of(models)}.",
        field=field,
    )


def _chosen(
    request: RouteRequest, models: Sequence[str], scores: Sequence[float], costs: Sequence[float]
) -> tuple[int, list[int], str]:
    """The place of the model to call, all places by score, and why the policy was not sure."""
    if request.policy == NO_POLICY:
        return *choose_plain(models, scores, costs), ""
    try:
        choice = choose(request.policy, models, scores, costs)
    except NoCandidateError as error:
        field = _FIELDS.get(error.field, error.field)
        raise NoCandidateError(str(error), field=field) from None
    return choice.index, choice.order.tolist(), choice.unsure


def _unsure(unsure: str, fallback: RouterFallback | None) -> RouterFallback | None:
    if not unsure:
        return fallback
    message = f"{unsure} {fallback.message}" if fallback else unsure
    return RouterFallback("NOT_CONFIDENT", message)


def _margin(order: Sequence[int], scores: Sequence[float]) -> float | None:
    if len(scores) < 2 or isnan(scores[order[1]]):
        return None
    return scores[order[0]] - scores[order[1]]


def _ranking(
    order: Sequence[int],
    models: Sequence[str],
    scores: Sequence[float],
    probabilities: Sequence[float] | None,
    costs: Sequence[float],
) -> tuple[RankedModel, ...]:
    shares: Sequence[float | None] = probabilities or [None] * len(models)
    return tuple(
        [
            RankedModel(
                models[place],
                scores[place],
                shares[place],
                None if isnan(costs[place]) else costs[place],
            )
            for place in order
            if not isnan(scores[place])
        ]
    )


def _abstained(router: Deciding, request: RouteRequest, decision: Decision) -> Decision:
    doubt = _doubt(router, decision)
    model = router.section.fallback
    if doubt is None or model is None:
        return decision
    message = f"{doubt.message} {decision.fallback.message}" if decision.fallback else doubt.message
    if may_fall_back(router, request, model):
        doubt = RouterFallback(doubt.reason, message)
        return decision._replace(model=model, abstained=True, fallback=doubt)
    message = f"{message} {not_allowed(model)}"
    return decision._replace(fallback=RouterFallback("FALLBACK_NOT_ALLOWED", message))


def not_allowed(fallback: str) -> str:
    """The sentence on a fallback that is beyond the limits of a request."""
    return f"Its fallback {fallback!r} may not be called for this request."


def _doubt(router: Deciding, decision: Decision) -> RouterFallback | None:
    probability = decision.ranking[0].probability
    least = router.abstain_below_probability
    if least is not None and probability is not None and probability < least:
        message = f"The best model has the probability {probability:.3g}, less than {least:g}."
        return RouterFallback("LOW_PROBABILITY", message)
    least = router.section.abstain_below_margin
    if least is not None and decision.margin is not None and decision.margin < least:
        message = f"The best model leads the next by {decision.margin:.3g}, less than {least:g}."
        return RouterFallback("LOW_MARGIN", message)
    return None
