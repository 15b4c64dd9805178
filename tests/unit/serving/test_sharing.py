"""Texts that came lately or are on their way: encoded once, whoever gives up or fails."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.tokeniser import Tokens
from server.batcher import EncodeBatcher
from server.errors import EncodingFailedError, OverloadedError
from server.recent_vectors import RecentVectors
from server.sharing import SharingEncoder
from server.tickets import EncodedTexts


class FakeEncoder:
    """Encodes a text as (its length, its first letter); waits at `gate`; fails on 'x'."""

    dimension = 2
    max_tokens = 100

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.tokenised: list[list[str]] = []
        self.encoded: list[str] = []

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        self.tokenised.append(list(texts))
        return [
            Tokens(np.array([ord(letter) for letter in text], np.int64), "!" in text)
            for text in texts
        ]

    def cut(self, tokens):
        return [range(len(tokens))]

    def encode_tokens(self, tokens: Sequence[Tokens], *, crowded: bool = False) -> np.ndarray:
        assert self.gate.wait(10)
        texts = ["".join(map(chr, each.ids)) for each in tokens]
        self.encoded.extend(texts)
        if any("x" in text for text in texts):
            raise RuntimeError("no x")
        return np.array([vector_of(text) for text in texts], np.float32)


def vector_of(text: str) -> list[float]:
    return [float(len(text)), float(ord(text[0]))]


@asynccontextmanager
async def running(encoder, *, most_bytes=10**6, batch_tokens=16):
    batcher = EncodeBatcher(encoder, batch_tokens=batch_tokens)
    sharing = SharingEncoder(batcher, RecentVectors(most_bytes), dimension=encoder.dimension)
    life = asyncio.create_task(batcher.run())
    try:
        yield sharing, batcher
    finally:
        encoder.gate.set()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


@asynccontextmanager
async def busy(encoder, **options):
    """With a batch of the text 'first' that does not end before the gate opens."""
    encoder.gate.clear()
    async with running(encoder, **options) as (sharing, batcher):
        first = asyncio.create_task(sharing.encode(["first"]))
        await until(lambda: batcher.stuck)
        yield sharing, batcher
        encoder.gate.set()
        await first


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def at_once(coroutine):
    """The result of a coroutine that never suspends."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


def rows(texts):
    return [vector_of(text) for text in texts]


async def test_what_was_encoded_is_answered_at_once_and_takes_no_time():
    encoder = FakeEncoder()
    async with running(encoder) as (sharing, _):
        await sharing.encode(["b", "ab!"])
        again = at_once(sharing.encode(["ab!", "b", "ab!"]))
    assert again.vectors.tolist() == rows(["ab!", "b", "ab!"])
    assert again.truncated.tolist() == [True, False, True]
    assert (again.tokenise_seconds, again.queue_seconds, again.encode_seconds) == (0, 0, 0)
    assert encoder.encoded == ["b", "ab!"]
    assert (sharing._recent.hits, sharing._recent.misses, sharing._recent.shared) == (3, 2, 0)


async def test_only_what_is_missing_is_sent_in_one_call_and_in_order():
    encoder = FakeEncoder()
    async with running(encoder) as (sharing, _):
        await sharing.encode(["known"])
        texts = ["c", "known", "a", "c", "b", "a"]
        encoded = await sharing.encode(texts)
    assert encoder.tokenised == [["known"], ["c", "a", "b"]]
    assert encoded.vectors.tolist() == rows(texts)
    assert (sharing._recent.hits, sharing._recent.misses, sharing._recent.shared) == (1, 4, 2)


async def test_no_text_needs_no_encoder():
    encoder = FakeEncoder()
    async with running(encoder) as (sharing, _):
        encoded = at_once(sharing.encode([]))
    assert encoded.vectors.shape == (0, 2)
    assert encoder.tokenised == []


async def test_the_times_are_those_of_what_was_sent():
    async with running(FakeEncoder()) as (sharing, _):
        encoded = await sharing.encode(["a"])
    assert encoded.tokenise_seconds > 0
    assert encoded.encode_seconds > 0


async def test_to_wait_for_another_is_to_queue():
    encoder = FakeEncoder()
    async with busy(encoder) as (sharing, _):
        joining = asyncio.create_task(sharing.encode(["first"]))
        await until(lambda: sharing._recent.shared)
        encoder.gate.set()
        encoded = await joining
    assert encoded.vectors.tolist() == rows(["first"])
    assert encoded.queue_seconds > 0
    assert encoded.tokenise_seconds == encoded.encode_seconds == 0


async def test_a_vector_that_was_handed_out_is_its_owners():
    async with running(FakeEncoder()) as (sharing, _):
        for encoded in [await sharing.encode(["a", "a"]), await sharing.encode(["a"])]:
            encoded.vectors[0] = 7
            assert encoded.vectors[1:].tolist() == rows("a" * (len(encoded.vectors) - 1))
        assert (await sharing.encode(["a"])).vectors.tolist() == rows(["a"])


async def test_a_vector_outlives_its_place():
    async with running(FakeEncoder()) as (sharing, _):
        await sharing.encode(["a"])
        one = sharing._recent.bytes
    async with running(FakeEncoder(), most_bytes=one) as (sharing, _):
        first = await sharing.encode(["a"])
        kept = await sharing.encode(["a"])
        for letter in "bcd":
            await sharing.encode([letter])
        assert first.vectors.tolist() == kept.vectors.tolist() == rows(["a"])
        assert (len(sharing._recent), sharing._recent.evictions) == (1, 3)


async def test_more_texts_than_there_is_room_for_are_answered_all_the_same():
    texts = [letter * 2 for letter in "abcdefgh"]
    async with running(FakeEncoder(), most_bytes=600) as (sharing, _):
        assert (await sharing.encode(texts)).vectors.tolist() == rows(texts)
        assert (await sharing.encode(texts)).vectors.tolist() == rows(texts)
        assert len(sharing._recent) == 2


async def test_who_began_may_go_and_the_others_still_get_theirs():
    encoder = FakeEncoder()
    async with busy(encoder) as (sharing, batcher):
        began = asyncio.create_task(sharing.encode(["a", "bb"]))
        await until(lambda: batcher._waiting)
        others = [asyncio.create_task(sharing.encode(["bb", "a"])) for _ in range(3)]
        await until(lambda: sharing._recent.shared == 6)
        began.cancel()
        others[0].cancel()
        encoder.gate.set()
        for task in others[1:]:
            assert (await task).vectors.tolist() == rows(["bb", "a"])
        assert not sharing._flights
    assert sorted(encoder.encoded) == ["a", "bb", "first"]
    assert batcher.dropped == 1


async def test_what_nobody_waits_for_any_more_is_not_encoded():
    encoder = FakeEncoder()
    async with busy(encoder) as (sharing, batcher):
        waiting = [asyncio.create_task(sharing.encode(["a"])) for _ in range(3)]
        await until(lambda: batcher._waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert set(sharing._flights) == {sharing._digest("first")}
        fresh = asyncio.create_task(sharing.encode(["a"]))
        encoder.gate.set()
        assert (await fresh).vectors.tolist() == rows(["a"])
    assert encoder.encoded == ["first", "a"]
    assert batcher.dropped == 1


async def test_one_who_has_no_time_left_leaves_the_others_theirs():
    class Refusing:
        dimension, calls = 2, 0

        async def encode(self, texts):
            self.calls += 1
            if self.calls == 1:
                await asyncio.sleep(0.01)
                raise OverloadedError("No time.", retry_after=1.0)
            count = len(texts)
            return EncodedTexts(np.ones((count, 2), np.float32), np.zeros(count, bool), 0, 0, 0)

    behind = Refusing()
    sharing = SharingEncoder(behind, RecentVectors(10**6), dimension=2)
    calls = [sharing.encode(["a"]) for _ in range(4)]
    first, *others = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, OverloadedError)
    assert [each.vectors.tolist() for each in others] == [[[1, 1]]] * 3
    assert behind.calls == 2


async def test_one_who_gives_up_before_the_first_step_leaves_nothing_behind():
    async with running(FakeEncoder()) as (sharing, _):
        task = asyncio.create_task(sharing.encode(["a"]))
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not sharing._flights
        assert (await sharing.encode(["a"])).vectors.tolist() == rows(["a"])


async def test_a_failure_is_everyones_who_waits_and_nobodys_after():
    encoder = FakeEncoder()
    honest = encoder.encode_tokens
    async with busy(encoder, batch_tokens=1) as (sharing, _):
        waiting = [asyncio.create_task(sharing.encode(["x"])) for _ in range(3)]
        fine = asyncio.create_task(sharing.encode(["a"]))
        await until(lambda: sharing._recent.shared == 2)
        encoder.gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in results] == [EncodingFailedError] * 3
        assert (await fine).vectors.tolist() == rows(["a"])
        assert not sharing._flights
        with pytest.raises(EncodingFailedError):
            await sharing.encode(["x"])
        encoder.encode_tokens = lambda tokens, **_: np.ones((len(tokens), 2), np.float32)
        assert (await sharing.encode(["x"])).vectors.all()
        encoder.encode_tokens = honest
    assert encoder.encoded.count("x") == 2


async def test_a_prompt_does_not_wait_for_the_answers_that_came_with_its_twin():
    encoder = FakeEncoder()
    async with busy(encoder, batch_tokens=6) as (sharing, _):
        large = asyncio.create_task(sharing.encode(["prompt", *(f"answer{i}" for i in range(9))]))
        await until(lambda: len(encoder.tokenised) == 2)
        small = asyncio.create_task(sharing.encode(["prompt"]))
        await until(lambda: len(encoder.tokenised) == 3)
        follower = asyncio.create_task(sharing.encode(["prompt", "other"]))
        await until(lambda: len(encoder.tokenised) == 4)
        encoder.gate.set()
        for task in (small, follower, large):
            assert (await task).vectors[0].tolist() == vector_of("prompt")
    assert encoder.tokenised[2:] == [["prompt"], ["other"]]
    assert encoder.encoded.count("prompt") == 2
    assert encoder.encoded.index("other") < encoder.encoded.index("answer5")
    assert not sharing._flights


async def test_encoders_do_not_answer_for_each_other():
    recent, encoder = RecentVectors(10**6), FakeEncoder()
    async with running(encoder) as (sharing, batcher):
        for _ in range(2):
            await SharingEncoder(batcher, recent, dimension=2).encode(["warm"])
    assert encoder.encoded == ["warm"] * 2
    assert sharing._digest("warm") not in recent._vectors


async def test_no_text_is_kept():
    encoder = FakeEncoder()
    secret = "nobody may read this"
    async with running(encoder, batch_tokens=100) as (sharing, _):
        await sharing.encode([secret, secret])
        encoder.tokenised.clear()
        encoder.encoded.clear()
        await asyncio.sleep(0)
        gc.collect()
        seen = everything(sharing._recent) + everything(sharing._flights)
        assert not any(isinstance(each, str) and "nobody" in each for each in seen)
        assert not any(isinstance(each, bytes) and b"nobody" in each for each in seen)
        assert sum(isinstance(each, bytes) for each in seen) == 2


def everything(root):
    """All objects that can be reached without passing a class or a module."""
    seen, left = {}, [root]
    while left:
        each = left.pop()
        if id(each) not in seen and not isinstance(each, type):
            seen[id(each)] = each
            left.extend(gc.get_referents(each))
    return list(seen.values())


class Text(str):
    """A text whose end can be seen."""

    __slots__ = ("__weakref__",)


async def test_a_waiting_text_is_held_by_nobody():
    encoder = FakeEncoder()
    async with busy(encoder) as (sharing, batcher):
        texts = [Text("long gone")]
        seen = weakref.ref(texts[0])
        waiting = asyncio.create_task(sharing.encode(texts))
        await until(lambda: any(ticket.pending for ticket in batcher._waiting))
        del texts
        encoder.tokenised.clear()
        await until(lambda: seen() is None)
        encoder.gate.set()
        assert (await waiting).vectors.tolist() == rows(["long gone"])


async def test_a_lone_surrogate_is_a_text_like_any_other():
    async with running(FakeEncoder()) as (sharing, _):
        first = await sharing.encode(["\ud800", "\ud801"])
        assert at_once(sharing.encode(["\ud801", "\ud800"])).vectors.tolist() == (
            first.vectors[::-1].tolist()
        )


TEXTS = ["a", "bb", "c!", "dddd", "x"]
calls = st.lists(
    st.tuples(
        st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4),
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(0, 4)),
    ),
    min_size=1,
    max_size=10,
)


@settings(deadline=None, max_examples=150)
@given(calls, st.sampled_from([0, 300, 10**6]), st.booleans(), st.integers(0, 6))
def test_whoever_gives_up_whenever_everyone_else_gets_their_own(calls, most, open_early, steps):
    async def scenario():
        encoder = FakeEncoder()
        if not open_early:
            encoder.gate.clear()
        async with running(encoder, most_bytes=most, batch_tokens=3) as (sharing, batcher):
            tasks = [asyncio.create_task(call(sharing, *each)) for each in calls]
            for _ in range(steps):
                await asyncio.sleep(0.0005)
            encoder.gate.set()
            async with asyncio.timeout(10):
                results = await asyncio.gather(*tasks, return_exceptions=True)
                await batcher.idle()
            assert not sharing._flights
            assert (await sharing.encode(["a", "bb"])).vectors.tolist() == rows(["a", "bb"])
        for each, result in zip(calls, results, strict=True):
            check(*each, result, any("x" in texts for texts, _, _ in calls))

    asyncio.run(scenario())


async def call(sharing, texts, start, stop):
    """Encodes texts from the step `start` on, and gives up `stop` steps later."""
    for _ in range(start):
        await asyncio.sleep(0)
    task = asyncio.create_task(sharing.encode(texts))
    if stop is not None:
        for _ in range(stop):
            await asyncio.sleep(0)
        task.cancel()
    return await task


def check(texts, _start, stop, result, may_fail):
    if isinstance(result, asyncio.CancelledError):
        assert stop is not None
    elif isinstance(result, EncodingFailedError):
        assert may_fail
    else:
        assert result.vectors.tolist() == rows(texts)
        assert result.truncated.tolist() == ["!" in text for text in texts]
