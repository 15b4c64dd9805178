"""Where a client connects to, and what becomes of its calls once it is closed."""

import asyncio
from contextlib import aclosing
from threading import Event

import grpc
import pytest

from pointsman.client import (
    AsyncClient,
    Client,
    EmbeddingSpace,
    PointsmanError,
    RouteRequest,
    ScoreRequest,
    connection,
)
from pointsman.client.calls import send
from pointsman.v1 import admin_service_pb2
from server.listen import DEFAULT_ADDRESS

ITEMS = [ScoreRequest("why?", {"a": "yes", "b": "no"})] * 3
CLOSED = "CANCELLED: The client is closed; make another one"
CALLS = {
    "score": lambda driver: driver.call("score", "why?", {"a": "yes"}),
    "pools": lambda driver: driver.call("pools"),
    "import_samples": lambda driver: driver.call(
        "import_samples", "p", [], space=EmbeddingSpace("caller", 2)
    ),
    "score_many": lambda driver: driver.collect("score_many", ITEMS),
    "route_many": lambda driver: driver.collect("route_many", [RouteRequest("why?")] * 3),
    "export_samples": lambda driver: driver.collect("export_samples", "p"),
}


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/run/pointsman.sock",
        "./s",
        "http://localhost:1",
        "unix://s",
    ],
)
def test_targets_that_grpc_would_misread_are_refused(driver_kind, target):
    with pytest.raises(ValueError, match="must be host:port, unix:/path"):
        driver_kind(target)


@pytest.mark.parametrize(
    "spelling", ["{}", "dns:{}", "dns:///{}", "ipv4:{}", "ipv4:///{}"], ids=lambda each: each[:8]
)
async def test_tcp_targets(served, driver_kind, spelling):
    driver = driver_kind(spelling.format(served.tcp))
    assert len(await driver.call("pools")) == 2
    await driver.close()


@pytest.mark.parametrize("target", ["ipv6:[::1]:50051", "ipv6:///[::1]:50051", "[::1]:50051"])
async def test_ipv6_targets_are_taken(driver_kind, target):
    await driver_kind(target).close()


def test_the_default_is_where_a_server_listens_by_default():
    assert connection.DEFAULT_TARGET == DEFAULT_ADDRESS


@pytest.mark.parametrize("spelling", ["unix:{}", "unix://{}"])
async def test_unix_targets(served, driver_kind, spelling):
    driver = driver_kind(spelling.format(served.unix.removeprefix("unix:")))
    assert len(await driver.call("pools")) == 2
    await driver.close()


@pytest.mark.parametrize("opened", [True, False], ids=["opened", "never opened"])
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_on_a_closed_client_fails_as_any_other(driver, fake, name, opened):
    if opened:
        await driver.call("pools")
    await driver.close()
    fake.attempts.clear()
    with pytest.raises(PointsmanError, match=CLOSED) as caught:
        await CALLS[name](driver)
    assert caught.value.code is grpc.StatusCode.CANCELLED
    assert (len(caught.value.request_id), caught.value.reason) == (32, "")
    assert fake.attempts == []


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_in_flight_fails_when_its_client_is_closed(driver, fake, name):
    fake.held = asyncio.Event()
    call = asyncio.create_task(CALLS[name](driver))
    await fake.begun.wait()
    await driver.close()
    with pytest.raises(PointsmanError) as caught:
        await asyncio.wait_for(call, timeout=10)
    assert caught.value.code is grpc.StatusCode.CANCELLED


async def test_a_client_can_be_closed_twice(driver):
    await driver.call("pools")
    await driver.close()
    await driver.close()


@pytest.mark.parametrize("begun", [True, False])
async def test_a_stream_that_outlives_its_client(served, begun):
    def consume():
        client = Client(served.unix)
        replies = client.score_many(ITEMS, in_flight=1)
        if begun:
            next(replies)
        client.close()
        list(replies)

    with pytest.raises(PointsmanError, match="CANCELLED"):
        await asyncio.to_thread(consume)


@pytest.mark.parametrize("begun", [True, False])
async def test_an_asynchronous_stream_that_outlives_its_client(served, begun):
    client = AsyncClient(served.unix)
    async with aclosing(client.score_many(ITEMS, in_flight=1)) as replies:
        if begun:
            await anext(replies)
        await client.close()
        with pytest.raises(PointsmanError, match=CLOSED):
            await anext(replies)


async def test_a_channel_closed_under_a_call_that_begins(served):
    # As where another thread closes the client between the check of the call and its start.
    client = Client(served.unix)
    client._channel.close()
    call = client._connection.call(None, "r-1")
    client._connection.closed.set()
    with pytest.raises(PointsmanError, match=CLOSED) as caught:
        send(client._admin.ListPools, admin_service_pb2.ListPoolsRequest(), call)
    assert caught.value.request_id == "r-1"


async def test_a_caller_who_is_cancelled_stays_so_after_a_close(served, fake):
    fake.held = asyncio.Event()
    client = AsyncClient(served.unix)
    task = asyncio.create_task(client.score("why?", {"a": "yes"}))
    await fake.begun.wait()
    task.cancel()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_other_value_errors_of_grpc_are_left_as_they_are():
    def method(_request, **_):
        raise ValueError("The metadata is invalid.")

    call = connection.Call(None, "r-1", wait_for_ready=False, closed=Event())
    with pytest.raises(ValueError, match="metadata is invalid"):
        send(method, None, call)
