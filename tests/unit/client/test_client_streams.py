"""Streams: pairing, partial failures, bounds, and errors of the caller's own iterables."""

import asyncio
import threading
import time
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest
from google.rpc import error_details_pb2

from pointsman.client import (
    AsyncClient,
    Client,
    EmbeddingSpace,
    FieldError,
    PointsmanError,
    Sample,
    ScoreRequest,
    ScoreResult,
)
from pointsman.client.calls import Feed, exchange
from pointsman.client.connection import Call
from pointsman.client.requests import score_item

CALL = Call(timeout=None, request_id="r-1", wait_for_ready=False, closed=threading.Event())


def requests(count, bad=()) -> list[ScoreRequest]:
    return [
        ScoreRequest(
            f"prompt {each}", {f"v{each}": "yes", "w": "no"}, pool="bad" if each in bad else ""
        )
        for each in range(count)
    ]


async def test_replies_are_paired_with_their_requests_in_any_order(driver, fake):
    fake.stream_order = 4
    replies = await driver.collect("score_many", requests(10), request_id="r-1")
    assert [index for index, _ in replies] != sorted(index for index, _ in replies)
    assert sorted(index for index, _ in replies) == list(range(10))
    assert all(result.best == f"v{index}" for index, result in replies)
    assert {result.request_id for _, result in replies} == {"r-1"}


async def test_a_bad_item_fails_alone(driver):
    replies = dict(await driver.collect("score_many", requests(5, bad={1, 3}), request_id="r-1"))
    assert [isinstance(replies[each], ScoreResult) for each in range(5)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    error = replies[1]
    assert isinstance(error, PointsmanError)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_POOL")
    assert (error.message, error.request_id) == ("No such name.", "r-1")
    assert error.fields == (FieldError("pool", "Is bad."),)
    assert error.retry_after is None


async def test_an_item_that_may_be_tried_again_says_when(driver):
    (_, result), (_, error) = sorted(
        await driver.collect(
            "score_many", [*requests(1), ScoreRequest("why?", {"a": "yes"}, pool="busy")]
        ),
        key=lambda each: each[0],
    )
    assert isinstance(result, ScoreResult)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert error.retry_after == 1.5


async def test_no_more_than_the_window_is_unanswered(driver, fake):
    fake.stream_order = 3
    replies = await driver.collect("score_many", requests(30), in_flight=3)
    assert len(replies) == 30
    assert fake.most_unanswered == 3


@pytest.mark.parametrize("in_flight", [0, -1])
async def test_a_window_of_nothing_is_refused(driver, in_flight):
    with pytest.raises(ValueError, match="in_flight must be at least 1"):
        await driver.collect("score_many", [], in_flight=in_flight)


async def test_requests_are_pulled_only_as_there_is_room(driver):
    pulled = []

    def endless() -> Iterator[ScoreRequest]:
        while True:
            pulled.append(1)
            yield requests(1)[0]

    assert len(await driver.collect("score_many", endless(), in_flight=2, most=5)) == 5
    assert len(pulled) <= 7


async def test_nothing_to_score(driver):
    assert await driver.collect("score_many", []) == []


async def test_samples_of_a_stream_are_named(driver):
    items = [ScoreRequest("why?", {"a": "yes"}, learn=True)] * 2
    replies = await driver.collect("score_many", items)
    names = {result.learned.sample_id for _, result in replies}
    assert len(names) == 2
    assert all(len(each) == 32 for each in names)


# Enough turns for a server's status to meet a write under way, which grpc.aio loses.
TURNS = 60


async def test_a_stream_that_breaks_raises_what_the_server_said(
    driver, fail, failure, rich_details
):
    details = rich_details(error_details_pb2.ErrorInfo(reason="OVERLOADED"))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    fail("ScoreGenerationsStream", *[failure(code, "Too many streams.", details)] * TURNS)
    for _ in range(TURNS):
        with pytest.raises(PointsmanError, match="Too many streams") as caught:
            await driver.collect("score_many", requests(50), request_id="r-1")
        assert (caught.value.code, caught.value.reason) == (code, "OVERLOADED")
        assert caught.value.request_id == "r-1"


async def test_an_import_that_breaks_raises_what_the_server_said(driver, fail, failure):
    fail("ImportSamples", *[failure(grpc.StatusCode.FAILED_PRECONDITION, "Other space.")] * TURNS)
    sample = Sample("s", datetime(2026, 1, 1, tzinfo=UTC), [0.0] * 64, ("a", "b"), [1.0])
    for _ in range(TURNS):
        with pytest.raises(PointsmanError, match="FAILED_PRECONDITION: Other space"):
            await driver.call(
                "import_samples", "p", [sample] * 50, space=EmbeddingSpace("caller", 64)
            )


def broken() -> Iterator[ScoreRequest]:
    yield from requests(2)
    raise RuntimeError("My own fault.")


def unsendable() -> Iterator[ScoreRequest]:
    yield from requests(2)
    yield ScoreRequest(None, {"a": "yes"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("items", "kind", "message"),
    [
        (broken, RuntimeError, "My own fault"),
        (unsendable, TypeError, "A prompt must be text or a vector, not NoneType"),
    ],
)
async def test_the_callers_own_error_comes_after_the_replies(driver, fake, items, kind, message):
    with pytest.raises(kind, match=message):
        await driver.collect("score_many", items())
    assert [each.id for each in fake.requests("item")] == [0, 1]


async def test_the_callers_own_error_in_an_import(driver):
    def samples():
        yield from ()
        raise RuntimeError("My own fault.")

    with pytest.raises(RuntimeError, match="My own fault"):
        await driver.call("import_samples", "p", samples(), space=EmbeddingSpace("caller", 2))


async def test_an_abandoned_stream_leaves_no_thread_waiting(served):
    with Client(served.unix) as client:
        # The thread of gRPC that pulls the requests holds the feed for as long as it lives.
        feed = await asyncio.to_thread(abandon, client._scoring.ScoreGenerationsStream)
        assert await settled(lambda: feed() is None)


def abandon(method) -> weakref.ref[Feed]:
    feed = Feed(requests(100), score_item, in_flight=2)
    stream = exchange(method, feed, CALL, lambda each: each)
    next(stream)
    while feed._places._value:
        time.sleep(0.01)
    time.sleep(0.05)
    stream.close()
    return weakref.ref(feed)


async def test_an_abandoned_stream_leaves_no_task_waiting(served):
    async with AsyncClient(served.unix) as client:
        stream = client.score_many(requests(100), in_flight=2)
        await anext(stream)
        assert pulling_tasks()
        await stream.aclose()
        assert await settled(lambda: not pulling_tasks())


async def test_a_broken_stream_leaves_no_task_waiting(served, fail, failure):
    fail("ScoreGenerationsStream", failure(grpc.StatusCode.RESOURCE_EXHAUSTED))
    async with AsyncClient(served.unix) as client:
        with pytest.raises(PointsmanError, match="RESOURCE_EXHAUSTED"):
            await anext(client.score_many(requests(100), in_flight=1))
        assert await settled(lambda: not pulling_tasks())


def pulling_tasks():
    return [each for each in asyncio.all_tasks() if "consume_request" in repr(each.get_coro())]


async def settled(condition) -> bool:
    for _ in range(250):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def test_asynchronous_requests_and_samples(served):
    async def arriving():
        for each in requests(3):
            await asyncio.sleep(0)
            yield each

    async def none_arriving():
        for each in ():
            yield each

    async with AsyncClient(served.unix) as client:
        replies = [index async for index, _ in client.score_many(arriving())]
        space = EmbeddingSpace("caller", 2)
        imported = await client.import_samples("p", none_arriving(), space=space)
    assert sorted(replies) == [0, 1, 2]
    assert imported.imported == 0


async def test_early_replies_do_not_wait_for_late_requests(served):
    release = asyncio.Event()

    async def arriving():
        yield requests(1)[0]
        await release.wait()
        yield requests(1)[0]

    async with AsyncClient(served.unix) as client:
        stream = client.score_many(arriving())
        index, _ = await asyncio.wait_for(anext(stream), timeout=10)
        assert index == 0
        release.set()
        assert [index async for index, _ in stream] == [1]


async def test_a_cancelled_caller_stays_cancelled(served, fake):
    fake.held = asyncio.Event()
    async with AsyncClient(served.unix) as client:
        task = asyncio.create_task(client.score("why?", {"a": "yes"}))
        await fake.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
