"""Streams: pairing, partial failures, bounds, and errors of the caller's own iterables."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from pointsman.client import (
    AsyncClient,
    Client,
    EmbeddingSpace,
    FieldError,
    PointsmanError,
    RouteRequest,
    RouteResult,
    Sample,
    ScoreRequest,
    ScoreResult,
)
from pointsman.client.calls import Feed, exchange
from pointsman.client.connection import Call
from pointsman.client.requests import score_item

CALL = Call(timeout=None, request_id="r-1", wait_for_ready=False, closed=threading.Event())


@dataclass(frozen=True)
class Many:
    """A method that takes many requests, each of which a fake reply can be told to be of."""

    method: str
    rpc: str
    result: type
    make: Callable[[str, str], Any]
    names: Callable[[Any], str]
    unsendable: Any

    def requests(self, count, bad=()) -> list[Any]:
        return [self.make(f"v{each}", "bad" if each in bad else "") for each in range(count)]


SCORING = Many(
    method="score_many",
    rpc="ScoreGenerationsStream",
    result=ScoreResult,
    make=lambda name, pool: ScoreRequest("why?", {name: "yes", "w": "no"}, pool=pool),
    names=lambda result: result.best,
    unsendable=ScoreRequest(None, {"a": "yes"}),  # type: ignore[arg-type]
)
ROUTING = Many(
    method="route_many",
    rpc="RoutePromptStream",
    result=RouteResult,
    make=lambda name, router: RouteRequest("why?", router, candidates=[name]),
    names=lambda result: result.model,
    unsendable=RouteRequest(None),  # type: ignore[arg-type]
)


@pytest.fixture(params=[SCORING, ROUTING], ids=lambda many: many.method)
def many(request) -> Many:
    return request.param


async def test_replies_are_paired_with_their_requests_in_any_order(driver, fake, many):
    fake.stream_order = 4
    replies = await driver.collect(many.method, many.requests(10), request_id="r-1")
    assert [index for index, _ in replies] != sorted(index for index, _ in replies)
    assert sorted(index for index, _ in replies) == list(range(10))
    assert all(many.names(result) == f"v{index}" for index, result in replies)
    assert {result.request_id for _, result in replies} == {"r-1"}


async def test_a_bad_item_fails_alone(driver, many):
    replies = dict(
        await driver.collect(many.method, many.requests(5, bad={1, 3}), request_id="r-1")
    )
    assert [isinstance(replies[each], many.result) for each in range(5)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    error = replies[1]
    assert isinstance(error, PointsmanError)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_NAME")
    assert (error.message, error.request_id) == ("No such name.", "r-1")
    assert error.fields == (FieldError("name", "Is bad."),)
    assert error.retry_after is None


async def test_an_item_that_may_be_tried_again_says_when(driver, many):
    (_, result), (_, error) = sorted(
        await driver.collect(many.method, [*many.requests(1), many.make("v1", "busy")]),
        key=lambda each: each[0],
    )
    assert isinstance(result, many.result)
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert error.retry_after == 1.5


async def test_no_more_than_the_window_is_unanswered(driver, fake, many):
    fake.stream_order = 3
    replies = await driver.collect(many.method, many.requests(30), in_flight=3)
    assert len(replies) == 30
    assert fake.most_unanswered == 3


@pytest.mark.parametrize("in_flight", [0, -1])
async def test_a_window_of_nothing_is_refused(driver, many, in_flight):
    with pytest.raises(ValueError, match="in_flight must be at least 1"):
        await driver.collect(many.method, [], in_flight=in_flight)


async def test_requests_are_pulled_only_as_there_is_room(driver, many):
    pulled = []

    def endless() -> Iterator[Any]:
        while True:
            pulled.append(1)
            yield many.requests(1)[0]

    assert len(await driver.collect(many.method, endless(), in_flight=2, most=5)) == 5
    assert len(pulled) <= 7


async def test_nothing_to_send(driver, many):
    assert await driver.collect(many.method, []) == []


async def test_samples_of_a_stream_are_named(driver):
    items = [ScoreRequest("why?", {"a": "yes"}, learn=True)] * 2
    replies = await driver.collect("score_many", items)
    names = {result.learned.sample_id for _, result in replies}
    assert len(names) == 2
    assert all(len(each) == 32 for each in names)


# Enough turns for a server's status to meet a write under way, which grpc.aio loses.
TURNS = 60


async def test_a_stream_that_breaks_raises_what_the_server_said(
    driver, fail, failure, rich_details, many
):
    details = rich_details(error_details_pb2.ErrorInfo(reason="OVERLOADED"))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    fail(many.rpc, *[failure(code, "Too many streams.", details)] * TURNS)
    for _ in range(TURNS):
        with pytest.raises(PointsmanError, match="Too many streams") as caught:
            await driver.collect(many.method, many.requests(50), request_id="r-1")
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


def broken(many) -> Iterator[Any]:
    yield from many.requests(2)
    raise RuntimeError("My own fault.")


def unsendable(many) -> Iterator[Any]:
    yield from many.requests(2)
    yield many.unsendable


@pytest.mark.parametrize(
    ("items", "kind", "message"),
    [
        (broken, RuntimeError, "My own fault"),
        (unsendable, TypeError, "A prompt must be text or a vector, not NoneType"),
    ],
)
async def test_the_callers_own_error_comes_after_the_replies(
    driver, fake, many, items, kind, message
):
    with pytest.raises(kind, match=message):
        await driver.collect(many.method, items(many))
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
    feed = Feed(SCORING.requests(100), score_item, in_flight=2)
    stream = exchange(method, feed, CALL, lambda each, _: each)
    next(stream)
    while feed._places._value:
        time.sleep(0.01)
    time.sleep(0.05)
    stream.close()
    return weakref.ref(feed)


async def test_an_abandoned_stream_leaves_no_task_waiting(served, many):
    async with AsyncClient(served.unix) as client:
        stream = getattr(client, many.method)(many.requests(100), in_flight=2)
        await anext(stream)
        assert pulling_tasks()
        await stream.aclose()
        assert await settled(lambda: not pulling_tasks())


async def test_a_broken_stream_leaves_no_task_waiting(served, fail, failure, many):
    fail(many.rpc, failure(grpc.StatusCode.RESOURCE_EXHAUSTED))
    async with AsyncClient(served.unix) as client:
        with pytest.raises(PointsmanError, match="RESOURCE_EXHAUSTED"):
            await anext(getattr(client, many.method)(many.requests(100), in_flight=1))
        assert await settled(lambda: not pulling_tasks())


def pulling_tasks():
    return [each for each in asyncio.all_tasks() if "consume_request" in repr(each.get_coro())]


async def settled(condition) -> bool:
    for _ in range(250):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


async def test_asynchronous_requests_and_samples(served, many):
    async def arriving():
        for each in many.requests(3):
            await asyncio.sleep(0)
            yield each

    async def none_arriving():
        for each in ():
            yield each

    async with AsyncClient(served.unix) as client:
        replies = [index async for index, _ in getattr(client, many.method)(arriving())]
        space = EmbeddingSpace("caller", 2)
        imported = await client.import_samples("p", none_arriving(), space=space)
    assert sorted(replies) == [0, 1, 2]
    assert imported.imported == 0


async def test_early_replies_do_not_wait_for_late_requests(served, many):
    release = asyncio.Event()

    async def arriving():
        yield many.requests(1)[0]
        await release.wait()
        yield many.requests(1)[0]

    async with AsyncClient(served.unix) as client:
        stream = getattr(client, many.method)(arriving())
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
