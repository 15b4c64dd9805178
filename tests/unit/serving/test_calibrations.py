"""The fits of pools: when they are made, what they hold, and what is said of them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import structlog

from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewOutcome, NewSample
from server import calibration
from server.calibration import Calibrations

SPACE = EmbeddingSpace("test", 3)
VOTERS = ("good", "b", "c", "d")
# The good voter's answers lie apart, those of the others together.
PAIRS = np.array([9, 9, 1, 9, 1, 1], np.float32)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path, capacity=2000)) as memory:
        yield memory


@pytest.fixture
def calibrations(memory):
    with ThreadPoolExecutor(1) as thread:
        yield Calibrations(memory, thread)


def learn(memory, numbers, pool="p"):
    for number in numbers:
        prompt = np.random.default_rng(number).normal(size=3).astype(np.float32)
        noise = np.random.default_rng(number).random(6, np.float32) / 10
        memory.learn(
            pool, SPACE, NewSample(f"s{number}", prompt, VOTERS, PAIRS + noise, 0.0)
        ).result(30)


def judge(memory, numbers, pool="p", **qualities):
    futures = [
        memory.record(
            pool, None, NewOutcome(f"{number}-{model}", model, quality, 0.0, f"s{number}")
        )
        for number in numbers
        for model, quality in qualities.items()
    ]
    for future in futures:
        future.result(30)


@pytest.fixture
def fits(monkeypatch):
    """The names of the pools that were fitted."""
    made = []
    real = calibration.fit_pool

    def fit(memory, pool):
        made.append(pool)
        return real(memory, pool)

    monkeypatch.setattr(calibration, "fit_pool", fit)
    return made


async def test_a_pool_without_outcomes_is_not_fitted(memory, calibrations, fits):
    learn(memory, range(3))
    for pool in ("p", "unknown"):
        assert (await calibrations.current(pool)).outcomes == 0
        assert calibrations.held(pool) is None
    assert fits == []


async def test_every_outcome_counts_at_once(memory, calibrations, fits):
    learn(memory, range(5))
    for count in range(1, 5):
        judge(memory, [count], good=1.0)
        assert (await calibrations.current("p")).outcomes == count
    assert await calibrations.current("p") is await calibrations.current("p")
    assert fits == ["p"] * 4


async def test_outcomes_of_before_the_start_count(memory, tmp_path):
    learn(memory, range(3))
    judge(memory, range(3), good=1.0)
    memory.close()
    again = Memory.open(MemorySettings(tmp_path, capacity=2000))
    with again, ThreadPoolExecutor(1) as thread:
        assert (await Calibrations(again, thread).current("p")).outcomes == 3


async def test_whoever_asks_at_once_shares_one_fit(memory, calibrations, fits):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    found = await asyncio.gather(*(calibrations.current("p") for _ in range(9)))
    assert fits == ["p"]
    assert all(each is found[0] for each in found)


async def test_an_outcome_that_came_during_a_fit_is_waited_for(memory, calibrations, monkeypatch):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    begun, go_on = threading.Event(), threading.Event()
    real = calibration.fit_pool

    def fit(memory, pool):
        made = real(memory, pool)
        begun.set()
        assert go_on.wait(30)
        return made

    monkeypatch.setattr(calibration, "fit_pool", fit)
    early = asyncio.create_task(calibrations.current("p"))
    await asyncio.to_thread(begun.wait, 30)
    judge(memory, [2], good=1.0)
    late = asyncio.create_task(calibrations.current("p"))
    await asyncio.sleep(0)
    go_on.set()
    assert [fit.outcomes for fit in await asyncio.gather(early, late)] == [1, 2]


async def test_a_fit_that_has_just_ended_is_not_waited_for(memory, calibrations):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    calibrations._fitting["p"] = ended  # as it is until the loop goes round once more
    assert (await calibrations.current("p")).outcomes == 1


async def test_a_caller_who_gives_up_does_not_stop_the_fit_of_others(
    memory, calibrations, monkeypatch
):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    go_on = threading.Event()
    real = calibration.fit_pool

    def fit(memory, pool):
        assert go_on.wait(30)
        return real(memory, pool)

    monkeypatch.setattr(calibration, "fit_pool", fit)
    calls = [asyncio.create_task(calibrations.current("p")) for _ in range(2)]
    await asyncio.sleep(0)
    calls[0].cancel()
    go_on.set()
    assert (await calls[1]).outcomes == 1
    with pytest.raises(asyncio.CancelledError):
        await calls[0]


async def test_a_large_pool_is_fitted_anew_once_in_a_hundredth(
    memory, calibrations, fits, monkeypatch
):
    monkeypatch.setattr(calibration, "PROMPT_OUTCOMES", 150)
    learn(memory, range(200))
    judge(memory, range(200), good=1.0)
    assert (await calibrations.current("p")).outcomes == 200
    for number in range(2):  # a hundredth of 200
        judge(memory, [number], b=0.0)
        assert (await calibrations.current("p")).outcomes == 200
    assert fits == ["p"]
    judge(memory, [2], b=0.0)
    assert (await calibrations.current("p")).outcomes == 200  # the old one serves meanwhile
    await asyncio.gather(*calibrations._fitting.values())
    assert (await calibrations.current("p")).outcomes == 203
    assert fits == ["p", "p"]


async def test_samples_that_come_make_it_anew_in_the_background(memory, calibrations, fits):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    first = await calibrations.current("p")
    learn(memory, range(3, 23))
    assert await calibrations.current("p") is first
    assert fits == ["p"]
    learn(memory, [23])
    assert await calibrations.current("p") is first
    await asyncio.gather(*calibrations._fitting.values())
    assert await calibrations.current("p") is not first
    assert fits == ["p", "p"]


async def test_a_pool_of_the_same_name_is_another(memory, calibrations):
    learn(memory, range(5))
    judge(memory, range(4), good=1.0)
    assert (await calibrations.current("p")).outcomes == 4
    memory.delete("p").result(30)
    assert calibrations.held("p") is None
    assert (await calibrations.current("p")).outcomes == 0
    learn(memory, range(5))
    assert calibrations.held("p") is None
    assert (await calibrations.current("p")).outcomes == 0
    judge(memory, [1], good=1.0)
    assert (await calibrations.current("p")).outcomes == 1


async def test_a_pool_that_is_deleted_during_its_fit(memory, calibrations, monkeypatch):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    real = calibration.fit_pool

    def fit(memory, pool):
        monkeypatch.setattr(calibration, "fit_pool", real)
        memory.delete(pool).result(30)
        return real(memory, pool)

    monkeypatch.setattr(calibration, "fit_pool", fit)
    with structlog.testing.capture_logs() as lines:
        assert (await calibrations.current("p")).outcomes == 0
    assert lines == []


async def test_a_pool_that_is_replaced_during_its_fit(memory, calibrations, monkeypatch):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)
    real = calibration.fit_pool

    def fit(memory, pool):
        monkeypatch.setattr(calibration, "fit_pool", real)
        made = real(memory, pool)
        memory.delete(pool).result(30)
        learn(memory, range(3))
        judge(memory, [1, 2], good=1.0)
        return made

    monkeypatch.setattr(calibration, "fit_pool", fit)
    assert (await calibrations.current("p")).outcomes == 2


async def test_a_fit_that_fails_is_told_to_its_caller_and_tried_again(
    memory, calibrations, monkeypatch
):
    learn(memory, range(3))
    judge(memory, [1], good=1.0)

    def fail(*_):
        raise ValueError("a secret")

    with monkeypatch.context() as broken, structlog.testing.capture_logs() as lines:
        broken.setattr(calibration, "fit_pool", fail)
        with pytest.raises(ValueError, match="secret"):
            await calibrations.current("p")
    assert [line["event"] for line in lines] == ["calibration_failed"]
    assert "secret" not in str(lines)
    assert (await calibrations.current("p")).outcomes == 1


@pytest.fixture
def watched(calibrations, monkeypatch):
    """Watches the pools while a test runs."""
    monkeypatch.setattr(calibration, "_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(calibration, "_REST", 0)

    async def until(condition):
        watch = asyncio.create_task(calibrations.watch())
        async with asyncio.timeout(30):
            while not condition():
                assert not watch.done()
                await asyncio.sleep(0.005)
        watch.cancel()

    return until


def contradicted(calibrations, pool="p"):
    held = calibrations.held(pool)
    return held is not None and held.contradicted


async def test_a_pool_whose_outcomes_contradict_agreement_is_told_once(
    memory, calibrations, watched
):
    learn(memory, range(60))
    with structlog.testing.capture_logs() as lines:
        judge(memory, range(30), good=1.0, b=0.0, c=0.0, d=0.0)
        await watched(lambda: contradicted(calibrations))
        judge(memory, range(30, 60), good=1.0, b=0.0)
        await calibrations.current("p")
        await calibrations.current("p")
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("agreement_contradicted", "warning")
    assert (line["pool"], line["outcomes"]) == ("p", 120)
    assert 0.95 <= line["probability"] <= 1


async def test_it_is_told_when_agreement_is_right_again(memory, calibrations, monkeypatch):
    learn(memory, range(3))
    judge(memory, [0], good=1.0)
    real = calibration.fit_pool
    told = iter([0.96, 0.93, 0.91, 0.89, 0.94, float("nan"), 0.95, float("nan")])

    def fit(memory, pool):
        return replace(real(memory, pool), contradiction=next(told))

    monkeypatch.setattr(calibration, "fit_pool", fit)
    seen = []
    with structlog.testing.capture_logs() as lines:
        for number in range(8):
            judge(memory, [1], **{f"m{number}": 1.0})
            await calibrations.current("p")
            seen.append(contradicted(calibrations))
    assert seen == [True, True, True, False, False, False, True, False]
    assert [(line["event"], line["probability"]) for line in lines] == [
        ("agreement_contradicted", 0.96),
        ("agreement_no_longer_contradicted", 0.89),
        ("agreement_contradicted", 0.95),
        ("agreement_no_longer_contradicted", None),
    ]


async def test_the_watch_fits_what_changed_and_drops_what_is_gone(
    memory, calibrations, watched, fits
):
    for pool in ("p", "q"):
        learn(memory, range(3), pool)
    learn(memory, range(3), "without")
    judge(memory, [1], good=1.0)
    judge(memory, [1], "q", good=1.0)
    await watched(lambda: calibrations.held("p") and calibrations.held("q"))
    assert sorted(fits) == ["p", "q"]
    judge(memory, [2], good=1.0)
    memory.delete("q").result(30)
    await watched(lambda: calibrations.held("p").fit.outcomes == 2)
    await watched(lambda: calibrations.held("q") is None)
    assert sorted(fits) == ["p", "p", "q"]


async def test_the_watch_outlives_a_fit_that_fails(memory, calibrations, watched, monkeypatch):
    for pool in ("p", "q"):
        learn(memory, range(3), pool)
        judge(memory, [1], pool, good=1.0)
    real = calibration.fit_pool

    def fit(memory, pool):
        if pool == "p":
            raise ValueError
        return real(memory, pool)

    monkeypatch.setattr(calibration, "fit_pool", fit)
    await watched(lambda: calibrations.held("q"))
    assert calibrations.held("p") is None
