"""A prompt on its way through a router, where the wire shows little."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from scoring.errors import NoCandidateError, RouterUnreadyError, SpaceMismatchError
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewOutcome, NewSample
from scoring.policies import Budget, Policy, Threshold
from scoring.routers import CosineRouter, OutcomeRouter, SmoothieRouter
from server.encoding import EncoderIdentity, ServedEncoder
from server.pool_scores import PoolScores
from server.requests import PromptVector, RouteRequest
from server.routers.settings import (
    ArtefactRouterSettings,
    KnnRouterSettings,
    SmoothieRouterSettings,
)
from server.routers.values import ServedRouter
from server.routing import Routing
from server.spaces import pool_revision
from server.tickets import EncodedTexts
from server.worker import EstimateWorker

OURS = EmbeddingSpace("encoder/rev/generation", 2)
THEIRS = EmbeddingSpace("vectors/caller", 2)
KINDS = {
    "smoothie": (SmoothieRouterSettings, SmoothieRouter),
    "knn": (KnnRouterSettings, OutcomeRouter),
}


class Encoder:
    """Counts what it encodes, and does what the test wants meanwhile."""

    def __init__(self, meanwhile=lambda: None) -> None:
        self.encoded = 0
        self.meanwhile = meanwhile

    async def encode(self, texts):
        self.encoded += 1
        self.meanwhile()
        return EncodedTexts(np.ones((1, 2), np.float32), np.zeros(1, np.bool_), 0.0, 0.0, 0.0)


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(directory=tmp_path)) as memory:
        yield memory


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def worker(threads):
    """Never at once: as where others are in flight."""
    return EstimateWorker(threads, lambda: False)


def routing_over(memory, worker):
    return Routing(memory, worker, PoolScores(worker._thread, lambda: False))


def over_pool(memory, kind, encoder, **section) -> ServedRouter:
    settings, router = KINDS[kind]
    served = ServedEncoder(encoder, EncoderIdentity("rev", 2, 8))
    costs = section.get("costs", {})
    return ServedRouter(
        "r", settings(kind=kind, pool="p", **section), router(memory, "p"), served, 0.0,
        pool="p", costs=costs,
    )  # fmt: skip


def trained(encoder, **section) -> ServedRouter:
    served = ServedEncoder(encoder, EncoderIdentity("rev", 2, 8))
    settings = ArtefactRouterSettings(directory="/x", **section)
    router = CosineRouter("routerdc", ["a", "b"], np.eye(2, dtype=np.float32))
    return ServedRouter("r", settings, router, served, 0.0, models=("a", "b"), space=OURS)


def fill(memory, space=OURS, models=("a", "b", "c"), pairs=(1, 2, 3)) -> None:
    for index in range(6):
        prompt = np.array([1, index], np.float32)
        sample = NewSample(f"s{index}", prompt, models, np.array(pairs, np.float32), 1.0)
        memory.learn("p", space, sample).result(30)
        record(memory, f"o{index}", f"s{index}", models[0])


def record(memory, name, sample_id, model="a") -> None:
    memory.record("p", None, NewOutcome(name, model, 1.0, 1.0, sample_id)).result(30)


def request(prompt="What?", **fields) -> RouteRequest:
    return RouteRequest("", prompt, **fields)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there_before", [True, False])
async def test_a_pool_that_comes_in_another_space_meanwhile_is_not_asked(
    memory, worker, kind, there_before
):
    def recreate():
        if there_before:
            memory.delete("p").result(30)
        fill(memory, THEIRS)

    if there_before:
        fill(memory)
    router = over_pool(memory, kind, Encoder(recreate), fallback="a")
    with pytest.raises(SpaceMismatchError):
        await routing_over(memory, worker).route(router, request())


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_pool_router_spends_on_recall_is_told(memory, worker, kind):
    fill(memory)
    reply = await routing_over(memory, worker).route(over_pool(memory, kind, Encoder()), request())
    timings = reply.timings
    assert timings.recall > 0
    assert timings.estimate > 0
    assert timings.queue + timings.recall + timings.estimate <= timings.total


async def test_what_a_router_without_a_score_spends_is_no_queueing(memory, worker):
    fill(memory, models=("a", "b"), pairs=(1,))
    router = over_pool(memory, "smoothie", Encoder(), fallback="a")
    reply = await routing_over(memory, worker).route(router, request())
    assert reply.decision.fallback.reason == "ROUTER_UNREADY"
    assert reply.timings.estimate > reply.timings.queue


async def test_waiting_for_the_estimate_thread_is_queueing(memory, threads, worker):
    busy, free = Event(), Event()

    def block():
        busy.set()
        free.wait(30)

    threads.submit(block)
    busy.wait(30)
    vector = PromptVector(np.ones(2, np.float32), OURS.id)
    call = asyncio.create_task(routing_over(memory, worker).route(trained(None), request(vector)))
    await asyncio.sleep(0.2)
    free.set()
    timings = (await call).timings
    assert timings.queue > 0.1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"denied": frozenset("ab")}, NoCandidateError),
        ({"candidates": ("a",), "denied": frozenset("a")}, NoCandidateError),
    ],
)
async def test_a_request_that_allows_no_model_is_not_encoded(memory, worker, fields, error):
    encoder = Encoder()
    with pytest.raises(error) as caught:
        await routing_over(memory, worker).route(trained(encoder), request(**fields))
    assert caught.value.field == "denied"
    assert encoder.encoded == 0


@pytest.mark.parametrize("section", [{}, {"fallback": "denied"}])
async def test_a_router_without_its_pool_and_a_fallback_does_not_encode(memory, worker, section):
    encoder = Encoder()
    router = over_pool(memory, "knn", encoder, **section)
    with pytest.raises(RouterUnreadyError, match="'p'"):
        await routing_over(memory, worker).route(router, request(denied=frozenset(["denied"])))
    assert encoder.encoded == 0


@pytest.mark.parametrize(
    ("rule", "costs", "allowed"),
    [
        (Budget(1.0), {"f": 1.0}, True),
        (Budget(1.0), {"f": 1.5}, False),
        (Budget(1.0), {"a": 1.0}, False),
        (Threshold("f", "a", 0.0), {}, True),
        (Threshold("b", "a", 0.0), {}, False),
    ],
)
async def test_an_unready_router_falls_back_within_the_policy(memory, worker, rule, costs, allowed):
    router = over_pool(memory, "knn", Encoder(), fallback="f", costs=costs)
    call = routing_over(memory, worker).route(router, request(policy=Policy(rule)))
    if allowed:
        decision = (await call).decision
        assert (decision.model, decision.abstained) == ("f", True)
        assert decision.fallback.reason == "ROUTER_UNREADY"
    else:
        with pytest.raises(RouterUnreadyError, match="fallback 'f' may not be called"):
            await call


async def test_candidates_that_a_pool_does_not_know_yet_are_left_out(memory, worker):
    fill(memory)
    routing = routing_over(memory, worker)
    router = over_pool(memory, "knn", Encoder())
    reply = await routing.route(router, request(candidates=("new", "a")))
    assert reply.decision.model == "a"
    with pytest.raises(RouterUnreadyError, match="new"):
        await routing.route(router, request(candidates=("new", "newer")))
    router = over_pool(memory, "knn", Encoder(), fallback="new")
    decision = (await routing.route(router, request(candidates=("new", "newer")))).decision
    assert (decision.model, decision.abstained) == ("new", True)
    with pytest.raises(NoCandidateError):
        await routing.route(router, request(denied=frozenset("abc")))


def test_what_a_router_over_a_pool_learns_changes_its_revision(memory, tmp_path):
    assert pool_revision(memory, "p", "knn") == "0"
    fill(memory)
    revisions = [pool_revision(memory, "p", kind) for kind in ("knn", "smoothie")]
    record(memory, "again", "s0")
    assert pool_revision(memory, "p", "knn") != revisions[0]
    assert pool_revision(memory, "p", "smoothie") == revisions[1]
    record(memory, "again", "s0")
    assert pool_revision(memory, "p", "knn") == "6.7"
    memory.close()
    with Memory.open(MemorySettings(directory=tmp_path)) as memory:
        assert pool_revision(memory, "p", "knn") == "6.7"
