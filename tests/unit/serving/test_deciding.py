"""From scores to a decision, where the wire shows little."""

import numpy as np
import pytest

from scoring.errors import NoCandidateError, RouterUnreadyError, UnknownModelError
from scoring.policies import (
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    Policy,
    RandomConfident,
    Stickiness,
    Threshold,
)
from scoring.routers import CosineRouter, RouterFallback, RouterScores, TemperatureCalibration
from server.deciding import decide
from server.requests import RouteRequest
from server.routers.settings import ArtefactRouterSettings
from server.routers.values import ServedRouter

NAN = np.nan
MODELS = ("a", "b", "c")


def router(section=None, **fields) -> ServedRouter:
    section = ArtefactRouterSettings(directory="/x", **(section or {}))
    cosine = CosineRouter("routerdc", MODELS, np.eye(3, dtype=np.float32))
    return ServedRouter("r", section, cosine, None, 0.0, models=MODELS, **fields)


def scores(*values, fallback=None) -> RouterScores:
    one = np.ones(1, np.int64)
    return RouterScores(MODELS, np.array([values]), 7 * one, 3 * one, (fallback,))


def request(**fields) -> RouteRequest:
    return RouteRequest("", "p", **fields)


def test_a_model_without_a_score_is_not_in_the_ranking_and_never_chosen():
    decision = decide(router(), request(), scores(NAN, 0.1, 0.2))
    assert [each.model for each in decision.ranking] == ["c", "b"]
    assert decision.margin == pytest.approx(0.1)
    assert (decision.neighbours_used, decision.voters_used) == (7, 3)


def test_one_model_with_a_score_has_no_margin():
    section = {"abstain_below_margin": 9.0, "fallback": "x"}
    decision = decide(router(section), request(), scores(NAN, 0.1, NAN))
    assert (decision.model, decision.margin, decision.abstained) == ("b", None, False)


def test_probabilities_are_of_the_candidates_alone():
    calibrated = router(calibration=TemperatureCalibration(0.5))
    decision = decide(calibrated, request(candidates=("a", "b")), scores(0.0, 0.5, 99.0))
    first, second = decision.ranking
    assert (first.model, second.model) == ("b", "a")
    assert first.probability == pytest.approx(np.e / (1 + np.e))
    assert first.probability + second.probability == pytest.approx(1)


def test_equal_scores_go_to_the_cheaper():
    decision = decide(router(costs={"a": 2.0, "b": 1.0}), request(), scores(0.5, 0.5, 0.1))
    assert decision.model == "b"
    assert [each.cost for each in decision.ranking] == [2.0, 1.0, None]
    assert decision.margin == 0


def test_nothing_known_of_those_allowed_is_unready():
    with pytest.raises(RouterUnreadyError):
        decide(router(), request(denied=frozenset("bc")), scores(NAN, 0.1, 0.2))


def test_nothing_allowed_is_no_candidate():
    with pytest.raises(NoCandidateError):
        decide(router(), request(denied=frozenset("abc")), scores(0.1, 0.1, 0.2))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"candidates": ("a", "x")}, "candidates[1]"),
        ({"policy": Policy(Threshold("x", "a", 0.0))}, "policy.threshold.strong"),
        ({"policy": Policy(Threshold("a", "x", 0.0))}, "policy.threshold.weak"),
        (
            {"policy": Policy(Threshold("a", "b", 0.0)), "candidates": ("a", "c")},
            "policy.threshold.weak",
        ),
    ],
)
def test_an_unknown_model_is_named_by_its_field(fields, field):
    with pytest.raises(UnknownModelError) as caught:
        decide(router(), request(**fields), scores(0.1, 0.2, 0.3))
    assert caught.value.field == field


@pytest.mark.parametrize(("least", "abstained"), [(0.25, False), (0.2501, True), (0.0, False)])
def test_a_margin_is_compared_as_it_is(least, abstained):
    section = {"abstain_below_margin": least, "fallback": "a"}
    decision = decide(router(section), request(), scores(0.25, 0.5, 0.75))
    assert decision.abstained is abstained
    assert decision.model == ("a" if abstained else "c")


LIMITS = {
    "affordable": (Policy(Budget(2.0)), "a", True),
    "too dear": (Policy(Budget(1.0)), "a", False),
    "of unknown cost": (Policy(Budget(9.0)), "x", False),
    "the weak one": (Policy(Threshold("c", "a", 0.0)), "a", True),
    "the strong one": (Policy(Threshold("a", "c", 0.0)), "a", True),
    "neither": (Policy(Threshold("b", "c", 0.0)), "a", False),
    "a penalty": (Policy(CostPenalty(0.1)), "x", True),
    "sticking": (Policy(stickiness=Stickiness("c", 9.0)), "x", True),
}


@pytest.mark.parametrize(("policy", "fallback", "allowed"), LIMITS.values(), ids=LIMITS)
def test_a_fallback_keeps_to_the_limits_of_the_policy(policy, fallback, allowed):
    section = {"abstain_below_margin": 9.0, "fallback": fallback}
    unsure = router(section, costs={"a": 2.0, "b": 0.5, "c": 0.5})
    decision = decide(unsure, request(policy=policy), scores(0.1, 0.2, 0.3))
    assert decision.abstained is allowed
    if allowed:
        assert (decision.model, decision.fallback.reason) == (fallback, "LOW_MARGIN")
    else:
        assert decision.model != fallback
        assert decision.fallback.reason == "FALLBACK_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("policy", "field"),
    [(Budget(0.1), "policy.budget.max_cost"), (CostPenalty(1.0), "policy.cost_penalty.penalty")],
)
def test_what_a_policy_leaves_nobody_of_is_named(policy, field):
    known = scores(NAN, 0.1, 0.2)
    with pytest.raises(NoCandidateError) as caught:
        decide(router(costs={"a": 1.0}), request(policy=Policy(policy)), known)
    assert caught.value.field == field


def test_where_models_grow_a_candidate_may_be_unknown_but_not_a_model_of_the_policy():
    two = request(candidates=("a", "x"))
    assert decide(router(), two, scores(0.1, 0.2, 0.3), growing=True).model == "a"
    threshold = request(policy=Policy(Threshold("x", "a", 0.0)))
    with pytest.raises(UnknownModelError):
        decide(router(), threshold, scores(0.1, 0.2, 0.3), growing=True)


def test_a_policy_that_nobody_is_confident_for_says_so_with_what_the_router_says():
    why = RouterFallback("FEW_NEIGHBOURS", "Few.")
    asked = request(policy=Policy(RandomConfident(0.5)))
    decision = decide(router(), asked, scores(0.1, 0.2, 0.3, fallback=why))
    assert (decision.model, decision.abstained) == ("c", False)
    assert decision.fallback.reason == "NOT_CONFIDENT"
    assert decision.fallback.message.endswith("the best score is 0.3, not 0.5. Few.")
    assert decide(router(), asked, scores(0.1, 0.2, 0.6, fallback=why)).fallback == why
    assert decide(router(), asked, scores(0.1, 0.2, 0.6)).fallback is None
    unsure = router({"abstain_below_margin": 9.0, "fallback": "a"})
    decision = decide(unsure, asked, scores(0.1, 0.2, 0.3))
    assert (decision.model, decision.fallback.reason) == ("a", "LOW_MARGIN")
    assert "No model is confident" in decision.fallback.message


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (FirstConfident(0.2, ("b", "x")), "policy.first_confident.preference[1]"),
        (NearestConfidence((("x", 1.0),), 0.0), "policy.nearest_confidence.weights"),
    ],
)
def test_a_policy_may_name_what_is_denied_but_not_what_is_unknown(rule, field):
    asked = request(policy=Policy(rule), denied=frozenset("b"))
    with pytest.raises(UnknownModelError) as caught:
        decide(router(), asked, scores(0.1, 0.2, 0.3))
    assert caught.value.field == field
    assert decide(router(), asked, scores(0.1, 0.2, 0.3), growing=True).model == "c"
    denied = request(policy=Policy(FirstConfident(0.1, ("b", "a"))), denied=frozenset("b"))
    assert decide(router(), denied, scores(0.1, 0.2, 0.3)).model == "a"


def test_what_the_router_says_is_passed_on_unless_it_abstains():
    why = RouterFallback("FEW_NEIGHBOURS", "Few.")
    assert decide(router(), request(), scores(0.1, 0.2, 0.3, fallback=why)).fallback == why
    section = {"abstain_below_margin": 9.0, "fallback": "a"}
    unsure = decide(router(section), request(), scores(0.1, 0.2, 0.3, fallback=why))
    assert unsure.fallback.reason == "LOW_MARGIN"
    assert unsure.fallback.message.endswith("less than 9. Few.")
    not_allowed = decide(
        router(section), request(denied=frozenset("a")), scores(0.1, 0.2, 0.3, fallback=why)
    )
    assert not_allowed.fallback.reason == "FALLBACK_NOT_ALLOWED"
    assert "Few. Its fallback 'a'" in not_allowed.fallback.message
