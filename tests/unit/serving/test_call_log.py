"""Every call is counted, and logged as far as it is worth a line."""

import asyncio
import time
from datetime import datetime

import pytest
from structlog.testing import capture_logs

from server.call_log import CallLog, _Refusals
from server.calls import Call
from server.errors import OverloadedError
from server.logs import instant

CALL = Call("/pointsman.v1.RoutingService/RoutePrompt", "id-1", 0.0, None)


@pytest.fixture
def lines():
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def counted():
    return []


@pytest.fixture
def log(counted):
    return CallLog(lambda *call: counted.append(call), log_requests=True)


async def test_a_line_says_what_was_called_and_when_it_ended(log, lines):
    log.end(CALL, "OK", None)
    before = instant(time.time())
    log.write()
    (line,) = lines
    assert (line["request_id"], line["method"], line["code"]) == ("id-1", CALL.method, "OK")
    assert line["timestamp"] <= before


async def test_a_few_calls_are_told_together_after_their_replies(log, counted):
    for _ in range(4):
        log.end(CALL, "OK", None)
    assert not counted
    await asyncio.sleep(0)
    assert len(counted) == 4


async def test_one_call_is_told_soon_though_no_other_comes(log, counted):
    log.end(CALL, "OK", None)
    async with asyncio.timeout(30):
        while not counted:
            await asyncio.sleep(0.001)
    log.end(CALL, "OK", None)
    async with asyncio.timeout(30):
        while len(counted) < 2:
            await asyncio.sleep(0.001)


async def test_each_refusal_is_counted_and_one_is_logged(lines, counted):
    log = CallLog(lambda *call: counted.append(call), log_requests=False)
    for _ in range(3):
        log.end(CALL, "RESOURCE_EXHAUSTED", OverloadedError("full", retry_after=1.0))
    log.end(CALL, "CANCELLED", asyncio.CancelledError())
    log.end(CALL, "OK", None)
    log.write()
    assert len(counted) == 5
    assert [line["code"] for line in lines] == ["RESOURCE_EXHAUSTED", "CANCELLED"]


@pytest.mark.parametrize("at", [0.0, 1_750_000_000.5, 1_750_000_000.0])
def test_an_instant_can_be_read_back(at):
    told = datetime.fromisoformat(instant(at))
    assert told.timestamp() == at
    assert instant(at).endswith("Z")


def test_one_refusal_a_second_is_logged_with_how_many_were_not():
    refusals = _Refusals()
    found = [refusals.unlogged(now) for now in (10.0, 10.5, 10.99, 11.0, 11.5, 20.0, 21.5)]
    assert found == [0, None, None, 2, None, 1, 0]
