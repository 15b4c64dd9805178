"""Policies, from the wire."""

from google.protobuf.message import Message

from pointsman.v1 import routing_service_pb2 as pb
from scoring.policies import (
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
from server.conversion.checks import Checks


def policy_of(message: pb.Policy, checks: Checks) -> Policy | None:
    """Reads a policy; None where a field is invalid, which the checks then have."""
    before = checks.count
    _check_rule(message, checks)
    if message.HasField("stickiness"):
        sticky = message.stickiness
        checks.name(sticky.previous_model, "policy.stickiness.previous_model")
        checks.number(_given(sticky, "margin"), "policy.stickiness.margin", least=0)
    return Policy(_rule(message), _stickiness(message)) if checks.count == before else None


def _check_rule(message: pb.Policy, checks: Checks) -> None:
    match message.WhichOneof("rule"):
        case "sample":
            field = "policy.sample.temperature"
            checks.number(_given(message.sample, "temperature"), field, least=0, above=True)
        case "budget":
            checks.number(_given(message.budget, "max_cost"), "policy.budget.max_cost", least=0)
        case "cost_penalty":
            field = "policy.cost_penalty.penalty"
            checks.number(_given(message.cost_penalty, "penalty"), field, least=0)
        case "threshold":
            _check_threshold(message.threshold, checks)
        case "random_confident":
            _check_random(message.random_confident, checks)
        case "first_confident":
            _check_first(message.first_confident, checks)
        case "nearest_confidence":
            _check_nearest(message.nearest_confidence, checks)


def _check_threshold(rule: pb.Policy.Threshold, checks: Checks) -> None:
    checks.name(rule.strong, "policy.threshold.strong")
    checks.name(rule.weak, "policy.threshold.weak")
    if rule.strong and rule.strong == rule.weak:
        checks.refuse("policy.threshold.weak", "is the strong model too; name another")
    checks.number(_given(rule, "threshold"), "policy.threshold.threshold")


def _check_random(rule: pb.Policy.RandomConfident, checks: Checks) -> None:
    checks.number(_given(rule, "confidence"), "policy.random_confident.confidence")
    if rule.HasField("among") and rule.among < 1:
        checks.refuse("policy.random_confident.among", "is 0; must be 1 or more, or absent")


def _check_first(rule: pb.Policy.FirstConfident, checks: Checks) -> None:
    field = "policy.first_confident"
    checks.number(_given(rule, "confidence"), f"{field}.confidence")
    checks.models(tuple(rule.preference), f"{field}.preference")
    if len(set(rule.preference)) < len(rule.preference):
        checks.refuse(f"{field}.preference", "names a model twice; name it once")


def _check_nearest(rule: pb.Policy.NearestConfidence, checks: Checks) -> None:
    field = "policy.nearest_confidence"
    checks.few(rule.weights, f"{field}.weights")
    for model, weight in sorted(rule.weights.items()):
        checks.name(model, f"{field}.weights")
        checks.number(weight, f"{field}.weights")
    checks.number(_given(rule, "intercept"), f"{field}.intercept")


def _given(message: Message, field: str) -> float | None:
    value: float = getattr(message, field)
    return value if message.HasField(field) else None


def _rule(message: pb.Policy) -> Rule:
    match message.WhichOneof("rule"):
        case "sample":
            sample = message.sample
            return Sample(sample.temperature, sample.seed if sample.HasField("seed") else None)
        case "budget":
            return Budget(message.budget.max_cost)
        case "cost_penalty":
            return CostPenalty(message.cost_penalty.penalty)
        case "threshold":
            rule = message.threshold
            return Threshold(rule.strong, rule.weak, rule.threshold)
        case "random_confident":
            return _random(message.random_confident)
        case "first_confident":
            first = message.first_confident
            return FirstConfident(first.confidence, tuple(first.preference))
        case "nearest_confidence":
            nearest = message.nearest_confidence
            return NearestConfidence(tuple(sorted(nearest.weights.items())), nearest.intercept)
        case _:
            return ArgMax()


def _random(rule: pb.Policy.RandomConfident) -> RandomConfident:
    return RandomConfident(
        rule.confidence,
        rule.among if rule.HasField("among") else 1,
        rule.seed if rule.HasField("seed") else None,
    )


def _stickiness(message: pb.Policy) -> Stickiness | None:
    if not message.HasField("stickiness"):
        return None
    return Stickiness(message.stickiness.previous_model, message.stickiness.margin)
