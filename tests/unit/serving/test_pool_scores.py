"""Prompts that come together are scored together, each by its own router."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scoring.errors import InvalidArrayError, RouterUnreadyError, SpaceMismatchError
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewOutcome, NewSample
from scoring.routers import OutcomeRouter, SmoothieRouter
from server.pool_scores import PoolScores, Unscored

SPACE = EmbeddingSpace("mine", 4)


def vector(number):
    return np.random.default_rng(number).normal(size=4).astype(np.float32)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path, capacity=400)) as memory:
        for number in range(300):
            pairs = np.random.default_rng(number).uniform(1, 2, 3).astype(np.float32)
            learned = NewSample(str(number), vector(number), ("a", "b", "c"), pairs, 0.0)
            memory.learn("p", SPACE, learned)
            outcome = NewOutcome(f"o{number}", "abc"[number % 3], number / 300, 0.0, str(number))
            recorded = memory.record("p", None, outcome)
        recorded.result(30)
        yield memory


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


async def together(scores, thread, asked):
    """Asks for all while the thread is busy with something else."""
    busy, free = threading.Event(), threading.Event()
    thread.submit(lambda: (busy.set(), free.wait(30)))
    busy.wait(30)
    first = asyncio.ensure_future(scores.run(asked[0]))
    await asyncio.sleep(0.01)
    others = [asyncio.ensure_future(scores.run(each)) for each in asked[1:]]
    await asyncio.sleep(0.01)
    free.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


async def test_each_has_what_its_own_router_says_of_it_alone(memory, thread):
    routers = [SmoothieRouter(memory, "p"), OutcomeRouter(memory, "p", neighbours=3)]
    asked = [Unscored(routers[number % 2], SPACE, vector(number)) for number in range(12)]
    calls = []
    for router in routers:
        watch(router, calls)
    found = await together(PoolScores(thread, lambda: False), thread, asked)
    assert sorted(calls) == [1, 5, 6]
    for each, scored in zip(asked, found, strict=True):
        alone = each.router.score(each.prompt[None], SPACE)
        assert scored.scores.models == alone.models
        np.testing.assert_array_equal(scored.scores.scores, alone.scores)
        np.testing.assert_array_equal(scored.scores.neighbours_used, alone.neighbours_used)
        np.testing.assert_array_equal(scored.scores.voters_used, alone.voters_used)
        assert scored.scores.fallback == alone.fallback
        assert 0 < scored.scores.recall_seconds < scored.seconds


def watch(router, calls):
    """Notes for how many prompts a router is called."""
    honest = router.score

    def score(prompts, space=None):
        calls.append(len(prompts))
        return honest(prompts, space)

    router.score = score


async def test_a_bad_one_fails_alone(memory, thread):
    router, unready = SmoothieRouter(memory, "p"), SmoothieRouter(memory, "none")
    nan = np.full(4, np.nan, np.float32)
    asked = [
        Unscored(router, SPACE, vector(0)),
        Unscored(router, SPACE, nan),
        Unscored(unready, SPACE, vector(1)),
        Unscored(router, EmbeddingSpace("theirs", 4), vector(2)),
        Unscored(router, SPACE, vector(3)),
    ]
    found = await together(PoolScores(thread, lambda: False), thread, asked)
    kinds = [InvalidArrayError, RouterUnreadyError, SpaceMismatchError]
    assert [type(each) for each in found[1:4]] == kinds
    for place in (0, 4):
        alone = router.score(asked[place].prompt[None], SPACE)
        np.testing.assert_array_equal(found[place].scores.scores, alone.scores)
