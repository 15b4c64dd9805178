"""Which failures are tried again, what stays the same in between, and deadlines."""

import asyncio

import grpc
import pytest

from pointsman.client import EmbeddingSpace, PointsmanError, RouteRequest, ScoreRequest

ANSWERS = {"a": "yes", "b": "no"}
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_unavailable_is_tried_again_with_the_same_sample(driver, fake, fail, failure):
    fail("ScoreGenerations", failure(UNAVAILABLE), failure(UNAVAILABLE))
    result = await driver.call("score", "why?", ANSWERS, learn=True)
    sent = [each.sample_id for each in fake.requests("ScoreGenerations")]
    assert sent == [result.learned.sample_id] * 3
    ids = {each["x-request-id"] for each in fake.metadata("ScoreGenerations")}
    assert ids == {result.request_id}


async def test_an_outcome_is_tried_again_under_the_same_name(driver, fake, fail, failure):
    fail("RecordOutcome", failure(UNAVAILABLE))
    await driver.call("record_outcome", 0.5, model="a", sample_id="s-1")
    first, second = fake.requests("RecordOutcome")
    assert first == second
    assert first.outcome_id


async def test_attempts_are_bounded(served, driver_kind, fake, fail, failure):
    driver = driver_kind(served.unix, retries=1)
    fail("ScoreGenerations", *[failure(UNAVAILABLE)] * 5)
    with pytest.raises(PointsmanError, match="UNAVAILABLE"):
        await driver.call("score", "why?", ANSWERS)
    await driver.close()
    assert len(fake.attempts) == 2


async def test_no_retries_means_one_attempt(served, driver_kind, fake, fail, failure):
    driver = driver_kind(served.unix, retries=0)
    fail("ScoreGenerations", failure(UNAVAILABLE))
    with pytest.raises(PointsmanError, match="UNAVAILABLE"):
        await driver.call("score", "why?", ANSWERS)
    await driver.close()
    assert len(fake.attempts) == 1


@pytest.mark.parametrize(
    "code",
    [
        each
        for each in grpc.StatusCode
        if each not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    ],
    ids=lambda code: code.name,
)
async def test_nothing_else_is_tried_again(driver, fake, fail, failure, code):
    fail("ScoreGenerations", failure(code))
    with pytest.raises(PointsmanError) as caught:
        await driver.call("score", "why?", ANSWERS)
    assert caught.value.code is code
    assert len(fake.attempts) == 1


async def test_a_deletion_is_never_tried_again(driver, fake, fail, failure):
    fail("DeletePool", failure(UNAVAILABLE))
    with pytest.raises(PointsmanError, match="UNAVAILABLE"):
        await driver.call("delete_pool", "p")
    assert len(fake.attempts) == 1


async def test_a_large_request_is_tried_again_too(driver, fake, fail, failure):
    fail("ScoreGenerations", failure(UNAVAILABLE))
    await driver.call("score", "why?", {"a": "x" * 1_000_000, "b": "y" * 1_000_000})
    assert len(fake.attempts) == 2


@pytest.mark.parametrize("method", ["score_many", "route_many", "export_samples"])
async def test_streams_are_tried_again(driver, fake, fail, failure, method):
    rpc, argument = {
        "score_many": ("ScoreGenerationsStream", [ScoreRequest("why?", ANSWERS)]),
        "route_many": ("RoutePromptStream", [RouteRequest("why?")]),
        "export_samples": ("ExportSamples", "p"),
    }[method]
    fail(rpc, failure(UNAVAILABLE))
    await driver.collect(method, argument)
    assert len(fake.metadata(rpc)) == 2


async def test_an_import_is_tried_again(driver, fake, fail, failure):
    fail("ImportSamples", failure(UNAVAILABLE))
    await driver.call("import_samples", "p", [], space=EmbeddingSpace("caller", 2))
    assert len(fake.metadata("ImportSamples")) == 2


async def test_the_deadline_of_a_call(driver, fake):
    fake.held = asyncio.Event()
    with pytest.raises(PointsmanError) as caught:
        await driver.call("score", "why?", ANSWERS, timeout=0.05, request_id="r-1")
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.request_id == "r-1"


async def test_the_deadline_of_the_client(served, driver_kind, fake):
    fake.held = asyncio.Event()
    driver = driver_kind(served.unix, timeout=0.05)
    with pytest.raises(PointsmanError, match="DEADLINE_EXCEEDED"):
        await driver.call("score", "why?", ANSWERS)
    await driver.close()


async def test_the_deadline_of_a_stream_is_its_own(served, driver_kind, fake):
    driver = driver_kind(served.unix, timeout=1e-9)
    assert await driver.collect("export_samples", "p") == []
    fake.held = asyncio.Event()
    with pytest.raises(PointsmanError, match="DEADLINE_EXCEEDED"):
        await driver.collect("export_samples", "p", timeout=0.05)
    await driver.close()


async def test_wait_for_ready_waits_until_the_deadline(driver_kind, tmp_path):
    driver = driver_kind(f"unix:{tmp_path}/absent", wait_for_ready=True, timeout=0.05)
    with pytest.raises(PointsmanError, match="DEADLINE_EXCEEDED"):
        await driver.call("score", "why?", ANSWERS)
    await driver.close()


@pytest.mark.parametrize("retries", [-1, 5])
def test_retries_that_grpc_would_not_make_are_refused(driver_kind, retries):
    with pytest.raises(ValueError, match="retries must be from 0 to 4"):
        driver_kind("127.0.0.1:1", retries=retries)


async def test_options_of_the_caller_win(served, driver_kind):
    driver = driver_kind(served.unix, options=[("grpc.max_receive_message_length", 1)])
    with pytest.raises(PointsmanError, match="RESOURCE_EXHAUSTED"):
        await driver.call("pools")
    await driver.close()
