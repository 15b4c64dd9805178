"""ScoreGenerations over the wire: what a caller sends, and what comes back."""

import itertools
import struct
import time
import uuid

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2

from pointsman.v1 import scoring_service_pb2 as pb
from pointsman.v1 import scoring_service_pb2_grpc as rpc
from pointsman.v1 import types_pb2

METHOD = "/pointsman.v1.ScoringService/ScoreGenerations"
ANSWERS = {
    "good": "Water boils at 100 degrees Celsius at sea level.",
    "fine": "At sea level, water boils at 100 °C.",
    "also": "The boiling point of water at sea level is 100 degrees Celsius.",
    "bad": "Bananas are rich in potassium and grow in the tropics.",
}
_pools = itertools.count()


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.target) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return rpc.ScoringServiceStub(channel)


@pytest.fixture
def pool():
    return f"wire-{next(_pools)}"


def text_request(pool, **fields) -> pb.ScoreGenerationsRequest:
    return pb.ScoreGenerationsRequest(
        pool=pool,
        prompt=types_pb2.Prompt(text="At what temperature does water boil?"),
        generations=[pb.Generation(voter=voter, text=text) for voter, text in ANSWERS.items()],
        **fields,
    )


def vector(*coordinates: float) -> types_pb2.Vector:
    return types_pb2.Vector(float32_le=struct.pack(f"<{len(coordinates)}f", *coordinates))


def vector_request(pool, answers=((1, 0), (1.1, 0), (0.9, 0.1), (-3, 3)), prompt=(1, 0), **fields):
    return pb.ScoreGenerationsRequest(
        pool=pool,
        prompt=types_pb2.Prompt(vector=vector(*prompt)),
        generations=[
            pb.Generation(voter=f"v{index}", vector=vector(*answer))
            for index, answer in enumerate(answers)
        ],
        **fields,
    )


def error_of(call) -> tuple[grpc.StatusCode, str, list[str]]:
    """Returns the code, the reason and the invalid fields of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    metadata = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (info, bad):
            detail.Unpack(message)
    assert info.metadata["request_id"] == metadata["x-request-id"]
    return caught.value.code(), info.reason, [each.field for each in bad.field_violations]


def test_the_odd_one_out_is_last_and_the_reply_says_why(stub, pool):
    reply = stub.ScoreGenerations(text_request(pool))
    assert [score.voter for score in reply.scores] == list(ANSWERS)
    assert sorted(score.rank for score in reply.scores) == [1, 2, 3, 4]
    assert reply.scores[reply.best_index].rank == 1
    assert reply.scores[3].rank == 4
    assert reply.scores[3].noise_variance > reply.scores[0].noise_variance
    assert sum(score.weight for score in reply.scores) == pytest.approx(1)
    assert reply.margin >= 0
    assert 0 < reply.agreement < 1
    assert reply.estimator == pb.ESTIMATOR_SINGLE
    assert (reply.fallback.wanted, reply.fallback.reason) == (pb.ESTIMATOR_LOCAL, "POOL_EMPTY")
    assert reply.neighbours_used == 1
    assert reply.encoder_revision
    assert reply.max_tokens == 256
    assert not reply.HasField("learned")


def test_the_reply_says_where_the_time_went(stub, pool):
    request = text_request(pool)
    request.prompt.text = f"A prompt that nobody sent before, {uuid.uuid4()}."
    timings = stub.ScoreGenerations(request).timings
    assert timings.encode_us > 0
    assert timings.total_us >= timings.encode_us


def test_what_was_learned_is_recalled_at_once(stub, pool):
    for count in range(1, 4):
        reply = stub.ScoreGenerations(text_request(pool, learn=True))
        assert reply.learned.durability == types_pb2.DURABILITY_PROCESS
        assert reply.learned.sample_id
        assert reply.neighbours_used == count
    reply = stub.ScoreGenerations(text_request(pool, estimator=pb.ESTIMATOR_GLOBAL))
    assert (reply.estimator, reply.neighbours_used) == (pb.ESTIMATOR_GLOBAL, 4)
    reply = stub.ScoreGenerations(text_request(pool, neighbours=2))
    assert (reply.estimator, reply.neighbours_used) == (pb.ESTIMATOR_LOCAL, 2)
    assert reply.pool_revision == 3
    assert [voter.samples_used for voter in reply.voters] == [2] * 4


def test_a_sample_is_learned_once_however_often_it_is_sent(stub, pool):
    first = stub.ScoreGenerations(text_request(pool, learn=True, sample_id="s"))
    second = stub.ScoreGenerations(text_request(pool, learn=True, sample_id="s"))
    assert (first.learned.sample_id, first.learned.reason) == ("s", "")
    assert (second.learned.sample_id, second.learned.reason) == ("s", "SAMPLE_EXISTS")
    assert second.learned.durability == types_pb2.DURABILITY_PROCESS
    assert stub.ScoreGenerations(text_request(pool)).pool_revision == 1


def test_vectors_as_floats_and_as_bytes_are_the_same(stub, pool):
    packed = vector_request(pool)
    floats = vector_request(pool)
    for message in (floats.prompt, *floats.generations):
        values = np.frombuffer(message.vector.float32_le, "<f4")
        message.vector.CopyFrom(types_pb2.Vector(values=values))
    replies = [stub.ScoreGenerations(each) for each in (packed, floats)]
    for reply in replies:
        reply.ClearField("timings")
    assert replies[0] == replies[1]
    assert replies[0].encoder_revision == ""
    assert replies[0].max_tokens == 0


def test_several_samples_of_a_voter_stand_in_for_neighbours(stub, pool):
    request = vector_request(pool)
    for generation in list(request.generations):
        request.generations.append(generation)
    reply = stub.ScoreGenerations(request)
    assert reply.estimator == pb.ESTIMATOR_SAMPLES
    assert len(reply.scores) == 8
    assert [voter.generations for voter in reply.voters] == [2] * 4
    assert sorted(score.rank for score in reply.scores) == list(range(1, 9))
    assert sum(score.weight for score in reply.scores) == pytest.approx(1)


@pytest.mark.parametrize("voters", [1, 2])
def test_too_few_voters_still_get_an_answer(stub, pool, voters):
    reply = stub.ScoreGenerations(vector_request(pool, answers=((1, 0), (0, 1))[:voters]))
    assert reply.best_index == 0
    assert reply.fallback.reason == "TOO_FEW_VOTERS"
    assert not reply.scores[0].HasField("noise_variance")
    assert sum(score.weight for score in reply.scores) == pytest.approx(1)


def test_identical_answers_tie(stub, pool):
    reply = stub.ScoreGenerations(vector_request(pool, answers=((1, 0),) * 4))
    assert list(reply.tied) == [0, 1, 2, 3]
    assert reply.margin == 0
    assert reply.agreement == pytest.approx(1)
    assert [score.weight for score in reply.scores] == pytest.approx([0.25] * 4)


def test_a_long_text_is_said_to_be_truncated(stub, pool):
    request = text_request(pool)
    request.generations[1].text = "word " * 1000
    reply = stub.ScoreGenerations(request)
    assert [score.truncated for score in reply.scores] == [False, True, False, False]
    assert not reply.prompt_truncated


def test_prompt_and_answer_may_be_embedded_together_and_the_pool_keeps_it(stub, pool):
    joined = pb.EMBEDDING_PROMPT_AND_GENERATION
    stub.ScoreGenerations(text_request(pool, learn=True, embedding=joined))
    reply = stub.ScoreGenerations(text_request(pool))
    assert reply.neighbours_used == 2
    code, reason, _ = error_of(
        lambda: stub.ScoreGenerations(text_request(pool, embedding=pb.EMBEDDING_GENERATION))
    )
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH")


def test_a_pool_keeps_to_its_space(stub, pool):
    stub.ScoreGenerations(vector_request(pool, learn=True))
    for other in (
        text_request(pool),
        vector_request(pool, embedding_space="another"),
        vector_request(pool, answers=((1, 0, 0),) * 3, prompt=(1, 0, 0)),
    ):
        code, reason, _ = error_of(lambda other=other: stub.ScoreGenerations(other))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH")


def bad(pool, change):
    request = text_request(pool)
    change(request)
    return request


BAD_TEXT = {
    "no prompt": (lambda r: r.ClearField("prompt"), ["prompt"]),
    "no generations": (lambda r: r.ClearField("generations"), ["generations"]),
    "an empty generation": (lambda r: r.generations[1].ClearField("text"), ["generations[1]"]),
    "no voter": (lambda r: r.generations[2].ClearField("voter"), ["generations[2].voter"]),
    "a long voter": (
        lambda r: setattr(r.generations[0], "voter", "v" * 300),
        ["generations[0].voter"],
    ),
    "a voter with a newline": (
        lambda r: setattr(r.generations[0], "voter", "a\nb"),
        ["generations[0].voter"],
    ),
    "a bad pool": (lambda r: setattr(r, "pool", "no pool!"), ["pool"]),
    "zero neighbours": (lambda r: setattr(r, "neighbours", 0), ["neighbours"]),
    "too many neighbours": (lambda r: setattr(r, "neighbours", 4_000_000_000), ["neighbours"]),
    "an unknown estimator": (lambda r: setattr(r, "estimator", 99), ["estimator"]),
    "an unknown embedding": (lambda r: setattr(r, "embedding", -1), ["embedding"]),
    "a vector among texts": (
        lambda r: r.generations[1].vector.CopyFrom(vector(1, 2)),
        ["generations[1].vector"],
    ),
    "a space with texts": (lambda r: setattr(r, "embedding_space", "e"), ["embedding_space"]),
    "too long a text": (
        lambda r: setattr(r.generations[3], "text", "x" * 300_000),
        ["generations[3].text"],
    ),
    "too many generations": (
        lambda r: r.generations.extend([r.generations[0]] * 64),
        ["generations"],
    ),
    "several at once": (
        lambda r: (setattr(r, "pool", "!"), setattr(r, "neighbours", 0)),
        ["pool", "neighbours"],
    ),
}
BAD_VECTORS = {
    "NaN": (
        lambda r: r.generations[1].vector.CopyFrom(vector(float("nan"), 0)),
        ["generations[1].vector"],
    ),
    "infinity": (lambda r: r.prompt.vector.CopyFrom(vector(float("inf"), 0)), ["prompt.vector"]),
    "another dimension": (
        lambda r: r.generations[1].vector.CopyFrom(vector(1)),
        ["generations[1].vector"],
    ),
    "no coordinates": (
        lambda r: r.generations[1].vector.CopyFrom(types_pb2.Vector()),
        ["generations[1].vector"],
    ),
    "half a float": (
        lambda r: setattr(r.generations[1].vector, "float32_le", b"abc"),
        ["generations[1].vector"],
    ),
    "both forms": (lambda r: r.generations[1].vector.values.append(1), ["generations[1].vector"]),
    "too many coordinates": (
        lambda r: r.prompt.vector.CopyFrom(vector(*[0.0] * 10_000)),
        ["prompt.vector"],
    ),
    "a text among vectors": (
        lambda r: setattr(r.generations[0], "text", "hi"),
        ["generations[0].text"],
    ),
    "joining vectors": (
        lambda r: setattr(r, "embedding", pb.EMBEDDING_PROMPT_AND_GENERATION),
        ["embedding"],
    ),
    "overflowing distances": (
        lambda r: r.generations[1].vector.CopyFrom(vector(3e38, 3e38)),
        ["generations[1].vector"],
    ),
}


@pytest.mark.parametrize(("change", "fields"), BAD_TEXT.values(), ids=BAD_TEXT)
def test_a_bad_text_request_is_refused_by_field(stub, pool, change, fields):
    request = text_request(pool)
    change(request)
    code, reason, named = error_of(lambda: stub.ScoreGenerations(request))
    assert (code, reason, named) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", fields)


@pytest.mark.parametrize(("change", "fields"), BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_a_bad_vector_request_is_refused_by_field(stub, pool, change, fields):
    request = vector_request(pool)
    change(request)
    code, _, named = error_of(lambda: stub.ScoreGenerations(request))
    assert (code, named) == (grpc.StatusCode.INVALID_ARGUMENT, fields)


def test_a_request_that_is_wrong_all_over_still_gets_its_own_code(stub, pool):
    request = text_request(pool)
    request.ClearField("generations")
    request.generations.extend([pb.Generation(voter="v" * 256, vector=vector(1))] * 64)
    code, reason, named = error_of(lambda: stub.ScoreGenerations(request))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert len(named) == 16


def test_bytes_that_are_no_message_are_refused(channel):
    call = channel.unary_unary(METHOD, lambda raw: raw, pb.ScoreGenerationsResponse.FromString)
    invalid_utf8 = b"\x0a\x02\xff\xfe"
    for raw in (invalid_utf8, b"\x0a\x7f", b"\xff" * 20):
        code, reason, _ = error_of(lambda raw=raw: call(raw))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


def test_a_message_within_the_limit_is_read(stub, pool):
    request = text_request(pool)
    for generation in request.generations:
        generation.text = "x" * 1_500_000  # 6 MB in all, over gRPC's own limit of 4
    code, _, named = error_of(lambda: stub.ScoreGenerations(request))
    assert (code, len(named)) == (grpc.StatusCode.INVALID_ARGUMENT, 4)


def test_a_message_over_the_limit_is_refused(channel):
    call = channel.unary_unary(METHOD, lambda raw: raw, pb.ScoreGenerationsResponse.FromString)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\x00" * (9 * 1024 * 1024))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_expired_deadline_is_said_to_be(stub, pool):
    request = text_request(pool)
    # A text that is cached is answered before anybody looks at the clock.
    request.prompt.text = f"{time.time_ns()} " + "What is late? " * 100
    with pytest.raises(grpc.RpcError) as caught:
        stub.ScoreGenerations(request, timeout=1e-6)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.ScoreGenerations(text_request(pool)).scores


def test_the_callers_request_id_comes_back_with_an_error(stub, pool):
    metadata = (("x-request-id", "mine-7"),)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ScoreGenerations(text_request(pool, neighbours=0), metadata=metadata)
    assert dict(caught.value.trailing_metadata())["x-request-id"] == "mine-7"
    _, call = stub.ScoreGenerations.with_call(text_request(pool), metadata=metadata)
    assert not call.trailing_metadata()


def test_a_stream_answers_every_item_and_a_bad_one_fails_alone(stub, pool):
    items = [
        pb.ScoreGenerationsStreamRequest(id=index, request=vector_request(pool))
        for index in range(100)
    ]
    items[7].request.ClearField("generations")
    items[8].ClearField("request")
    replies = {reply.id: reply for reply in stub.ScoreGenerationsStream(iter(items))}
    assert sorted(replies) == list(range(100))
    failed = {index for index, reply in replies.items() if reply.HasField("error")}
    assert failed == {7, 8}
    assert replies[7].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert replies[7].error.field_violations[0].field == "generations"
    unary = stub.ScoreGenerations(items[0].request)
    assert replies[0].response.scores == unary.scores


def test_a_malformed_item_ends_the_stream_with_its_status(channel, stub, pool):
    call = channel.stream_stream(
        METHOD + "Stream", lambda raw: raw, pb.ScoreGenerationsStreamResponse.FromString
    )
    code, reason, _ = error_of(lambda: list(call(iter([b"\xff\xff"]))))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert stub.ScoreGenerations(vector_request(pool)).scores


def test_a_stream_that_is_left_early_leaves_the_server_well(stub, pool):
    item = pb.ScoreGenerationsStreamRequest(request=vector_request(pool))
    call = stub.ScoreGenerationsStream(itertools.repeat(item, 1000))
    next(call)
    call.cancel()
    assert stub.ScoreGenerations(vector_request(pool)).scores
