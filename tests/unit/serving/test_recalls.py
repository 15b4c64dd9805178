"""Requests that are alone recall at once; those that come together recall in one call."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scoring.errors import InvalidArrayError, PoolNotFoundError, SpaceMismatchError
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewSample
from server.recalls import Asked, Recalls

SPACE = EmbeddingSpace("mine", 4)


class WatchedMemory:
    """A memory that notes each call: its thread, and for how many prompts; one may be held."""

    def __init__(self, memory):
        self._memory = memory
        self.calls = []
        self.go_on = threading.Event()
        self.go_on.set()

    def recall_each(self, pool, space, prompts, k, without):
        self.calls.append((threading.get_ident() == threading.main_thread().ident, len(prompts)))
        assert self.go_on.wait(30)
        return self._memory.recall_each(pool, space, prompts, k, without)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path, capacity=400)) as memory:
        for pool in ("p", "q"):
            futures = [memory.learn(pool, SPACE, sample(number)) for number in range(300)]
            for future in futures:
                future.result(30)
        yield WatchedMemory(memory)


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


def vector(number):
    return np.random.default_rng(number).normal(size=4).astype(np.float32)


def sample(number):
    pairs = np.full(3, number, np.float32)
    return NewSample(str(number), vector(number), ("a", "b", "c"), pairs, 0.0)


def asked(number, pool="p", **changes):
    return Asked(pool, SPACE, vector(number), 1, "")._replace(**changes)


def number_of(recalled):
    assert recalled.seconds > 0
    return recalled.neighbourhood.rows[0, 0]


async def together(recalls, memory, first, others):
    """Recalls the first, and the others while it is in the thread."""
    memory.go_on.clear()
    tasks = [asyncio.ensure_future(recalls.run(first))]
    while not memory.calls:
        await asyncio.sleep(0.001)
    tasks += [asyncio.ensure_future(recalls.run(each)) for each in others]
    await asyncio.sleep(0)
    memory.go_on.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_that_is_alone_is_asked_at_once_but_for_one_in_a_while(memory, thread):
    recalls = Recalls(memory, thread, lambda: True)
    for number in range(256):
        assert number_of(await recalls.run(asked(number))) == number
    assert memory.calls.count((False, 1)) == 2
    assert memory.calls.count((True, 1)) == 254


async def test_what_comes_while_others_are_recalled_goes_together(memory, thread):
    recalls = Recalls(memory, thread, lambda: False)
    found = await together(recalls, memory, asked(0), [asked(number) for number in range(1, 30)])
    assert [number_of(each) for each in found] == list(range(30))
    assert memory.calls == [(False, 1), (False, 16), (False, 13)]


async def test_once_they_come_together_they_go_together_until_they_come_one_by_one(memory, thread):
    recalls = Recalls(memory, thread, lambda: True)
    for _ in range(127):
        await recalls.run(asked(0))
    memory.calls.clear()
    await together(recalls, memory, asked(0), [asked(1), asked(2)])
    assert memory.calls == [(False, 1), (False, 2)]
    pair = recalls.run(asked(3)), recalls.run(asked(4))
    assert [number_of(each) for each in await asyncio.gather(*pair)] == [3, 4]
    assert memory.calls[2:] == [(False, 2)]
    for _ in range(20):
        await recalls.run(asked(5))
    assert memory.calls[3:] == 8 * [(False, 1)] + 12 * [(True, 1)]


async def test_pools_and_numbers_of_neighbours_are_kept_apart(memory, thread):
    recalls = Recalls(memory, thread, lambda: False)
    others = [asked(1, "q"), asked(2), asked(3, k=7), asked(4, "q"), asked(5, without="5")]
    found = await together(recalls, memory, asked(0), others)
    assert [number_of(each) for each in found[:5]] == [0, 1, 2, 3, 4]
    assert [len(each.neighbourhood.rows) for each in found] == [1, 1, 1, 7, 1, 1]
    assert number_of(found[5]) != 5
    assert sorted(memory.calls[1:]) == [(False, 1), (False, 2), (False, 2)]


async def test_a_bad_one_fails_alone(memory, thread):
    recalls = Recalls(memory, thread, lambda: False)
    nan, short = np.full(4, np.nan, np.float32), np.ones(3, np.float32)
    other = EmbeddingSpace("theirs", 4)
    others = [
        asked(1),
        asked(0, prompt=nan),
        asked(0, prompt=short),
        asked(0, "none"),
        asked(0, space=other),
        asked(2),
    ]
    found = await together(recalls, memory, asked(0), others)
    kinds = [InvalidArrayError, InvalidArrayError, PoolNotFoundError, SpaceMismatchError]
    assert [type(each) for each in found[2:6]] == kinds
    assert [number_of(found[place]) for place in (0, 1, 6)] == [0, 1, 2]


async def test_one_that_is_given_up_holds_up_nobody(memory, thread):
    recalls = Recalls(memory, thread, lambda: False)
    memory.go_on.clear()
    first, second, third = (asyncio.ensure_future(recalls.run(asked(n))) for n in range(3))
    while not memory.calls:
        await asyncio.sleep(0.001)
    waiting = asyncio.ensure_future(recalls.run(asked(3)))
    await asyncio.sleep(0)
    second.cancel()
    waiting.cancel()
    memory.go_on.set()
    assert (number_of(await first), number_of(await third)) == (0, 2)
    assert number_of(await recalls.run(asked(4))) == 4
    assert memory.calls == [(False, 3), (False, 1)]


async def test_what_waits_when_the_thread_is_shut_down_is_cancelled(memory):
    thread = ThreadPoolExecutor(1)
    recalls, hold = Recalls(memory, thread, lambda: False), threading.Event()
    thread.submit(hold.wait, 30)
    sent = asyncio.ensure_future(recalls.run(asked(0)))
    await asyncio.sleep(0.01)
    behind = asyncio.ensure_future(recalls.run(asked(1)))
    await asyncio.sleep(0.01)
    thread.shutdown(wait=False, cancel_futures=True)
    hold.set()
    for waiting in (sent, behind):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 30)


async def test_what_was_found_before_the_thread_is_shut_down_is_told(memory):
    thread = ThreadPoolExecutor(1)
    recalls = Recalls(memory, thread, lambda: False)
    memory.go_on.clear()
    first = asyncio.ensure_future(recalls.run(asked(0)))
    while not memory.calls:
        await asyncio.sleep(0.001)
    second = asyncio.ensure_future(recalls.run(asked(1)))
    await asyncio.sleep(0)
    thread.shutdown(wait=False)
    memory.go_on.set()
    assert number_of(await asyncio.wait_for(first, 30)) == 0
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(second, 30)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(recalls.run(asked(2)), 30)


async def test_one_that_has_gone_before_it_was_sent_is_not_searched_for(memory, thread):
    recalls = Recalls(memory, thread, lambda: False)
    gone = asyncio.ensure_future(recalls.run(asked(0)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0.02)
    assert number_of(await recalls.run(asked(1))) == 1
    assert memory.calls == [(False, 1)]
