"""Routers in service: who may still use the old one, and what a failed reload leaves."""

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager

import numpy as np
import pytest
from structlog.testing import capture_logs

from encoders import Tokens
from encoders.errors import ArtefactInvalidError
from scoring.memory import EmbeddingSpace, Memory, MemorySettings
from scoring.routers import CosineRouter, SmoothieRouter
from server.errors import InvalidRequestError, OverloadedError, RouterNotFoundError, StartError
from server.parts import Parts
from server.recent_vectors import RecentVectors
from server.routers.registry import RouterRegistry
from server.routers.shelf import EncoderShelf
from server.routers.values import ServedRouter
from server.settings import load_settings


class Encoder:
    dimension, max_tokens = 2, 8
    batch_tokens, batches_at_a_time = 8, 1

    def __init__(self, revision="e") -> None:
        self.revision = revision

    def tokenise(self, texts):
        return [Tokens(np.array([1], np.int64), truncated=False) for _ in texts]

    def cut(self, tokens):
        return [range(len(tokens))]

    def encode_tokens(self, tokens, *, crowded=False):
        return np.ones((len(tokens), 2), np.float32)


class Artefact:
    def __init__(self, revision, encoder) -> None:
        self.revision, self.encoder = revision, encoder


class Loader:
    """Reads what the test says there is."""

    def __init__(self, shelf) -> None:
        self.shelf = shelf
        self.there = Artefact("r1", "e1")
        self.reading = asyncio.Event()
        self.reading.set()
        self.at_once = self.most_at_once = self.reads = 0

    async def read(self, directory):
        self.at_once += 1
        self.reads += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.reading.wait()
        await asyncio.sleep(0)
        self.at_once -= 1
        if isinstance(self.there, Exception):
            raise self.there
        return self.there

    async def of_artefact(self, name, section, artefact):
        served = await self.shelf.borrow(artefact.encoder, lambda: Encoder(artefact.encoder))
        return ServedRouter(
            name=name,
            section=section,
            router=CosineRouter("routerdc", ["m"], np.ones((1, 2), np.float32)),
            served=served,
            loaded_at=0.0,
            space=EmbeddingSpace("e", 2),
            models=("m",),
            revision=artefact.revision,
        )

    def over_pool(self, name, section):
        router = SmoothieRouter(None, section.pool)
        served = self.shelf.lend(Encoder("default"))
        return ServedRouter(name, section, router, served, 0.0, pool=section.pool)

    def release(self, router):
        self.shelf.give_back(router.served)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(directory=tmp_path / "memory")) as memory:
        yield memory


@pytest.fixture
def opened(tmp_path, memory):
    """Opens a registry of one router, `main`, with a loader that the test directs."""

    @asynccontextmanager
    async def opened(**flags):
        settings = load_settings(None, {"routers.main.directory": tmp_path, **flags})
        async with asyncio.TaskGroup() as group:
            parts = Parts(group)
            shelf = EncoderShelf(parts, batch_tokens=8, recent=RecentVectors(0))
            loader = Loader(shelf)

            async def warm_up(router):
                assert (await router.served.encoder.encode(["warm"])).vectors.any()

            registry = RouterRegistry(settings, loader, memory, parts, warm_up)
            await registry.open()
            try:
                yield registry, loader, shelf
            finally:
                parts.stop()

    return opened


async def settle(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_request_in_flight_keeps_its_router_and_its_encoder(opened):
    async with opened() as (registry, loader, shelf):
        loader.there = Artefact("r2", "e2")
        with registry.use("main") as old, registry.use("") as also:
            assert old is also
            assert (await registry.reload("main", None)).revision == "r2"
            assert shelf.revisions == ["e1", "e2"]
            assert (await old.served.encoder.encode(["still"])).vectors.shape == (1, 2)
            with registry.use("main") as new:
                assert new.revision == "r2"
        assert shelf.revisions == ["e2"]


async def test_the_encoder_of_an_old_router_leaves_the_process(opened):
    async with opened() as (registry, loader, shelf):
        batcher = weakref.ref(registry._slots["main"].held.router.served.encoder)
        loader.there = Artefact("r2", "e2")
        await registry.reload("main", None)

        def gone():
            gc.collect()
            return batcher() is None

        await settle(gone)
        assert not shelf.stuck


async def test_an_encoder_that_both_need_is_shared(opened):
    async with opened() as (registry, loader, shelf):
        before = registry._slots["main"].held.router.served
        loader.there = Artefact("r2", "e1")
        await registry.reload("main", None)
        with registry.use("main") as router:
            assert router.served is before
            assert (await router.served.encoder.encode(["a"])).vectors.shape == (1, 2)
        assert shelf.revisions == ["e1"]


@pytest.mark.parametrize("error", [ArtefactInvalidError("It is bad"), ValueError("a secret")])
async def test_a_failed_reload_leaves_the_old_router_and_the_process(opened, error):
    async with opened() as (registry, loader, shelf):
        loader.there = error
        with pytest.raises(type(error)):
            await registry.reload("main", None)
        report = registry.report("main")
        assert report.revision == "r1"
        assert report.last_error
        assert "secret" not in report.last_error
        loader.there = Artefact("r1", "e1")
        assert (await registry.reload("main", None)).last_error == ""
        assert shelf.revisions == ["e1"]


async def test_a_router_that_stays_cold_gives_its_encoder_back(opened, monkeypatch):
    async with opened() as (registry, loader, shelf):

        async def cold(_):
            raise ArtefactInvalidError("It is cold")

        monkeypatch.setattr(registry, "_warm_up", cold)
        loader.there = Artefact("r2", "e2")
        with pytest.raises(ArtefactInvalidError, match="cold"):
            await registry.reload("main", None)
        assert shelf.revisions == ["e1"]
        assert registry.report("main").revision == "r1"


async def test_a_caller_who_gives_up_does_not_stop_a_reload(opened):
    async with opened() as (registry, loader, _):
        loader.there = Artefact("r2", "e2")
        loader.reading.clear()
        call = asyncio.create_task(registry.reload("main", None))
        await settle(lambda: loader.at_once == 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        loader.reading.set()
        await settle(lambda: registry.report("main").revision == "r2")


async def given_up(call):
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_reloads_of_callers_who_gave_up_do_not_pile_up(opened):
    async with opened() as (registry, loader, _):
        loader.there = Artefact("r2", "e2")
        loader.reading.clear()
        for _ in range(20):
            await given_up(asyncio.create_task(registry.reload("main", None)))
        await settle(lambda: loader.at_once == 1)
        for _ in range(20):
            await given_up(asyncio.create_task(registry.reload("main", None)))
        last = asyncio.create_task(registry.reload("main", None))
        await asyncio.sleep(0)
        loader.reading.set()
        assert (await last).revision == "r2"
        assert loader.reads == 3  # at the start, the one that ran, the one that waited


async def test_reloads_from_many_directories_are_refused(opened, tmp_path):
    async with opened() as (registry, loader, _):
        loader.reading.clear()
        for number in range(9):  # one runs, and eight wait
            await given_up(asyncio.create_task(registry.reload("main", tmp_path / str(number))))
        with pytest.raises(OverloadedError):
            await asyncio.wait_for(registry.reload("main", tmp_path / "more"), 5)
        loader.reading.set()


async def test_an_error_of_another_directory_is_its_callers_alone(opened, tmp_path):
    async with opened() as (registry, loader, _):
        loader.there = ArtefactInvalidError("It is bad")
        with pytest.raises(ArtefactInvalidError):
            await registry.reload("main", tmp_path / "another")
        assert registry.report("main").last_error == ""
        with pytest.raises(ArtefactInvalidError):
            await registry.reload("main", tmp_path)
        assert registry.report("main").last_error == "It is bad"
        with pytest.raises(ArtefactInvalidError):
            await registry.reload("main", tmp_path / "another")
        assert registry.report("main").last_error == "It is bad"


async def test_a_look_that_fails_ends_neither_the_watch_nor_the_process(
    opened, tmp_path, monkeypatch
):
    looks = []

    def fails(directory):
        looks.append(directory)
        raise RecursionError("a secret")

    async with opened(watch_interval=0.01) as (registry, loader, _):
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr("server.routers.registry.fingerprint", fails)
            watching = asyncio.create_task(registry.watch())
            await settle(lambda: len(looks) > 3)
            with pytest.raises(RecursionError):
                await registry.reload("main", None)
            assert registry.report("main").last_error
        assert [each["event"] for each in logs if each["event"] == "watch"] == ["watch"]
        assert "secret" not in str(logs)
        loader.there = Artefact("r2", "e2")
        (tmp_path / "a").write_text("1")
        await settle(lambda: registry.report("main").revision == "r2")
        assert not watching.done()
        watching.cancel()


async def test_reloads_of_one_router_take_turns(opened, tmp_path):
    async with opened() as (registry, loader, _):
        directories = [None, tmp_path, tmp_path / "a", tmp_path / "b"]
        await asyncio.gather(*(registry.reload("main", each) for each in directories))
        assert loader.reads == 5
        assert loader.most_at_once == 1


async def test_what_is_watched_is_reloaded_and_a_fault_does_not_end_the_watch(opened, tmp_path):
    async with opened(watch_interval=0.01) as (registry, loader, _):
        watching = asyncio.create_task(registry.watch())
        loader.there = ValueError("a bug")
        (tmp_path / "a").write_text("1")
        await settle(lambda: registry.report("main").last_error)
        loader.there = Artefact("r2", "e2")
        (tmp_path / "a").write_text("22")
        await settle(lambda: registry.report("main").revision == "r2")
        assert not watching.done()
        watching.cancel()


async def test_a_router_that_is_not_there_is_refused(opened):
    async with opened() as (registry, _, _):
        with pytest.raises(RouterNotFoundError, match="main"), registry.use("nobody"):
            pass


async def test_a_router_over_a_pool_has_nothing_to_reload(opened):
    flags = {"routers.free.kind": "smoothie", "default_router": "main"}
    async with opened(**flags) as (registry, _, _):
        with pytest.raises(InvalidRequestError, match="smoothie"):
            await registry.reload("free", None)


async def test_an_artefact_that_is_broken_at_the_start_is_refused_by_its_setting(
    opened, monkeypatch
):
    async def read(_, __):
        raise ArtefactInvalidError("It is bad")

    monkeypatch.setattr(Loader, "read", read)
    with pytest.raises(ExceptionGroup) as caught:
        async with opened():
            pass
    assert caught.group_contains(StartError, match=r"It is bad \(routers\.main\.directory\)\.")
