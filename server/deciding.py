"""From the scores of a router to the model to call: candidates, policy, abstention."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.errors import NoCandidateError, UnknownModelError
from scoring.policies import Choice, Threshold, choose
from scoring.routers import RouterFallback, RouterScores, TemperatureCalibration, entropy
from server.requests import Decision, RankedModel, RouteRequest
from server.routers.settings import AbstainingSettings

_SHOWN = 16

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


def decide(router: Deciding, request: RouteRequest, scores: RouterScores) -> Decision:
    """Chooses among the models that the request allows.

    Args:
        router: Gives costs, calibration and what to abstain by.
        request: Its policy and its candidates.
        scores: Of one prompt.

    Raises:
        UnknownModelError: A candidate, or a model of the policy, is not of the router.
        NoCandidateError: The request or its policy allows no model.
        RouterUnreadyError: No model that is allowed has a score.
        PolicyNeedsCostsError: The policy weighs costs, and none is known.
    """
    require_known(request, scores.models)
    allowed = [place for place, model in enumerate(scores.models) if allows(request, model)]
    if not allowed:
        raise NoCandidateError("The request allows no model of the router; deny fewer.")
    models = [scores.models[place] for place in allowed]
    known = scores.scores[0, allowed]
    costs = np.array([router.costs.get(model, np.nan) for model in models])
    choice = choose(request.policy, models, known, costs)
    probabilities = router.calibration.probabilities(known[None])[0] if router.calibration else None
    margin = _margin(choice, known)
    decision = Decision(
        model=models[choice.index],
        ranking=_ranking(choice, models, known, probabilities, costs),
        margin=margin,
        entropy=None if probabilities is None else float(entropy(probabilities)),
        fallback=scores.fallback[0],
        neighbours_used=int(scores.neighbours_used[0]),
        voters_used=int(scores.voters_used[0]),
    )
    return _abstained(router, request, decision)


def allows(request: RouteRequest, model: str) -> bool:
    """Whether a model may be called for a request."""
    return model not in request.denied and (not request.candidates or model in request.candidates)


def require_known(request: RouteRequest, models: Sequence[str]) -> None:
    """Refuses names that are not of the router. A model that is only denied need not be.

    Raises:
        UnknownModelError: Names the field.
    """
    for index, candidate in enumerate(request.candidates):
        if candidate not in models:
            raise _unknown(f"candidates[{index}]", candidate, models)
    rule = request.policy.rule
    if isinstance(rule, Threshold):
        for field, model in (("strong", rule.strong), ("weak", rule.weak)):
            if model not in models or not allows(request, model):
                choices = [each for each in models if allows(request, each)]
                raise _unknown(f"policy.threshold.{field}", model, choices)


def _unknown(field: str, model: str, models: Sequence[str]) -> UnknownModelError:
    shown = ", ".join(models[:_SHOWN]) + (", ..." if len(models) > _SHOWN else "")
    return UnknownModelError(
        f"{field}: {model!r} is not among the models to choose from: {shown or 'none'}.",
        field=field,
    )


def _margin(choice: Choice, scores: Floats) -> float | None:
    if len(scores) < 2 or np.isnan(scores[choice.order[1]]):
        return None
    first, second = choice.order[:2]
    return float(scores[first] - scores[second])


def _ranking(
    choice: Choice,
    models: Sequence[str],
    scores: Floats,
    probabilities: Floats | None,
    costs: Floats,
) -> tuple[RankedModel, ...]:
    return tuple(
        RankedModel(
            model=models[place],
            score=float(scores[place]),
            probability=None if probabilities is None else float(probabilities[place]),
            cost=None if np.isnan(costs[place]) else float(costs[place]),
        )
        for place in choice.order.tolist()
        if not np.isnan(scores[place])
    )


def _abstained(router: Deciding, request: RouteRequest, decision: Decision) -> Decision:
    doubt = _doubt(router, decision)
    model = router.section.fallback
    if doubt is None or model is None:
        return decision
    if not allows(request, model):
        message = f"{doubt.message} Its fallback {model!r} may not be called for this request."
        return replace(decision, fallback=RouterFallback("FALLBACK_NOT_ALLOWED", message))
    return replace(decision, model=model, abstained=True, fallback=doubt)


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
