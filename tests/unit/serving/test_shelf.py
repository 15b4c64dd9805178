"""Encoders that are shared, and what is left of them when nobody needs them."""

import asyncio
import threading
from contextlib import asynccontextmanager

import numpy as np

from encoders import Tokens
from server.parts import Parts
from server.routers.shelf import EncoderShelf


class Encoder:
    revision, dimension, max_tokens = "e", 2, 8

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.go.set()

    def tokenise(self, texts):
        return [Tokens(np.array([1], np.int64), truncated=False) for _ in texts]

    def encode_tokens(self, tokens):
        self.begun.set()
        assert self.go.wait(20)
        return np.ones((len(tokens), 2), np.float32)


@asynccontextmanager
async def shelf():
    async with asyncio.TaskGroup() as group:
        parts = Parts(group)
        try:
            yield EncoderShelf(parts, batch_tokens=8)
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
