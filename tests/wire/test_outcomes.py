"""RecordOutcome over the wire, and the router that goes by outcomes."""

import grpc
import pytest

from pointsman.v1 import admin_service_pb2 as admin_pb
from pointsman.v1 import admin_service_pb2_grpc as admin_rpc
from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from pointsman.v1 import scoring_service_pb2_grpc as scoring_rpc
from pointsman.v1 import types_pb2
from tests.wire.test_scoring import error_of, text_request, vector, vector_request

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def stub(routing_channel):
    return rpc.RoutingServiceStub(routing_channel)


@pytest.fixture
def scoring(routing_channel):
    return scoring_rpc.ScoringServiceStub(routing_channel)


@pytest.fixture
def admin(routing_channel):
    return admin_rpc.AdminServiceStub(routing_channel)


def outcome(pool, words="What is tea?", **fields) -> pb.RecordOutcomeRequest:
    given = {"model": "good", "quality": 1.0, **fields}
    if "sample_id" not in given and "prompt" not in given:
        given["prompt"] = types_pb2.Prompt(text=words)
    return pb.RecordOutcomeRequest(pool=pool, **given)


def test_an_outcome_is_durable_and_counted_once(stub):
    first = stub.RecordOutcome(outcome("once", outcome_id="o"))
    assert first.recorded.durability == types_pb2.DURABILITY_PROCESS
    assert first.recorded.sample_id
    assert (first.outcome_id, first.recorded.reason) == ("o", "")
    again = stub.RecordOutcome(outcome("once", outcome_id="o", quality=0.0))
    assert again.recorded.durability == types_pb2.DURABILITY_PROCESS
    assert again.recorded.sample_id == first.recorded.sample_id
    assert (again.outcome_id, again.recorded.reason) == ("o", "OUTCOME_EXISTS")
    assert again.recorded.message


def test_an_outcome_without_a_name_gets_one_of_its_own(stub):
    made = {stub.RecordOutcome(outcome("unnamed")).outcome_id for _ in range(3)}
    assert len(made) == 3
    assert all(made)


def test_outcomes_of_a_learned_sample_and_of_its_prompt(stub, scoring):
    learned = scoring.ScoreGenerations(text_request("both", learn=True)).learned
    by_id = stub.RecordOutcome(outcome("both", sample_id=learned.sample_id))
    assert by_id.recorded.sample_id == learned.sample_id
    by_text = stub.RecordOutcome(outcome("both", "At what temperature does water boil?"))
    assert by_text.recorded.durability == types_pb2.DURABILITY_PROCESS


def test_outcomes_choose_the_model_of_the_prompts_nearby(stub):
    for words, winner, loser in (
        ("How do I sort a list in Python?", "coder", "poet"),
        ("Write a poem about the autumn moon.", "poet", "coder"),
    ):
        for model, quality in ((winner, 1.0), (loser, 0.0)):
            stub.RecordOutcome(outcome("judged", words, model=model, quality=quality))

    def routed(words):
        return stub.RoutePrompt(
            pb.RoutePromptRequest(router="judged", prompt=types_pb2.Prompt(text=words))
        )

    # Two prompts are recalled, so each of them must be near to others of its kind.
    for words, winner in (
        ("How do I reverse a list in Python?", "coder"),
        ("How do I sort a dict in Python?", "coder"),
        ("Write a poem about the winter moon.", "poet"),
        ("Write a poem about the autumn sun.", "poet"),
    ):
        stub.RecordOutcome(outcome("judged", words, model=winner, quality=1.0))
    python = routed("How do I sort a tuple in Python?")
    poem = routed("Write a poem about the summer moon.")
    assert (python.model, poem.model) == ("coder", "poet")
    assert python.neighbours_used >= 2
    assert [each.model for each in python.ranking] == ["coder", "poet"]


def test_a_sample_that_is_not_there_is_not_found(stub, scoring):
    scoring.ScoreGenerations(text_request("here", learn=True))
    for pool, reason in (("here", "SAMPLE_NOT_FOUND"), ("elsewhere", "POOL_NOT_FOUND")):
        request = outcome(pool, sample_id="never")
        code, found, _ = error_of(lambda request=request: stub.RecordOutcome(request))
        assert (code, found) == (grpc.StatusCode.NOT_FOUND, reason)


def test_a_pool_keeps_to_its_space(stub, scoring):
    scoring.ScoreGenerations(vector_request("spaced", learn=True))
    mine = types_pb2.Prompt(vector=vector(1, 0))
    assert stub.RecordOutcome(outcome("spaced", prompt=mine)).recorded.durability
    for other in (
        outcome("spaced"),
        outcome("spaced", prompt=mine, embedding_space="another"),
        outcome("spaced", prompt=types_pb2.Prompt(vector=vector(1, 0, 0))),
    ):
        code, reason, _ = error_of(lambda other=other: stub.RecordOutcome(other))
        assert (code, reason) == (
            grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH"
        )  # fmt: skip


def test_a_quality_just_beyond_is_shown_as_it_is(stub):
    with pytest.raises(grpc.RpcError, match=r"is 1\.0000001;"):
        stub.RecordOutcome(outcome("p", quality=1.0000001))


def test_a_pool_that_is_deleted_tells_what_went_with_it(stub, scoring, admin):
    scoring.ScoreGenerations(text_request("passing", learn=True))
    for number in range(3):
        stub.RecordOutcome(outcome("passing", outcome_id=str(number)))
    gone = admin.DeletePool(admin_pb.DeletePoolRequest(pool="passing"))
    assert (gone.samples, gone.outcomes) == (1, 3)


def test_an_outcome_makes_a_pool_that_answers_may_join(stub, scoring, admin):
    stub.RecordOutcome(outcome("begun"))
    space = admin.GetPool(admin_pb.GetPoolRequest(pool="begun")).pool.space
    scoring.ScoreGenerations(text_request("begun", learn=True))
    assert space.id.endswith("/generation")


def test_outcomes_move_with_their_pool(stub, scoring, admin):
    learned = scoring.ScoreGenerations(text_request("moving", learn=True)).learned
    stub.RecordOutcome(outcome("moving", sample_id=learned.sample_id, outcome_id="of-a-sample"))
    stub.RecordOutcome(outcome("moving", "Alone?", outcome_id="alone", quality=0.25))
    exported = list(admin.ExportSamples(admin_pb.ExportSamplesRequest(pool="moving")))
    assert [each.WhichOneof("item") for each in exported] == [
        "header", "sample", "outcome", "outcome"
    ]  # fmt: skip
    first, second = (each.outcome for each in exported[2:])
    assert (first.outcome_id, first.sample_id, first.quality) == (
        "of-a-sample", learned.sample_id, 1
    )  # fmt: skip
    assert first.prompt == exported[1].sample.prompt
    assert (second.outcome_id, second.model, second.quality) == ("alone", "good", 0.25)

    def moved():
        header = admin_pb.SamplesHeader(pool="moved-here", space=exported[0].header.space)
        yield admin_pb.ImportSamplesRequest(header=header)
        for each in exported[1:]:
            kind = each.WhichOneof("item")
            yield admin_pb.ImportSamplesRequest(**{kind: getattr(each, kind)})

    reply = admin.ImportSamples(moved())
    assert (reply.imported, reply.outcomes_imported, reply.outcomes_skipped) == (1, 2, 0)
    again = admin.ImportSamples(moved())
    assert (again.imported, again.outcomes_imported, again.outcomes_skipped) == (0, 0, 2)
    there = list(admin.ExportSamples(admin_pb.ExportSamplesRequest(pool="moved-here")))
    assert there[1:] == exported[1:]
    assert admin.GetPool(admin_pb.GetPoolRequest(pool="moved-here")).pool.outcomes == 2


NAN = float("nan")


def exported_outcome(**fields) -> admin_pb.Outcome:
    given = {"outcome_id": "o", "model": "m", "quality": 1.0, "prompt": vector(1, 0), **fields}
    return admin_pb.Outcome(**{name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"outcome_id": ""}, "outcome.outcome_id"),
        ({"model": ""}, "outcome.model"),
        ({"sample_id": "x" * 300}, "outcome.sample_id"),
        ({"quality": None}, "outcome.quality"),
        ({"quality": NAN}, "outcome.quality"),
        ({"prompt": None}, "outcome.prompt"),
        ({"prompt": vector(1, 0, 0)}, "outcome.prompt"),
        ({"record_time": {"seconds": -1}}, "outcome.record_time"),
    ],
)
def test_a_bad_outcome_of_an_import_is_refused_by_field(admin, fields, field):
    space = admin_pb.EmbeddingSpace(id="vectors/caller", dimension=2)
    items = [
        admin_pb.ImportSamplesRequest(header=admin_pb.SamplesHeader(pool="bad", space=space)),
        admin_pb.ImportSamplesRequest(outcome=exported_outcome(**fields)),
    ]
    code, _, named = error_of(lambda: admin.ImportSamples(iter(items)))
    assert (code, named) == (INVALID, [f"items[0].{field}"])


BAD = {
    "no subject": (pb.RecordOutcomeRequest(model="m", quality=1), ["subject"]),
    "an empty prompt": (outcome("p", prompt=types_pb2.Prompt()), ["prompt"]),
    "an empty sample": (outcome("p", sample_id=""), ["sample_id"]),
    "a space with a sample": (
        outcome("p", sample_id="s", embedding_space="e"),
        ["embedding_space"],
    ),
    "a space with a text": (outcome("p", embedding_space="e"), ["embedding_space"]),
    "no model": (outcome("p", model=""), ["model"]),
    "no quality": (
        pb.RecordOutcomeRequest(model="m", prompt=types_pb2.Prompt(text="t")),
        ["quality"],
    ),
    "too good": (outcome("p", quality=1.1), ["quality"]),
    "too bad": (outcome("p", quality=-0.1), ["quality"]),
    "NaN": (outcome("p", quality=NAN), ["quality"]),
    "a bad pool": (outcome("no pool!"), ["pool"]),
    "a long name": (outcome("p", outcome_id="x" * 300), ["outcome_id"]),
    "a bad vector": (outcome("p", prompt=types_pb2.Prompt(vector=vector(NAN))), ["prompt.vector"]),
    "several at once": (outcome("!", model="", quality=2), ["pool", "model", "quality"]),
}


@pytest.mark.parametrize(("request_", "fields"), BAD.values(), ids=BAD)
def test_a_bad_outcome_is_refused_by_field(stub, request_, fields):
    code, _, named = error_of(lambda: stub.RecordOutcome(request_))
    assert (code, named) == (INVALID, fields)
