"""The arithmetic of the load generator, and short runs against a server in this process."""

import asyncio
import json
import time

import numpy as np
import pytest

from benchmarks.speed.echo import answer_with, start_echo
from benchmarks.speed.generator import Plan, arrival_times, generate, load
from benchmarks.speed.ledger import NOT_SENT, LoadResult, closed_result, open_result
from benchmarks.speed.load import _parser, main, plan_arguments, plan_of
from benchmarks.speed.payloads import read_payloads, write_payloads

block = time.sleep
METHOD = "/pointsman.v1.RoutingService/RoutePrompt"


def test_constant_arrivals_are_evenly_spaced():
    times = arrival_times(Plan(seconds=2, warm_up=1, rate=10, arrivals="constant"))
    assert times == pytest.approx(np.arange(30) / 10)


def test_random_arrivals_are_repeatable_ascending_and_as_many_as_the_rate_says():
    plan = Plan(seconds=99, warm_up=1, rate=100, seed=3)
    times = arrival_times(plan)
    assert np.array_equal(times, arrival_times(plan))
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < 100
    assert len(times) == pytest.approx(10_000, abs=500)
    # Of a Poisson process the gaps are exponential: mean and deviation are equal.
    assert np.std(np.diff(times)) == pytest.approx(0.01, rel=0.1)


# Intended, sent, done, code.
ROWS = np.array(
    [
        (0.5, 0.5, 0.6, 0),  # in the warm-up
        (1.0, 1.0, 1.1, 0),
        (1.5, 1.9, 2.4, 0),  # 0.5 s on the wire, but 0.9 s from when it was due
        (2.0, 2.0, 2.7, 0),
        (2.5, 2.5, 2.6, 8),  # refused
        (2.9, 3.8, 3.8, NOT_SENT),
        (3.5, 3.5, 3.6, 0),  # past the end
    ]
)


def test_an_open_loop_counts_from_when_a_request_was_due():
    result = open_result(ROWS, 5, (1.0, 3.0), deadline=0.8, cpu_seconds=0.5)
    assert result.counts == {"NOT_SENT": 1, "OK": 3, "RESOURCE_EXHAUSTED": 1}
    assert (result.offered, result.sent, result.completed) == (5, 4, 5)
    assert result.in_time == 2
    assert result.goodput == 1.0
    assert result.latency().percentile(100) == pytest.approx(0.9, rel=1e-3)
    assert result.late_p50 == 0.0
    assert result.late_p99 == pytest.approx(np.percentile([0, 0.4, 0, 0, 0.9], 99))
    assert result.cpu_share == 0.25
    assert not result.kept_up


def test_a_closed_loop_counts_what_ended_in_the_window():
    result = closed_result(ROWS, (1.0, 2.65), deadline=0.8, cpu_seconds=0.1)
    assert result.counts == {"OK": 2, "RESOURCE_EXHAUSTED": 1}
    assert result.in_time == 1


def test_a_result_survives_json():
    result = open_result(ROWS, 5, (1.0, 3.0), deadline=0.8, cpu_seconds=0.5)
    read = LoadResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False)))
    assert read.to_json() == result.to_json()
    assert read.latency("ABORTED").count == 0


def test_payloads_are_read_as_written(tmp_path):
    messages = [b"", b"a", bytes(1000)]
    write_payloads(tmp_path / "p", messages)
    assert read_payloads(tmp_path / "p") == messages


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_a_payload_file_that_is_cut_short_is_refused(tmp_path, cut):
    write_payloads(tmp_path / "p", [b"abc"])
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:cut])
    with pytest.raises(ValueError, match="whole message"):
        read_payloads(tmp_path / "p")


async def test_a_stall_is_charged_to_every_request_that_was_due_meanwhile():
    served = 0

    async def call(_message, _timeout):
        nonlocal served
        served += 1
        if served == 10:
            # The server stalls, and this process with it: nothing can be sent either.
            await asyncio.sleep(0)
            block(0.3)
        return 0

    plan = Plan(seconds=0.8, warm_up=0, rate=100, arrivals="constant", deadline=5)
    result = await load([call], [b""], plan, asyncio.Event())
    assert result.counts == {"OK": 80}
    # 30 requests were due while it stalled; half of them at least 0.15 s before its end.
    assert result.latency().above(0.15) >= 14


async def test_what_could_not_be_sent_before_its_deadline_is_said():
    async def call(_message, left):
        assert left <= 0.05
        block(0.02)
        return 0

    plan = Plan(seconds=0.5, warm_up=0, rate=200, arrivals="constant", deadline=0.05)
    result = await load([call], [b""], plan, asyncio.Event())
    assert result.counts["NOT_SENT"] > 0
    assert result.sent + result.counts["NOT_SENT"] == result.offered == 100
    assert not result.kept_up


async def test_a_closed_loop_never_has_more_under_way_and_sends_all_messages():
    under_way, most, seen = 0, 0, set()

    async def call(message, _timeout):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        seen.add(message)
        await asyncio.sleep(0.001)
        under_way -= 1
        return 0

    messages = [b"a", b"b", b"c", b"d"]
    plan = Plan(seconds=0.2, warm_up=0, concurrency=3)
    result = await load([call], messages, plan, asyncio.Event())
    assert most == 3
    assert seen == set(messages)
    assert result.offered == result.completed > 3


async def test_a_fault_of_the_generator_is_not_a_result():
    async def call(_message, _timeout):
        raise KeyError("ours")

    with pytest.raises(ExceptionGroup):
        await load([call], [b""], Plan(seconds=0.1, warm_up=0), asyncio.Event())


async def test_stopping_returns_what_there_is():
    async def call(_message, _timeout):
        await asyncio.sleep(0)
        return 0

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    plan = Plan(seconds=600, warm_up=0, rate=100, arrivals="constant")
    result = await load([call], [b""], plan, stop)
    assert result.interrupted
    assert result.seconds < 60
    assert 0 < result.offered < 6000


@pytest.mark.parametrize("plan", [Plan(0.3, 0.1, concurrency=2), Plan(0.3, 0.1, rate=100)])
async def test_a_run_over_grpc(plan, short_socket):
    server = await start_echo(f"unix:{short_socket}", answer_with(b"reply"))
    try:
        result = await generate(f"unix:{short_socket}", METHOD, [b"x"], plan, asyncio.Event())
    finally:
        await server.stop(0)
    assert set(result.counts) == {"OK"}
    assert result.completed == result.offered > 0


async def test_a_deadline_is_the_servers_too(short_socket):
    server = await start_echo(f"unix:{short_socket}", answer_with(b"", delay=5))
    plan = Plan(seconds=0.2, warm_up=0, rate=50, deadline=0.05)
    try:
        result = await generate(f"unix:{short_socket}", METHOD, [b"x"], plan, asyncio.Event())
    finally:
        await server.stop(0)
    assert set(result.counts) == {"DEADLINE_EXCEEDED"}
    assert result.goodput == 0


def test_the_flags_of_a_plan_are_read_back():
    needed = ["--target", "unix:/x", "--method", METHOD, "--payloads", "p"]
    plan = Plan(seconds=2, warm_up=0, deadline=3, rate=4, arrivals="constant", connections=5)
    for each in (plan, Plan(seconds=1, concurrency=6, seed=7)):
        assert plan_of(_parser().parse_args([*needed, *plan_arguments(each)])) == each
    assert plan_of(_parser().parse_args([*needed, "--seconds", "1"])) == Plan(seconds=1)


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    flags = plan_arguments(Plan(seconds=1, concurrency=4))
    missing = tmp_path / "missing"
    code = main(["--target", "unix:/x", "--method", METHOD, "--payloads", str(missing), *flags])
    assert code == 1
    assert "missing" in capsys.readouterr().err
