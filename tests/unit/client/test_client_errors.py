"""One exception for every failure, whatever its details."""

import pickle

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from pointsman.client import FieldError, PointsmanError

ANSWERS = {"a": "yes", "b": "no"}
INVALID = grpc.StatusCode.INVALID_ARGUMENT


async def fails(driver, **named):
    with pytest.raises(PointsmanError) as caught:
        await driver.call("score", "why?", ANSWERS, **named)
    return caught.value


def bad_request(*faults):
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=[violation(field=field, description=text) for field, text in faults]
    )


async def test_an_error_tells_reason_fields_and_when_to_retry(driver, fail, failure, rich_details):
    details = rich_details(
        error_details_pb2.ErrorInfo(reason="INVALID_REQUEST", domain="pointsman"),
        bad_request(("prompt", "Is empty."), ("generations[1].text", "Is empty.")),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=500000000)),
    )
    fail("ScoreGenerations", failure(INVALID, "Two fields are empty.", details))
    error = await fails(driver, request_id="r-1")
    assert error.code is INVALID
    assert error.message == "Two fields are empty."
    assert error.reason == "INVALID_REQUEST"
    assert error.fields == (
        FieldError("prompt", "Is empty."),
        FieldError("generations[1].text", "Is empty."),
    )
    assert error.retry_after == 1.5
    assert error.request_id == "r-1"
    assert isinstance(error.__cause__, grpc.RpcError)


async def test_an_error_reads_as_one_line(driver, fail, failure, rich_details):
    details = rich_details(
        error_details_pb2.ErrorInfo(reason="INVALID_REQUEST"), bad_request(("prompt", "Is empty."))
    )
    fail("ScoreGenerations", failure(INVALID, "A field is empty.", details))
    assert str(await fails(driver)) == (
        "INVALID_ARGUMENT (INVALID_REQUEST): A field is empty. [prompt: Is empty.]"
    )


async def test_a_message_that_names_its_fields_is_not_repeated(driver, fail, failure, rich_details):
    details = rich_details(bad_request(("prompt", "is empty")))
    fail("ScoreGenerations", failure(INVALID, "prompt: is empty", details))
    assert str(await fails(driver)) == "INVALID_ARGUMENT: prompt: is empty"


def damaged_detail():
    status = status_pb2.Status(code=3)
    status.details.add(
        type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff\xff\xff\xff"
    )
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="STILL_READ"))
    status.details.append(packed)
    return status.SerializeToString()


def foreign_detail():
    status = status_pb2.Status(code=3)
    status.details.add(type_url="type.googleapis.com/some.Other", value=b"\x01")
    return status.SerializeToString()


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (None, ""),
        (b"", ""),
        (b"\xff\xfe garbage", ""),
        (damaged_detail(), "STILL_READ"),
        (foreign_detail(), ""),
    ],
    ids=["absent", "empty", "garbage", "one damaged", "foreign"],
)
async def test_unreadable_details_cost_only_themselves(driver, fail, failure, details, reason):
    fail("ScoreGenerations", failure(INVALID, "It is invalid.", details))
    error = await fails(driver)
    assert (error.code, error.message, error.reason) == (INVALID, "It is invalid.", reason)
    assert (error.fields, error.retry_after) == ((), None)


async def test_a_failure_without_a_message_still_has_one(driver, fail, failure):
    fail("ScoreGenerations", failure(INVALID, ""))
    assert (await fails(driver)).message == "The call failed and no message says why."


async def test_a_call_that_the_server_reset_says_what_to_do(driver, fail, failure):
    fail("ScoreGenerations", failure(grpc.StatusCode.CANCELLED, "CANCELLED"))
    error = await fails(driver)
    assert error.code is grpc.StatusCode.CANCELLED
    assert "call again later" in error.message
    fail("ScoreGenerations", failure(grpc.StatusCode.CANCELLED, "Locally cancelled."))
    assert (await fails(driver)).message == "Locally cancelled."


async def test_no_server_is_unavailable(driver_kind, tmp_path):
    driver = driver_kind(f"unix:{tmp_path}/absent", retries=0)
    error = await fails(driver)
    await driver.close()
    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert len(error.request_id) == 32


@pytest.mark.parametrize("rpc", ["ListPools", "GetPool", "DeletePool", "RoutePrompt"])
async def test_every_call_raises_the_same_error(driver, fail, failure, rpc):
    method, arguments = {
        "ListPools": ("pools", ()),
        "GetPool": ("pool", ("p",)),
        "DeletePool": ("delete_pool", ("p",)),
        "RoutePrompt": ("route", ("why?",)),
    }[rpc]
    fail(rpc, failure(grpc.StatusCode.UNIMPLEMENTED, "Not yet."))
    with pytest.raises(PointsmanError, match=r"UNIMPLEMENTED: Not yet\.") as caught:
        await driver.call(method, *arguments, request_id="r-1")
    assert caught.value.request_id == "r-1"


def test_errors_survive_a_process_boundary():
    error = PointsmanError(
        "A field is empty.",
        code=INVALID,
        reason="INVALID_REQUEST",
        fields=(FieldError("prompt", "Is empty."),),
        retry_after=0.5,
        request_id="r-1",
    )
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)
