"""Encoders that are shared, and what is left of them when nobody needs them."""

import asyncio
import threading
from contextlib import asynccontextmanager

import numpy as np

from encoders import Tokens
from server.parts import Parts
from server.recent_vectors import RecentVectors
from server.routers.shelf import EncoderShelf

NONE = RecentVectors(0)


class Encoder:
    revision, dimension, max_tokens = "e", 2, 8
    batch_tokens, batches_at_a_time = 8, 1

    def __init__(self) -> None:
        self.runs = 0
        self.go, self.begun = threading.Event(), threading.Event()
        self.go.set()

    def tokenise(self, texts):
        return [Tokens(np.array([1], np.int64), truncated=False) for _ in texts]

    def cut(self, tokens):
        return [range(len(tokens))]

    def encode_tokens(self, tokens, *, crowded=False):
        self.runs += 1
        self.begun.set()
        assert self.go.wait(20)
        return np.ones((len(tokens), 2), np.float32)


@asynccontextmanager
async def shelf(recent=NONE):
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        try:
            yield EncoderShelf(parts, batch_tokens=8, recent=recent)
        finally:
            parts.stop()


async def test_an_encoder_stays_until_its_last_borrower_gives_it_back():
    async with shelf() as lending:
        encoder = Encoder()
        served = lending.lend(encoder)
        assert await lending.borrow("e", lambda: 1 / 0) is served
        assert lending.lend(Encoder()) is served
        for _ in range(2):
            lending.give_back(served)
            assert lending.revisions == ["e"]
        assert (await served.encoder.encode(["a"])).vectors.all()
        lending.give_back(served)
        assert lending.revisions == []
        again = lending.lend(encoder)
        assert again is not served
        assert (await again.encoder.encode(["a"])).vectors.all()


async def test_two_who_load_the_same_encoder_at_once_share_it():
    async with shelf() as lending:
        first, second = await asyncio.gather(*(lending.borrow("e", Encoder) for _ in range(2)))
        assert first is second


async def test_a_batch_whose_callers_gave_up_is_waited_for():
    async with shelf() as lending:
        encoder = Encoder()
        encoder.go.clear()
        served = lending.lend(encoder)
        call = asyncio.create_task(served.encoder.encode(["a"]))
        await asyncio.to_thread(encoder.begun.wait, 20)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        lending.give_back(served)
        await asyncio.sleep(0)
        assert lending.stuck
        encoder.go.set()
        async with asyncio.timeout(20):
            await lending.idle()
        assert not lending.stuck


async def test_what_waits_is_counted_until_its_encoder_has_gone():
    async with shelf() as lending:
        encoder = Encoder()
        encoder.go.clear()
        served = lending.lend(encoder)
        assert lending.waiting_tokens == 0
        call = asyncio.create_task(served.encoder.encode(["a"]))
        await asyncio.to_thread(encoder.begun.wait, 20)
        waiting = lending.waiting_tokens
        lending.give_back(served)
        assert waiting == lending.waiting_tokens > 0
        encoder.go.set()
        await call
        await asyncio.sleep(0.05)
        assert lending.waiting_tokens == 0


async def test_a_text_that_comes_again_is_not_encoded_again():
    async with shelf(recent=RecentVectors(10**6)) as lending:
        encoder = Encoder()
        served = lending.lend(encoder)
        for _ in range(3):
            assert (await served.encoder.encode(["a"])).vectors.all()
        assert encoder.runs == 1
        assert (lending.recent.hits, lending.recent.misses) == (2, 1)


async def test_an_encoder_that_comes_back_is_run_and_not_remembered():
    async with shelf(recent=RecentVectors(10**6)) as lending:
        for encoder in (Encoder(), Encoder()):
            served = lending.lend(encoder)
            await served.encoder.encode(["warm"])
            lending.give_back(served)
            assert encoder.runs == 1


async def test_with_room_for_none_every_text_is_encoded():
    async with shelf(recent=RecentVectors(0)) as lending:
        encoder = Encoder()
        served = lending.lend(encoder)
        for _ in range(2):
            await served.encoder.encode(["a"])
        assert encoder.runs == 2
        assert (lending.recent.hits, lending.recent.misses) == (0, 0)
