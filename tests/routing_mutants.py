"""Mutated requests to route and to record, for the fuzzer."""

import random
from collections.abc import Callable

from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import types_pb2
from tests.homed_router import HOMES

NAN, ENDLESS = float("nan"), float("inf")
_MODELS = list(HOMES)
Request = pb.RoutePromptRequest
Outcome = pb.RecordOutcomeRequest
Change = Callable[[Request, random.Random], object]


def good_route(rng: random.Random) -> Request:
    """A request that the router of `homed_router` must answer."""
    words = " ".join(rng.choice(("cat", "dog", "the", "zzz", "你", "!")) for _ in range(9))
    request = Request(prompt=types_pb2.Prompt(text=rng.choice((words, "", "x" * 5000))))
    for change in rng.sample(_HARMLESS, rng.randint(0, 3)):
        change(request, rng)
    return request


def bad_route(rng: random.Random) -> Request:
    """A request with at least one field that must be refused."""
    request = good_route(rng)
    rng.choice(_HARMFUL)(request, rng)
    return request


def good_outcome(rng: random.Random) -> Outcome:
    """An outcome that its pool must take; one that answers are scored into takes it too."""
    return Outcome(
        pool=rng.choice(("outcomes", "good-2")),
        prompt=types_pb2.Prompt(vector=types_pb2.Vector(values=[rng.random(), 1.0])),
        model=rng.choice(("a", "名", "a b/c:1", "v0", "v1", "v2")),
        quality=rng.choice((0.0, 1.0, 0.5, 5e-324)),
        outcome_id=rng.choice(("", "again", "x" * 200)),
    )


def bad_outcome(rng: random.Random) -> Outcome:
    """An outcome with a field that must be refused."""
    outcome = good_outcome(rng)
    rng.choice(_HARMFUL_TO_OUTCOMES)(outcome, rng)
    return outcome


def _text(name: str, *values: str) -> Callable[[object, random.Random], object]:
    return lambda message, rng: setattr(message, name, rng.choice(values))


def _policy(*policies: pb.Policy) -> Change:
    # Merged, for another change may have set what it sticks to.
    return lambda request, rng: request.policy.MergeFrom(rng.choice(policies))


def _bad_policy(*policies: pb.Policy) -> Change:
    return lambda request, rng: request.policy.CopyFrom(rng.choice(policies))


def _number(rule: type, field: str, *values: float | None) -> list[object]:
    return [rule() if value is None else rule(**{field: value}) for value in values]


_HARMLESS: list[Change] = [
    _text("router", "", "main"),
    lambda request, rng: request.candidates.extend(rng.sample(_MODELS, 2)),
    lambda request, rng: request.denied.extend(("nobody", rng.choice(("x", "名")))),
    _policy(
        pb.Policy(arg_max=pb.Policy.ArgMax()),
        pb.Policy(sample=pb.Policy.Sample(temperature=5e-324)),
        pb.Policy(sample=pb.Policy.Sample(temperature=1e308, seed=2**64 - 1)),
        pb.Policy(budget=pb.Policy.Budget(max_cost=1e308)),
        pb.Policy(cost_penalty=pb.Policy.CostPenalty(penalty=1e308)),
        pb.Policy(random_confident=pb.Policy.RandomConfident(confidence=1e308, among=2**32 - 1)),
        pb.Policy(random_confident=pb.Policy.RandomConfident(confidence=-1e308, seed=2**64 - 1)),
        pb.Policy(first_confident=pb.Policy.FirstConfident(confidence=0, preference=_MODELS)),
        pb.Policy(
            nearest_confidence=pb.Policy.NearestConfidence(
                weights=dict.fromkeys(_MODELS, 1e308), intercept=-1e308
            )
        ),
    ),
    _policy(
        pb.Policy(stickiness=pb.Policy.Stickiness(previous_model="retired", margin=0)),
        pb.Policy(stickiness=pb.Policy.Stickiness(previous_model="canine", margin=1e308)),
    ),
    lambda request, rng: request.MergeFromString(b"\xf8\x7f" + bytes([rng.randrange(128)])),
]
_HARMFUL: list[Change] = [
    _text("router", " ", "!", "é", "a" * 200),
    _text("embedding_space", "e", "x" * 300, "a\x00b"),
    lambda request, _: request.ClearField("prompt"),
    lambda request, _: request.prompt.vector.values.extend((1.0, NAN)),
    lambda request, rng: setattr(request.prompt.vector, "float32_le", rng.randbytes(7)),
    lambda request, rng: request.candidates.append(rng.choice(("", "x" * 300, "a\n", "who"))),
    lambda request, rng: request.denied.append(rng.choice(("", "x" * 300, "\x07"))),
    lambda request, _: request.denied.extend(["x"] * 1025),
    _bad_policy(
        *(pb.Policy(sample=each) for each in _number(
            pb.Policy.Sample, "temperature", None, 0.0, -1.0, NAN, ENDLESS
        )),
        *(pb.Policy(budget=each) for each in _number(
            pb.Policy.Budget, "max_cost", None, -1.0, NAN, ENDLESS
        )),
        *(pb.Policy(cost_penalty=each) for each in _number(
            pb.Policy.CostPenalty, "penalty", None, -1.0, NAN, ENDLESS
        )),
        *(pb.Policy(random_confident=each) for each in _number(
            pb.Policy.RandomConfident, "confidence", None, NAN, ENDLESS
        )),
        *(pb.Policy(first_confident=each) for each in _number(
            pb.Policy.FirstConfident, "confidence", None, NAN, ENDLESS
        )),
        *(pb.Policy(nearest_confidence=each) for each in _number(
            pb.Policy.NearestConfidence, "intercept", None, NAN, ENDLESS
        )),
        pb.Policy(random_confident=pb.Policy.RandomConfident(confidence=0, among=0)),
    ),
    lambda request, rng: request.policy.first_confident.CopyFrom(
        pb.Policy.FirstConfident(
            confidence=0, preference=rng.choice((["feline"] * 2, ["who"], [""], ["a"] * 1025))
        )
    ),
    lambda request, rng: request.policy.nearest_confidence.CopyFrom(
        pb.Policy.NearestConfidence(
            weights=rng.choice(({"who": 1.0}, {"": 1.0}, {"feline": NAN})), intercept=0
        )
    ),
    lambda request, rng: request.policy.threshold.CopyFrom(
        pb.Policy.Threshold(
            strong=rng.choice(("", "who", "feline")), weak="feline", threshold=rng.choice((0, NAN))
        )
    ),
    lambda request, rng: request.policy.stickiness.CopyFrom(
        pb.Policy.Stickiness(previous_model="feline", margin=rng.choice((-1, NAN, ENDLESS)))
    ),
]  # fmt: skip
_HARMFUL_TO_OUTCOMES: list[Callable[[Outcome, random.Random], object]] = [
    _text("pool", " ", "é", "a" * 200),
    _text("model", "", "x" * 300, "a\n"),
    _text("outcome_id", "x" * 300, "\x00"),
    _text("embedding_space", "x" * 300),
    _text("sample_id", "", "x" * 300, "\x07"),
    lambda outcome, _: outcome.ClearField("quality"),
    lambda outcome, rng: setattr(outcome, "quality", rng.choice((-5e-324, 1.0001, NAN, ENDLESS))),
    lambda outcome, _: outcome.ClearField("prompt"),
    lambda outcome, _: outcome.prompt.vector.values.append(NAN),
]
