"""RoutePrompt over the wire: what a caller sends, and what comes back."""

import itertools
import math
import uuid

import grpc
import pytest

from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from pointsman.v1 import scoring_service_pb2 as scoring_pb
from pointsman.v1 import scoring_service_pb2_grpc as scoring_rpc
from pointsman.v1 import types_pb2
from tests.homed_router import HOMES, vector_of
from tests.wire.test_scoring import error_of, text_request, vector, vector_request

METHOD = "/pointsman.v1.RoutingService/RoutePrompt"
INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNMET = grpc.StatusCode.FAILED_PRECONDITION
_pools = itertools.count()


@pytest.fixture
def stub(routing_channel):
    return rpc.RoutingServiceStub(routing_channel)


@pytest.fixture
def scoring(routing_channel):
    return scoring_rpc.ScoringServiceStub(routing_channel)


def text(words="cat", **fields) -> pb.RoutePromptRequest:
    return pb.RoutePromptRequest(prompt=types_pb2.Prompt(text=words), **fields)


def at(coordinates, **fields) -> pb.RoutePromptRequest:
    return pb.RoutePromptRequest(prompt=types_pb2.Prompt(vector=vector(*coordinates)), **fields)


def names(reply) -> list[str]:
    return [each.model for each in reply.ranking]


@pytest.mark.parametrize(("model", "word"), HOMES.items())
def test_the_model_that_is_at_home_with_a_prompt_is_called(stub, model, word):
    reply = stub.RoutePrompt(text(word))
    scores = [each.score for each in reply.ranking]
    probabilities = [each.probability for each in reply.ranking]
    assert reply.model == reply.ranking[0].model == model
    assert sorted(names(reply)) == sorted(HOMES)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1, abs=1e-6)
    assert reply.margin == pytest.approx(scores[0] - scores[1])
    exponentials = [math.exp(score / 0.1) for score in scores]
    assert probabilities == pytest.approx([each / sum(exponentials) for each in exponentials])
    assert reply.entropy == pytest.approx(-sum(p * math.log(p) for p in probabilities))
    assert {each.model: each.cost for each in reply.ranking}["canine"] == 5
    assert (reply.router, len(reply.router_revision)) == ("main", 16)
    assert not reply.abstained
    assert not reply.HasField("fallback")
    assert (reply.neighbours_used, reply.voters_used) == (0, 0)


def test_the_reply_says_where_the_time_went(stub):
    timings = stub.RoutePrompt(text(f"A prompt that nobody sent before, {uuid.uuid4()}.")).timings
    assert timings.encode_us > 0
    assert timings.estimate_us > 0
    assert timings.total_us >= timings.encode_us + timings.estimate_us


def test_what_a_router_does_not_know_is_absent(stub):
    reply = stub.RoutePrompt(text(router="plain"))
    assert not reply.HasField("entropy")
    assert not reply.ranking[0].HasField("probability")
    assert not reply.ranking[0].HasField("cost")
    assert reply.HasField("margin")


def test_only_candidates_that_are_not_denied_may_be_chosen(stub):
    reply = stub.RoutePrompt(text(candidates=["carpet", "canine"]))
    assert set(names(reply)) == {"carpet", "canine"}
    assert sum(each.probability for each in reply.ranking) == pytest.approx(1)
    reply = stub.RoutePrompt(text(denied=["feline", "who-is-this"]))
    assert set(names(reply)) == {"carpet", "canine"}
    reply = stub.RoutePrompt(text(candidates=["feline", "carpet"], denied=["feline"]))
    assert names(reply) == ["carpet"]
    assert reply.model == "carpet"
    assert not reply.HasField("margin")
    assert reply.entropy == 0


def test_a_vector_of_the_routers_space_gives_what_its_text_gives(stub, routers_folder):
    revision = stub.RoutePrompt(text()).router_revision
    space = f"encoder/{encoder_revision(routers_folder)}"
    vectors = vector_of(routers_folder / "main", "the cat sat").tolist()
    by_vector = stub.RoutePrompt(at(vectors, embedding_space=space))
    by_text = stub.RoutePrompt(text("the cat sat"))
    assert by_vector.ranking == by_text.ranking
    assert by_vector.router_revision == revision
    assert by_vector.timings.encode_us == 0


def encoder_revision(folder) -> str:
    from encoders.artefact.bundle import Artefact

    return Artefact.load(folder / "main").manifest.encoder.revision


def test_a_vector_of_another_space_is_refused(stub, routers_folder):
    space = f"encoder/{encoder_revision(routers_folder)}"
    for request in (at([1.0] * 6), at([1.0] * 6, embedding_space="mine")):
        code, reason, _ = error_of(lambda request=request: stub.RoutePrompt(request))
        assert (code, reason) == (UNMET, "EMBEDDING_SPACE_MISMATCH")
    code, _, fields = error_of(lambda: stub.RoutePrompt(at([1.0], embedding_space=space)))
    assert (code, fields) == (INVALID, ["prompt.vector"])


def policy(**fields) -> pb.Policy:
    return pb.Policy(**fields)


POLICIES = {
    "argmax": (policy(arg_max=pb.Policy.ArgMax()), "feline"),
    "budget": (policy(budget=pb.Policy.Budget(max_cost=0.7)), "carpet"),
    "no penalty": (policy(cost_penalty=pb.Policy.CostPenalty(penalty=0)), "feline"),
    "a penalty": (policy(cost_penalty=pb.Policy.CostPenalty(penalty=100)), "carpet"),
    "a lead that reaches": (
        policy(threshold=pb.Policy.Threshold(strong="feline", weak="canine", threshold=0.01)),
        "feline",
    ),
    "a lead that does not": (
        policy(threshold=pb.Policy.Threshold(strong="feline", weak="canine", threshold=3)),
        "canine",
    ),
    "sticking": (
        policy(stickiness=pb.Policy.Stickiness(previous_model="canine", margin=3)),
        "canine",
    ),
    "not sticking": (
        policy(stickiness=pb.Policy.Stickiness(previous_model="canine", margin=0)),
        "feline",
    ),
    "sticking to nobody": (
        policy(stickiness=pb.Policy.Stickiness(previous_model="retired", margin=3)),
        "feline",
    ),
    "all confident": (
        policy(first_confident=pb.Policy.FirstConfident(confidence=-3, preference=["canine"])),
        "canine",
    ),
    "the cheapest of the confident": (
        policy(first_confident=pb.Policy.FirstConfident(confidence=-3)),
        "carpet",
    ),
    "the least near": (
        policy(random_confident=pb.Policy.RandomConfident(confidence=3)),
        "feline",
    ),
    "near to a lot": (
        policy(nearest_confidence=pb.Policy.NearestConfidence(intercept=9)),
        "feline",
    ),
    "cold": (policy(sample=pb.Policy.Sample(temperature=1e-6)), "feline"),
}


@pytest.mark.parametrize(("chosen_by", "model"), POLICIES.values(), ids=POLICIES)
def test_a_policy_chooses_and_the_ranking_stays(stub, chosen_by, model):
    reply = stub.RoutePrompt(text(policy=chosen_by))
    assert reply.model == model
    assert reply.ranking == stub.RoutePrompt(text()).ranking


def test_a_policy_that_nobody_is_confident_for_says_so(stub):
    rule = pb.Policy.RandomConfident(confidence=3)
    reply = stub.RoutePrompt(text(policy=policy(random_confident=rule)))
    assert (reply.fallback.reason, reply.abstained) == ("NOT_CONFIDENT", False)
    assert "No model is confident" in reply.fallback.message
    rule.confidence = -3
    drawn = {
        stub.RoutePrompt(
            text(
                policy=policy(random_confident=pb.Policy.RandomConfident(confidence=-3, seed=seed))
            )
        ).model
        for seed in range(20)
    }
    assert drawn == {"feline", "canine", "carpet"}


def test_a_seeded_draw_is_repeatable_and_draws_differ(stub):
    def draw(seed):
        sample = pb.Policy.Sample(temperature=10, seed=seed)
        return stub.RoutePrompt(text(policy=policy(sample=sample))).model

    drawn = [draw(seed) for seed in range(20)]
    assert drawn == [draw(seed) for seed in range(20)]
    assert set(drawn) == set(HOMES)


def test_what_no_policy_can_choose_is_refused(stub):
    budget = policy(budget=pb.Policy.Budget(max_cost=0.1))
    for request, reason, fields in (
        (text(policy=budget), "NO_CANDIDATE", ["policy.budget.max_cost"]),
        (text(denied=list(HOMES)), "NO_CANDIDATE", ["denied"]),
        (text(router="plain", policy=budget), "COSTS_UNKNOWN", []),
    ):
        code, found, named = error_of(lambda request=request: stub.RoutePrompt(request))
        assert (code, found, named) == (UNMET, reason, fields)


def test_a_router_that_is_not_sure_abstains_and_says_why(stub):
    reply = stub.RoutePrompt(text("the", router="improbable"))
    assert (reply.model, reply.abstained) == ("person", True)
    assert reply.fallback.reason == "LOW_PROBABILITY"
    assert set(names(reply)) == set(HOMES)
    reply = stub.RoutePrompt(text(router="close"))
    assert (reply.model, reply.abstained) == ("carpet", True)
    assert reply.fallback.reason == "LOW_MARGIN"


def test_a_fallback_that_is_not_allowed_is_not_called(stub):
    for request in (
        text(router="close", denied=["carpet"]),
        text(router="close", candidates=["feline", "canine"]),
    ):
        reply = stub.RoutePrompt(request)
        assert (reply.model, reply.abstained) == ("feline", False)
        assert reply.fallback.reason == "FALLBACK_NOT_ALLOWED"


def test_one_candidate_is_no_reason_to_abstain(stub):
    reply = stub.RoutePrompt(text(router="close", candidates=["feline"]))
    assert (reply.model, reply.abstained) == ("feline", False)


def test_a_router_without_labels_learns_from_scored_answers(stub, scoring):
    for index in range(6):
        request = text_request("free", learn=True, sample_id=f"s{index}")
        scoring.ScoreGenerations(request)
    reply = stub.RoutePrompt(text("At what temperature does water boil?", router="free"))
    assert set(names(reply)) == {"good", "fine", "also", "bad"}
    assert names(reply)[-1] == "bad"
    assert reply.model == names(reply)[0]
    assert (reply.neighbours_used, reply.voters_used) == (6, 4)
    assert reply.router_revision == "6"
    assert not reply.HasField("fallback")
    assert not reply.HasField("entropy")


def test_a_pool_of_vectors_is_routed_by_vectors_of_its_space(stub, scoring):
    for index in range(2):
        scoring.ScoreGenerations(vector_request("own", learn=True, prompt=(index, 1)))
    reply = stub.RoutePrompt(at((1, 0), router="own"))
    assert reply.ranking[-1].model == "v3"
    assert reply.fallback.reason == "FEW_NEIGHBOURS"
    assert not reply.abstained
    for other in (
        text(router="own"),
        at((1, 0), router="own", embedding_space="another"),
        at((1, 0, 0), router="own"),
    ):
        code, reason, _ = error_of(lambda other=other: stub.RoutePrompt(other))
        assert (code, reason) == (UNMET, "EMBEDDING_SPACE_MISMATCH")


def test_a_candidate_that_a_pool_does_not_know_yet_is_left_out(stub, scoring):
    scoring.ScoreGenerations(vector_request("voted", learn=True))
    reply = stub.RoutePrompt(at((1, 0), router="voted", candidates=["v0", "v9"]))
    assert (reply.model, names(reply)) == ("v0", ["v0"])
    code, reason, _ = error_of(
        lambda: stub.RoutePrompt(at((1, 0), router="voted", candidates=["v8", "v9"]))
    )
    assert (code, reason) == (UNMET, "ROUTER_UNREADY")


def test_an_error_that_names_many_long_models_arrives_whole(stub, scoring):
    voters = [f"{number:02}{'模' * 84}" for number in range(20)]
    request = vector_request("wide", [(index, 1) for index in range(20)], learn=True)
    for voter, generation in zip(voters, request.generations, strict=True):
        generation.voter = voter
    scoring.ScoreGenerations(request)
    for strong in ("模" * 85, "unknown"):
        chosen_by = threshold(strong, voters[0])
        code, reason, fields = error_of(
            lambda chosen_by=chosen_by: stub.RoutePrompt(
                at((1, 0), router="wide", policy=chosen_by)
            )
        )
        assert (code, reason, fields) == (INVALID, "UNKNOWN_MODEL", ["policy.threshold.strong"])


def test_a_router_with_nothing_to_go_by_abstains_or_says_so(stub):
    reply = stub.RoutePrompt(text(router="hoping"))
    assert (reply.model, reply.abstained) == ("person", True)
    assert (reply.fallback.reason, reply.router_revision) == ("ROUTER_UNREADY", "0")
    assert names(reply) == []
    for request in (text(router="waiting"), text(router="hoping", denied=["person"])):
        code, reason, _ = error_of(lambda request=request: stub.RoutePrompt(request))
        assert (code, reason) == (UNMET, "ROUTER_UNREADY")


def test_the_default_server_routes_without_labels(server):
    with grpc.insecure_channel(server.target) as channel:
        scoring = scoring_rpc.ScoringServiceStub(channel)
        for _ in range(5):
            scoring.ScoreGenerations(text_request("default", learn=True))
        reply = rpc.RoutingServiceStub(channel).RoutePrompt(text("Does water boil?"))
    assert reply.router == "default"
    assert names(reply)[-1] == "bad"


def test_a_router_that_is_not_there_is_named_with_those_that_are(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.RoutePrompt(text(router="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "'nobody'" in caught.value.details()
    assert "main" in caught.value.details()


def threshold(strong, weak, value=0.0) -> pb.Policy:
    return policy(threshold=pb.Policy.Threshold(strong=strong, weak=weak, threshold=value))


NAN = float("nan")
BAD = {
    "no prompt": (pb.RoutePromptRequest(), ["prompt"]),
    "an empty vector": (at([]), ["prompt.vector"]),
    "NaN": (at([NAN]), ["prompt.vector"]),
    "too long a text": (text("x" * 10_001), ["prompt.text"]),
    "a space with a text": (text(embedding_space="e"), ["embedding_space"]),
    "a bad router": (text(router="no router!"), ["router"]),
    "an empty candidate": (text(candidates=["feline", ""]), ["candidates[1]"]),
    "an unknown candidate": (text(candidates=["feline", "x"]), ["candidates[1]"]),
    "too many candidates": (text(candidates=["feline"] * 17), ["candidates"]),
    "every candidate denied": (text(candidates=["feline"], denied=["feline", "x"]), ["denied"]),
    "a line separator": (text(candidates=["feline", "a\u2028b"]), ["candidates[1]"]),
    "letters turned round": (text(candidates=["feline", "a\u202eb"]), ["candidates[1]"]),
    "a blank at the end": (text(candidates=["feline", "feline "]), ["candidates[1]"]),
    "a long denied name": (text(denied=["x" * 300]), ["denied[0]"]),
    "too many denied": (text(denied=["x"] * 17), ["denied"]),
    "no temperature": (
        text(policy=policy(sample=pb.Policy.Sample())),
        ["policy.sample.temperature"],
    ),
    "no heat": (
        text(policy=policy(sample=pb.Policy.Sample(temperature=0))),
        ["policy.sample.temperature"],
    ),
    "endless heat": (
        text(policy=policy(sample=pb.Policy.Sample(temperature=math.inf))),
        ["policy.sample.temperature"],
    ),
    "no cost": (text(policy=policy(budget=pb.Policy.Budget())), ["policy.budget.max_cost"]),
    "a negative cost": (
        text(policy=policy(budget=pb.Policy.Budget(max_cost=-1))),
        ["policy.budget.max_cost"],
    ),
    "a NaN cost": (
        text(policy=policy(budget=pb.Policy.Budget(max_cost=NAN))),
        ["policy.budget.max_cost"],
    ),
    "no penalty": (
        text(policy=policy(cost_penalty=pb.Policy.CostPenalty())),
        ["policy.cost_penalty.penalty"],
    ),
    "no threshold": (
        text(policy=policy(threshold=pb.Policy.Threshold(strong="feline", weak="canine"))),
        ["policy.threshold.threshold"],
    ),
    "no confidence": (
        text(policy=policy(random_confident=pb.Policy.RandomConfident())),
        ["policy.random_confident.confidence"],
    ),
    "nobody to draw": (
        text(policy=policy(random_confident=pb.Policy.RandomConfident(confidence=0, among=0))),
        ["policy.random_confident.among"],
    ),
    "preferred twice": (
        text(policy=policy(first_confident=pb.Policy.FirstConfident(preference=["x", "", "x"]))),
        [
            "policy.first_confident.confidence",
            "policy.first_confident.preference[1]",
            "policy.first_confident.preference",
        ],
    ),
    "an unknown preference": (
        text(
            policy=policy(
                first_confident=pb.Policy.FirstConfident(confidence=0, preference=["feline", "x"])
            )
        ),
        ["policy.first_confident.preference[1]"],
    ),
    "an endless weight": (
        text(
            policy=policy(
                nearest_confidence=pb.Policy.NearestConfidence(weights={"feline": math.inf})
            )
        ),
        ["policy.nearest_confidence.weights", "policy.nearest_confidence.intercept"],
    ),
    "an unknown weight": (
        text(
            policy=policy(
                nearest_confidence=pb.Policy.NearestConfidence(weights={"x": 1}, intercept=0)
            )
        ),
        ["policy.nearest_confidence.weights"],
    ),
    "no strong": (text(policy=threshold("", "canine")), ["policy.threshold.strong"]),
    "the same twice": (text(policy=threshold("feline", "feline")), ["policy.threshold.weak"]),
    "an unknown strong": (text(policy=threshold("x", "canine")), ["policy.threshold.strong"]),
    "a denied weak": (
        text(policy=threshold("feline", "canine"), denied=["canine"]),
        ["policy.threshold.weak"],
    ),
    "no margin": (
        text(policy=policy(stickiness=pb.Policy.Stickiness(previous_model="feline"))),
        ["policy.stickiness.margin"],
    ),
    "a negative margin": (
        text(policy=policy(stickiness=pb.Policy.Stickiness(previous_model="x", margin=-1))),
        ["policy.stickiness.margin"],
    ),
    "nobody to stick to": (
        text(policy=policy(stickiness=pb.Policy.Stickiness(margin=1))),
        ["policy.stickiness.previous_model"],
    ),
    "several at once": (
        text(router="!", policy=policy(budget=pb.Policy.Budget())),
        ["router", "policy.budget.max_cost"],
    ),
}


@pytest.mark.parametrize(("request_", "fields"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_by_field(stub, request_, fields):
    code, _, named = error_of(lambda: stub.RoutePrompt(request_))
    assert (code, named) == (INVALID, fields)


def test_a_long_prompt_is_said_to_be_truncated(stub):
    assert not stub.RoutePrompt(text("cat")).prompt_truncated
    assert stub.RoutePrompt(text("cat " * 1000)).prompt_truncated


def test_a_stream_answers_every_item_and_a_bad_one_fails_alone(stub):
    items = [pb.RoutePromptStreamRequest(id=index, request=text()) for index in range(50)]
    items[7].request.ClearField("prompt")
    items[8].request.router = "nobody"
    replies = {reply.id: reply for reply in stub.RoutePromptStream(iter(items))}
    assert sorted(replies) == list(range(50))
    assert {index for index, reply in replies.items() if reply.HasField("error")} == {7, 8}
    assert replies[7].error.field_violations[0].field == "prompt"
    assert replies[8].error.reason == "ROUTER_NOT_FOUND"
    assert replies[9].response.ranking == stub.RoutePrompt(text()).ranking


def test_callers_who_give_up_harm_nobody(stub):
    for _ in range(5):
        given_up = [stub.RoutePrompt.future(text("the cat sat on the mat " * 200)) for _ in "abcd"]
        kept = [stub.RoutePrompt.future(text(word)) for word in HOMES.values()]
        for call in given_up:
            call.cancel()
        assert [call.result().model for call in kept] == list(HOMES)


def test_bytes_that_are_no_message_are_refused(routing_channel):
    call = routing_channel.unary_unary(METHOD, lambda raw: raw, pb.RoutePromptResponse.FromString)
    code, reason, _ = error_of(lambda: call(b"\x0a\x02\xff\xfe"))
    assert (code, reason) == (INVALID, "MALFORMED_MESSAGE")


def test_no_prompt_is_logged(stub, routing_server):
    stub.RoutePrompt(text("the-secret-prompt"))
    error_of(lambda: stub.RoutePrompt(text("the-secret-prompt", denied=list(HOMES))))
    error_of(lambda: stub.RoutePrompt(text("the-secret-prompt", router="waiting")))
    assert "NO_CANDIDATE" in routing_server.log.read_text()
    assert "the-secret" not in routing_server.log.read_text()


def test_scoring_is_as_it_was_beside_routing(scoring):
    reply = scoring.ScoreGenerations(text_request("beside"))
    assert reply.estimator == scoring_pb.ESTIMATOR_SINGLE
