"""The batcher: everybody gets their own vectors, whoever else is cancelled or fails."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.tokeniser import Tokens
from server.batcher import EncodeBatcher
from server.calls import Call, begin
from server.errors import EncodingFailedError, OverloadedError

DIMENSION = 2


class FakeEncoder:
    """Encodes a text of n letters as (n, first letter); waits at `gate`; fails on 'x'."""

    dimension = DIMENSION
    max_tokens = 100

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[int]] = []

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return [
            Tokens(np.array([ord(letter) for letter in text], np.int64), "!" in text)
            for text in texts
        ]

    def cut(self, tokens):
        return [range(len(tokens))]

    def encode_tokens(self, tokens: Sequence[Tokens], *, crowded: bool = False) -> np.ndarray:
        assert self.gate.wait(10)
        self.batches.append([len(each.ids) for each in tokens])
        if any(ord("x") in each.ids for each in tokens):
            raise RuntimeError("no x")
        return np.array([vector_of(bytes(each.ids.tolist()).decode()) for each in tokens])


def vector_of(text: str) -> tuple[float, float]:
    return float(len(text)), float(ord(text[0]))


@asynccontextmanager
async def running(encoder: FakeEncoder, batch_tokens: int = 16, batches: int = 1):
    batcher = EncodeBatcher(encoder, batch_tokens=batch_tokens, batches=batches)
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher
    finally:
        encoder.gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_vectors_come_in_the_order_of_the_texts():
    async with running(FakeEncoder()) as batcher:
        encoded = await batcher.encode(["abc", "d", "ef!"])
    assert encoded.vectors.tolist() == [list(vector_of(text)) for text in ("abc", "d", "ef!")]
    assert encoded.truncated.tolist() == [False, False, True]


async def test_no_text_needs_no_batch():
    encoder = FakeEncoder()
    async with running(encoder) as batcher:
        encoded = await batcher.encode([])
    assert encoded.vectors.shape == (0, DIMENSION)
    assert encoder.batches == []


async def test_a_batch_stays_within_its_budget_unless_one_text_is_larger():
    encoder = FakeEncoder()
    async with running(encoder, batch_tokens=5) as batcher:
        await batcher.encode(["aaa", "bb", "cccccccc", "d"])
    assert encoder.batches == [[3, 2], [8], [1]]


async def test_requests_that_wait_share_a_batch():
    encoder = FakeEncoder()
    encoder.gate.clear()
    async with running(encoder) as batcher:
        first = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck and not batcher._waiting)
        others = [asyncio.create_task(batcher.encode([text])) for text in ("bb", "cc")]
        await until(lambda: len(batcher._waiting) == 2)
        encoder.gate.set()
        await asyncio.gather(first, *others)
    assert encoder.batches == [[1], [2, 2]]


async def test_a_failing_batch_fails_its_own_callers_only():
    encoder = FakeEncoder()
    async with running(encoder, batch_tokens=1) as batcher:
        good, bad = await asyncio.gather(
            batcher.encode(["a"]), batcher.encode(["x", "b"]), return_exceptions=True
        )
        again = await batcher.encode(["c"])
    assert good.vectors.tolist() == [[1.0, ord("a")]]
    assert isinstance(bad, EncodingFailedError)
    assert again.vectors.tolist() == [[1.0, ord("c")]]


async def test_a_cancelled_caller_is_dropped_when_the_batch_is_formed():
    encoder = FakeEncoder()
    encoder.gate.clear()
    async with running(encoder) as batcher:
        running_one = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck and not batcher._waiting)
        doomed = asyncio.create_task(batcher.encode(["bbb"]))
        await until(lambda: len(batcher._waiting) == 1)
        doomed.cancel()
        encoder.gate.set()
        await running_one
        await batcher.encode(["c"])
    assert encoder.batches == [[1], [1]]
    assert batcher.dropped == 1


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12), st.booleans()
)
def test_whoever_is_cancelled_everyone_else_gets_their_own(callers, in_runs):
    async def scenario():
        encoder = FakeEncoder()
        if in_runs:
            encoder.cut = one_by_one
        encoder.gate.clear()
        async with running(encoder, batch_tokens=4) as batcher:
            texts = [chr(ord("A") + index) * length for index, (length, _) in enumerate(callers)]
            tasks = [asyncio.create_task(batcher.encode([text, text])) for text in texts]
            await asyncio.sleep(0.005)
            for task, (_, cancel) in zip(tasks, callers, strict=True):
                if cancel:
                    task.cancel()
            encoder.gate.set()
            results = await asyncio.wait_for(
                asyncio.gather(*tasks, return_exceptions=True), timeout=10
            )
        for text, result, (_, cancel) in zip(texts, results, callers, strict=True):
            if cancel:
                assert isinstance(result, asyncio.CancelledError)
            else:
                assert result.vectors.tolist() == [list(vector_of(text))] * 2

    asyncio.run(scenario())


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_long_request_does_not_hold_up_a_short_one():
    encoder = FakeEncoder()
    encoder.gate.clear()
    async with running(encoder, batch_tokens=2) as batcher:
        long = asyncio.create_task(batcher.encode(["aa"] * 20))
        await until(lambda: batcher._waiting)
        short = asyncio.create_task(batcher.encode(["b"]))
        await until(lambda: len(batcher._waiting) == 2)
        encoder.gate.set()
        await asyncio.gather(short, long)
    assert encoder.batches.index([1]) <= 3


async def test_a_caller_has_its_vectors_when_its_own_run_ends():
    encoder = FakeEncoder()
    encoder.cut = one_by_one
    encoder.gate.clear()
    async with running(encoder) as batcher:
        first = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck and not batcher._waiting)
        both = [asyncio.create_task(batcher.encode([text])) for text in ("bb", "cc")]
        await until(lambda: len(batcher._waiting) == 2)
        honest, reached, gate = encoder.encode_tokens, threading.Event(), threading.Event()

        def encode_tokens(tokens, **how):
            if tokens[0].ids[0] == ord("c"):
                reached.set()
                assert gate.wait(10)
            return honest(tokens, **how)

        encoder.encode_tokens = encode_tokens
        encoder.gate.set()
        await asyncio.gather(first, both[0])
        await until(reached.is_set)
        assert not both[1].done()
        gate.set()
        assert (await both[1]).vectors.tolist() == [list(vector_of("cc"))]


async def test_a_failing_run_fails_those_who_are_in_it_and_not_the_rest_of_the_batch():
    encoder = FakeEncoder()
    encoder.cut = one_by_one
    encoder.gate.clear()
    async with running(encoder) as batcher:
        first = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck and not batcher._waiting)
        texts = (["x", "b"], ["b"], ["c", "d"])
        tasks = [asyncio.create_task(batcher.encode(each)) for each in texts]
        await until(lambda: len(batcher._waiting) == 3)
        encoder.gate.set()
        bad, *good = await asyncio.gather(*tasks, return_exceptions=True)
        await first
        assert batcher.backlog.tokens == 0
    assert isinstance(bad, EncodingFailedError)
    assert [len(each.vectors) for each in good] == [1, 2]


def one_by_one(tokens):
    return [[index] for index in range(len(tokens))]


async def test_an_encoder_that_miscounts_fails_its_batch_and_not_the_server():
    encoder = FakeEncoder()
    honest = encoder.encode_tokens
    encoder.encode_tokens = lambda tokens, **how: honest(tokens, **how)[1:]
    async with running(encoder) as batcher:
        with pytest.raises(EncodingFailedError):
            await batcher.encode(["a", "b"])
        encoder.encode_tokens = honest
        assert len((await batcher.encode(["a"])).vectors) == 1


async def test_those_who_wait_when_the_batcher_ends_are_told():
    encoder = FakeEncoder()
    encoder.gate.clear()
    async with running(encoder) as batcher:
        running_one = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck)
        waiting_one = asyncio.create_task(batcher.encode(["b"]))
        await until(lambda: any(ticket.pending for ticket in batcher._waiting))
    async with asyncio.timeout(5):
        with pytest.raises(EncodingFailedError):
            await waiting_one
    running_one.cancel()


async def test_the_end_of_the_batcher_ends_its_threads():
    encoder = FakeEncoder()
    before = set(threading.enumerate())
    async with running(encoder, batches=2) as batcher:
        await batcher.encode(["a"])
        assert len(set(threading.enumerate()) - before) == 3
    with pytest.raises(EncodingFailedError):
        await batcher.encode(["b"])
    await until(lambda: not set(threading.enumerate()) - before)


async def test_texts_that_cannot_be_tokenised_fail_their_caller_only():
    encoder = FakeEncoder()
    honest = encoder.tokenise
    encoder.tokenise = lambda texts: honest([{"bad": None}.get(text, text) for text in texts])
    async with running(encoder) as batcher:
        good, bad = await asyncio.gather(
            batcher.encode(["a"]), batcher.encode(["bad"]), return_exceptions=True
        )
    assert good.vectors.tolist() == [[1.0, ord("a")]]
    assert isinstance(bad, EncodingFailedError)
    assert batcher.backlog.tokens == 0


async def test_a_thread_that_dies_ends_the_batcher():
    encoder = FakeEncoder()
    batcher = EncodeBatcher(encoder, batch_tokens=16)

    def broken():
        raise MemoryError

    batcher._waiting.next_run = broken
    life = asyncio.create_task(batcher.run())
    waiting = asyncio.create_task(batcher.encode(["a"]))
    await asyncio.wait([life], timeout=10)
    assert isinstance(life.exception(), RuntimeError)
    with pytest.raises(EncodingFailedError):
        await waiting


async def test_batches_run_beside_each_other():
    encoder = FakeEncoder()
    meeting = threading.Barrier(2, timeout=10)
    honest = encoder.encode_tokens

    def encode_tokens(tokens, **how):
        meeting.wait()
        return honest(tokens, **how)

    encoder.encode_tokens = encode_tokens
    async with running(encoder, batch_tokens=1, batches=2) as batcher:
        both = await asyncio.gather(batcher.encode(["a"]), batcher.encode(["b"]))
        split = await batcher.encode(["c", "d"])
    assert [each.vectors.tolist() for each in both] == [[[1.0, ord("a")]], [[1.0, ord("b")]]]
    assert split.vectors.tolist() == [[1.0, ord("c")], [1.0, ord("d")]]


async def test_a_run_is_told_whether_other_threads_encode_as_well():
    encoder, told = FakeEncoder(), {}
    honest, release = encoder.encode_tokens, threading.Event()

    def encode_tokens(tokens, *, crowded=False):
        told[chr(tokens[0].ids[0])] = crowded
        if tokens[0].ids[0] == ord("b"):
            assert release.wait(10)
        return honest(tokens)

    encoder.encode_tokens = encode_tokens
    async with running(encoder, batch_tokens=1, batches=2) as batcher:
        await batcher.encode(["a"])
        busy = asyncio.create_task(batcher.encode(["b"]))
        await until(lambda: "b" in told)
        await batcher.encode(["c"])
        release.set()
        await busy
        await batcher.encode(["d"])
    assert told == {"a": False, "b": False, "c": True, "d": False}


async def test_the_only_thread_has_all_cores_whoever_waits():
    encoder, told = FakeEncoder(), []
    honest = encoder.encode_tokens

    def encode_tokens(tokens, *, crowded=False):
        told.append(crowded)
        return honest(tokens)

    encoder.encode_tokens = encode_tokens
    async with running(encoder, batch_tokens=1) as batcher:
        await batcher.encode(["a", "b", "c"])
    assert told == [False] * 3


async def test_a_text_counts_for_no_more_tokens_than_are_read_of_it():
    encoder, split = FakeEncoder(), threading.Event()
    encoder.gate.clear()
    async with running(encoder) as batcher:
        first = asyncio.create_task(batcher.encode(["a"]))
        await until(lambda: batcher.stuck)
        tokenise = encoder.tokenise
        encoder.tokenise = lambda texts: split.wait(10) and tokenise(texts)
        long = asyncio.create_task(batcher.encode(["b" * 4000, "c" * 40]))
        await asyncio.sleep(0)
        assert batcher.backlog.tokens == 1 + 100 + 12
        long.cancel()
        split.set()
        encoder.gate.set()
        await first


@pytest.mark.parametrize("texts", [["aaaa"], ["aaaa", "bb"], ["x", "aaaa"]])
async def test_the_backlog_is_empty_when_nothing_waits(texts):
    async with running(FakeEncoder(), batch_tokens=4) as batcher:
        gone = asyncio.create_task(batcher.encode(["ccc"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(batcher.encode(texts), gone, return_exceptions=True)
        await batcher.encode(["a"])
        assert batcher.backlog.tokens == 0


async def test_what_cannot_be_done_in_time_is_refused_before_any_work():
    encoder = FakeEncoder()
    async with running(encoder, batch_tokens=4) as batcher:
        await batcher.encode(["aaaa"])
        encoder.gate.clear()
        held = asyncio.create_task(batcher.encode(["bbbb"]))
        await until(lambda: batcher.stuck)
        batcher.backlog._seconds_per_token = 1.0
        with pytest.raises(OverloadedError) as refused:
            await asyncio.create_task(within(2.0, batcher.encode(["cccc"])))
        assert refused.value.retry_after > 2
        patient = [
            asyncio.create_task(within(None, batcher.encode(["dddd"]))),
            asyncio.create_task(within(1000.0, batcher.encode(["eeee"]))),
        ]
        await until(lambda: len(batcher._waiting) == 2)
        encoder.gate.set()
        await asyncio.gather(held, *patient)
        assert batcher.backlog.refused == 1
        assert sum(map(len, encoder.batches)) == 4


async def within(seconds: float, work):
    ends_at = None if seconds is None else time.monotonic() + seconds
    begin(Call("/method", "id", time.monotonic(), ends_at))
    return await work
