"""Every error has one place in the table, and one form on the wire."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2

from encoders.errors import EncodersError
from pointsman.v1 import types_pb2
from scoring.errors import (
    InvalidArrayError,
    MemoryBusyError,
    NoCandidateError,
    ScoringError,
    UnknownModelError,
)
from server.errors import InvalidRequestError, OverloadedError, ServerError, Violation
from server.status import STATUS, code_of, item_error, message_of, rich_status

ROOT = Path(__file__).parents[3]
SAFE = "".join(chr(code) for code in range(32, 127) if chr(code) != "%")


def leaves(kind: type[Exception]) -> set[type[Exception]]:
    below = {leaf for child in kind.__subclasses__() for leaf in leaves(child)}
    return below or {kind}


def test_every_leaf_of_the_trees_is_in_the_table_and_nothing_else():
    assert leaves(ServerError) | leaves(ScoringError) | leaves(EncodersError) == set(STATUS)


def test_every_reason_is_its_own_and_on_the_page_of_errors():
    reasons = [error.reason for error in STATUS]
    assert len(set(reasons)) == len(reasons)
    page = (ROOT / "docs" / "errors.md").read_text()
    assert [reason for reason in reasons if f"`{reason}`" not in page] == []


def details_of(error: Exception) -> list[object]:
    status = rich_status(error, "id-1")
    found = []
    for packed in status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.RetryInfo,
        ):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found.append(message)
    return found


def test_a_bad_request_names_its_fields():
    error = InvalidRequestError([Violation("pool", "is bad"), Violation("prompt", "is empty")])
    info, bad = details_of(error)
    assert (info.reason, info.metadata["request_id"]) == ("INVALID_REQUEST", "id-1")
    assert [each.field for each in bad.field_violations] == ["pool", "prompt"]


def test_an_array_error_names_its_field():
    _, bad = details_of(InvalidArrayError("It is bad.", field="vectors"))
    assert bad.field_violations[0].field == "vectors"


@pytest.mark.parametrize(
    "error", [OverloadedError("Full.", retry_after=0.5), MemoryBusyError("Behind.")]
)
def test_what_passes_says_when_to_call_again(error):
    _, retry = details_of(error)
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    assert code_of(error) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_item_that_may_be_sent_again_says_when():
    assert item_error(OverloadedError("Full.", retry_after=0.5)).retry_delay.nanos == 5e8
    assert not item_error(InvalidRequestError([])).HasField("retry_delay")


def test_an_unexpected_error_keeps_its_text_to_itself():
    error = ValueError("the secret prompt")
    assert code_of(error) is grpc.StatusCode.INTERNAL
    assert "secret" not in message_of(error)
    assert "secret" not in str(rich_status(error, "x"))
    assert "secret" not in str(item_error(error))


@pytest.mark.parametrize(
    "error",
    [
        UnknownModelError("模" * 9000, field="policy.threshold.strong"),
        InvalidRequestError([Violation(f"candidates[{place}]", "模" * 900) for place in range(99)]),
        InvalidRequestError([Violation(f"candidates[{place}]", "a%" * 900) for place in range(99)]),
        NoCandidateError("x" * 9000, field="denied"),
    ],
)
def test_a_status_stays_well_below_what_metadata_may_have(error):
    status = rich_status(error, "x" * 36)
    message = quote(status.message, safe=SAFE)
    assert len(message) + len(b64encode(status.SerializeToString())) < 7000
    assert status.message.endswith(" ...")
    assert details_of(error)[1].field_violations[0].field == error_field(error)


def error_field(error: Exception) -> str:
    return getattr(error, "field", "candidates[0]")


def test_what_a_status_has_room_for_is_told_whole():
    bad = InvalidRequestError([Violation(f"candidates[{place}]", "x" * 100) for place in range(16)])
    assert details_of(bad)[1].field_violations[-1].description == "x" * 100
    assert len(details_of(bad)[1].field_violations) == 16
    assert message_of(UnknownModelError("模" * 100)) == "模" * 100


def test_an_item_error_says_what_the_status_says():
    error = InvalidRequestError([Violation("pool", "is bad")])
    assert item_error(error) == types_pb2.ItemError(
        code=3,
        reason="INVALID_REQUEST",
        message="pool: is bad",
        field_violations=[types_pb2.FieldViolation(field="pool", description="is bad")],
    )
