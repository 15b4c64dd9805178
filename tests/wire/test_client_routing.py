"""Both Python clients and the routers of a real server."""

import asyncio
import dataclasses
import itertools
import math
import uuid
from datetime import UTC, datetime

import grpc
import numpy as np
import pytest
import yaml

from pointsman.client import (
    ArgMaxPolicy,
    BudgetPolicy,
    Client,
    CostPenaltyPolicy,
    Durability,
    FirstConfidentPolicy,
    NearestConfidencePolicy,
    Outcome,
    PointsmanError,
    RandomConfidentPolicy,
    RouteRequest,
    RouteResult,
    Sample,
    SamplePolicy,
    ScoreRequest,
    Stickiness,
    ThresholdPolicy,
)
from scoring.policies import choose
from scoring.policies import values as rules
from tests.homed_router import HOMES, write_router
from tests.server_process import ServerProcess
from tests.unit.client.drivers import AsyncDriver, BlockingDriver
from tests.unit.client.test_client_readme import BLOCKS, run_block

VOTERS = ("v0", "v1", "v2", "v3")
COSTS = {"v0": 4.0, "v1": 1.0, "v2": 2.0}
SAMPLES = 12
UNMET = grpc.StatusCode.FAILED_PRECONDITION
INVALID = grpc.StatusCode.INVALID_ARGUMENT
_names = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("client-routing")


@pytest.fixture(scope="module")
def target(folder):
    """A server whose pool `near` holds samples of vectors."""
    write_router(folder / "trained")
    trained = {"directory": str(folder / "trained"), "watch": False}
    near = {"kind": "smoothie", "pool": "near", "neighbours": 10, "costs": COSTS}
    routers = {
        "trained": trained,
        "improbable": {**trained, "abstain_below_probability": 0.999, "fallback": "person"},
        "near": near,
        "free": {**near, "costs": {}},
        "few": {**near, "neighbours": 50, "least_neighbours": 50},
        "unsure": {**near, "abstain_below_margin": 1e6, "fallback": "person"},
        "hoping": {"kind": "smoothie", "pool": "nothing", "fallback": "person"},
        "waiting": {"kind": "smoothie", "pool": "nothing"},
        "judged": {"kind": "knn", "pool": "judged", "neighbours": 2, "pseudo_outcomes": 0},
    }
    config = folder / "pointsman.yaml"
    config.write_text(yaml.safe_dump({"default_router": "trained", "routers": routers}))
    with ServerProcess(folder, "--config", str(config)) as process:
        with Client(process.target) as client:
            learn(client)
        yield process.target


def learn(client):
    random = np.random.default_rng(0)
    for index in range(SAMPLES):
        truth = random.normal(size=2)
        noise = random.normal(size=(4, 2)) * [[0.1], [0.2], [0.4], [0.8]]
        answers = dict(zip(VOTERS, (truth + noise).astype(np.float32), strict=True))
        client.score(at(index), answers, pool="near", learn=True, sample_id=f"s-{index}")


def at(angle) -> list[float]:
    return [math.cos(angle), math.sin(angle)]


@pytest.fixture(params=[BlockingDriver, AsyncDriver], ids=["blocking", "aio"])
async def driver(request, target):
    driver = request.param(target, timeout=30)
    yield driver
    await driver.close()


@pytest.fixture
def name():
    return f"client-{next(_names)}"


async def failure(call) -> PointsmanError:
    with pytest.raises(PointsmanError) as caught:
        await call
    return caught.value


async def test_a_router_without_labels_says_all_it_knows(driver):
    result = await driver.call("route", at(0.5), router="near", request_id="r-1")
    scores = [each.score for each in result.ranking]
    assert result.model == result.ranking[0].model
    assert sorted(each.model for each in result.ranking) == [*VOTERS]
    assert scores == sorted(scores, reverse=True)
    assert result.margin == scores[0] - scores[1] > 0
    assert {each.model: each.cost for each in result.ranking} == {**COSTS, "v3": None}
    assert {each.probability for each in result.ranking} == {None}
    assert (result.entropy, result.fallback, result.abstained) == (None, None, False)
    assert (result.neighbours_used, result.voters_used) == (10, 4)
    assert (result.router, result.router_revision) == ("near", str(SAMPLES))
    assert (result.request_id, result.prompt_truncated) == ("r-1", False)
    assert result.timings.encode_us == 0
    assert result.timings.total_us >= result.timings.recall_us + result.timings.estimate_us > 0


async def test_a_trained_router_has_probabilities_and_entropy(driver):
    for model, word in HOMES.items():
        result = await driver.call("route", word)
        probabilities = [each.probability for each in result.ranking]
        assert (result.model, result.router) == (model, "trained")
        assert sum(probabilities) == pytest.approx(1)
        assert result.entropy == pytest.approx(-sum(p * math.log(p) for p in probabilities))
        assert (result.neighbours_used, result.voters_used) == (0, 0)
    new = await driver.call("route", f"A prompt that nobody sent before, {uuid.uuid4()}.")
    assert new.timings.encode_us > 0


async def test_what_may_be_chosen(driver):
    among = await driver.call("route", at(0), router="near", candidates=["v3", "v2"])
    without = await driver.call("route", at(0), router="near", denied=["v0", "v1", "nobody"])
    alone = await driver.call("route", at(0), router="near", candidates=["v3"])
    assert {each.model for each in among.ranking} == {"v2", "v3"}
    assert (without.model, without.ranking) == (among.model, among.ranking)
    assert (alone.model, alone.margin, alone.entropy) == ("v3", None, None)


RULES = {
    "argmax": (ArgMaxPolicy(), rules.ArgMax()),
    "cold": (SamplePolicy(1e-9), rules.Sample(1e-9)),
    **{f"drawn {seed}": (SamplePolicy(5.0, seed), rules.Sample(5.0, seed)) for seed in range(8)},
    "the largest seed": (SamplePolicy(5.0, 2**64 - 1), rules.Sample(5.0, 2**64 - 1)),
    "cheap": (BudgetPolicy(1.0), rules.Budget(1.0)),
    "any cost": (BudgetPolicy(100.0), rules.Budget(100.0)),
    "no penalty": (CostPenaltyPolicy(0), rules.CostPenalty(0)),
    "a penalty": (CostPenaltyPolicy(0.01), rules.CostPenalty(0.01)),
    "a great penalty": (CostPenaltyPolicy(100), rules.CostPenalty(100)),
    "strong": (ThresholdPolicy("v0", "v3", 0.0), rules.Threshold("v0", "v3", 0.0)),
    "weak": (ThresholdPolicy("v0", "v3", 50.0), rules.Threshold("v0", "v3", 50.0)),
    "nobody confident": (RandomConfidentPolicy(9e9), rules.RandomConfident(9e9)),
    "a draw": (RandomConfidentPolicy(-9e9, 2, 3), rules.RandomConfident(-9e9, 2, 3)),
    "a preference": (
        FirstConfidentPolicy(-9e9, ["v2", "v0"]),
        rules.FirstConfident(-9e9, ("v2", "v0")),
    ),
    "the cheapest": (FirstConfidentPolicy(-9e9), rules.FirstConfident(-9e9)),
    "the nearest": (
        NearestConfidencePolicy({"v0": 0.5, "v3": 0.5}, 0.0),
        rules.NearestConfidence((("v0", 0.5), ("v3", 0.5)), 0.0),
    ),
}
STICKINESS = {
    "free": None,
    "held": ("v2", 100.0),
    "loose": ("v2", 0.0),
    "held by nobody": ("retired", 100.0),
}


@pytest.mark.parametrize("stuck", STICKINESS.values(), ids=STICKINESS)
@pytest.mark.parametrize(("policy", "rule"), RULES.values(), ids=RULES)
async def test_every_policy_chooses_as_it_is_defined(driver, policy, rule, stuck):
    plain = await driver.call("route", at(0.5), router="near")
    scores = {each.model: each.score for each in plain.ranking}
    expected = choose(
        rules.Policy(rule, rules.Stickiness(*stuck) if stuck else None),
        VOTERS,
        [scores[voter] for voter in VOTERS],
        [COSTS.get(voter, math.nan) for voter in VOTERS],
    )
    stickiness = Stickiness(*stuck) if stuck else None
    result = await driver.call(
        "route", at(0.5), router="near", policy=policy, stickiness=stickiness
    )
    assert result.model == VOTERS[expected.index]
    assert (result.ranking, result.margin) == (plain.ranking, plain.margin)


def test_the_policies_of_these_tests_choose_differently(target):
    with Client(target) as client:
        chosen = {
            client.route(at(0.5), router="near", policy=policy).model
            for policy, _ in RULES.values()
        }
        held = client.route(at(0.5), router="near", stickiness=Stickiness("v2", 100.0))
    assert len(chosen) >= 3
    assert held.model == "v2" != held.ranking[0].model


async def test_a_router_that_abstains_or_falls_back_says_why(driver):
    said = {}
    for router in ("unsure", "few", "hoping"):
        prompt = "the" if router == "hoping" else at(0)
        result = await driver.call("route", prompt, router=router)
        said[router] = (result.fallback.reason, result.abstained, result.model == "person")
        assert result.fallback.message
    assert said == {
        "unsure": ("LOW_MARGIN", True, True),
        "few": ("FEW_NEIGHBOURS", False, False),
        "hoping": ("ROUTER_UNREADY", True, True),
    }
    result = await driver.call("route", "the", router="improbable")
    assert (result.model, result.fallback.reason) == ("person", "LOW_PROBABILITY")
    denied = await driver.call("route", at(0), router="unsure", denied=["person"])
    assert (denied.abstained, denied.fallback.reason) == (False, "FALLBACK_NOT_ALLOWED")
    assert denied.model == denied.ranking[0].model


NEAR = RouteRequest(at(0), "near")
BAD = {
    "no such router": (
        RouteRequest("the", "nobody"), grpc.StatusCode.NOT_FOUND, "ROUTER_NOT_FOUND", []
    ),
    "nothing to score with": (RouteRequest("the", "waiting"), UNMET, "ROUTER_UNREADY", []),
    "nobody allowed": (
        dataclasses.replace(NEAR, denied=VOTERS), UNMET, "NO_CANDIDATE", ["denied"]
    ),
    "nobody so cheap": (
        dataclasses.replace(NEAR, policy=BudgetPolicy(0)),
        UNMET, "NO_CANDIDATE", ["policy.budget.max_cost"],
    ),
    "no costs": (
        RouteRequest(at(0), "free", policy=BudgetPolicy(1)), UNMET, "COSTS_UNKNOWN", []
    ),
    "a text among vectors": (
        RouteRequest("the", "near"), UNMET, "EMBEDDING_SPACE_MISMATCH", []
    ),
    "an unknown candidate": (
        RouteRequest("the", "trained", candidates=["feline", "x"]),
        INVALID, "UNKNOWN_MODEL", ["candidates[1]"],
    ),
    "an unknown weak model": (
        dataclasses.replace(NEAR, policy=ThresholdPolicy("v0", "x", 0)),
        INVALID, "UNKNOWN_MODEL", ["policy.threshold.weak"],
    ),
    "no heat": (
        dataclasses.replace(NEAR, policy=SamplePolicy(0)),
        INVALID, "INVALID_REQUEST", ["policy.sample.temperature"],
    ),
    "a negative margin": (
        dataclasses.replace(NEAR, stickiness=Stickiness("v0", -1)),
        INVALID, "INVALID_REQUEST", ["policy.stickiness.margin"],
    ),
}  # fmt: skip


def arguments(request) -> dict:
    return {each.name: getattr(request, each.name) for each in dataclasses.fields(request)}


@pytest.mark.parametrize(("request_", "code", "reason", "fields"), BAD.values(), ids=BAD)
async def test_a_refusal_is_an_error_with_its_reason(driver, request_, code, reason, fields):
    error = await failure(driver.call("route", request_id="r-1", **arguments(request_)))
    assert (error.code, error.reason, error.request_id) == (code, reason, "r-1")
    assert [each.field for each in error.fields] == fields
    assert error.message
    assert error.retry_after is None


async def test_many_are_routed_as_one_is_and_the_bad_fail_alone(driver):
    bad = [each for each, *_ in BAD.values()]
    good = [
        RouteRequest(at(0.1 * index), "near", policy=SamplePolicy(5.0, seed=index))
        for index in range(100)
    ]
    requests = [*good, *bad, *(RouteRequest(word) for word in HOMES.values())]
    replies = dict(await driver.collect("route_many", requests, request_id="r-1"))
    assert sorted(replies) == list(range(len(requests)))
    failed = {index for index, each in replies.items() if isinstance(each, PointsmanError)}
    assert failed == set(range(100, 100 + len(bad)))
    for index, request in enumerate(requests):
        call = driver.call("route", request_id="r-1", **arguments(request))
        alone = await failure(call) if index in failed else await call
        assert comparable(replies[index]) == comparable(alone)


def comparable(reply):
    if isinstance(reply, RouteResult):
        return dataclasses.replace(reply, timings=None)
    return reply.__reduce__()[1], reply.code, reply.reason, reply.fields, reply.request_id


async def test_both_clients_get_the_same(target):
    requests = [RouteRequest(at(0.3 * index), "near") for index in range(10)]
    requests += [RouteRequest(word) for word in HOMES.values()] + [
        each for each, *_ in BAD.values()
    ]
    got = []
    for kind in (BlockingDriver, AsyncDriver):
        driver = kind(target)
        replies = dict(await driver.collect("route_many", requests, request_id="r-1"))
        got.append([comparable(replies[index]) for index in range(len(requests))])
        await driver.close()
    assert got[0] == got[1]


async def test_a_stream_that_is_left_early_harms_nobody(driver):
    replies = await driver.collect("route_many", itertools.repeat(NEAR), in_flight=8, most=3)
    assert len(replies) == 3
    assert (await driver.call("route", at(0), router="near")).model in VOTERS


async def test_an_outcome_counts_once(driver, name):
    first = await driver.call(
        "record_outcome", 1, model="a", prompt=at(0), pool=name, outcome_id="o"
    )
    again = await driver.call(
        "record_outcome", 0, model="a", prompt=at(0), pool=name, outcome_id="o"
    )
    assert (first.outcome_id, first.recorded.reason) == ("o", "")
    assert first.recorded.durability is Durability.PROCESS
    assert (again.outcome_id, again.recorded.reason) == ("o", "OUTCOME_EXISTS")
    assert again.recorded.message
    assert again.recorded.sample_id == first.recorded.sample_id
    assert (await driver.call("pool", name)).outcomes == 1


async def test_outcomes_are_of_what_is_there(driver, name):
    error = await failure(driver.call("record_outcome", 1, model="a", sample_id="s", pool=name))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "POOL_NOT_FOUND")
    error = await failure(driver.call("record_outcome", 1, model="a", sample_id="x", pool="near"))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "SAMPLE_NOT_FOUND")
    error = await failure(driver.call("record_outcome", 1.5, model="a", prompt=at(0), pool=name))
    assert [each.field for each in error.fields] == ["quality"]


async def test_outcomes_choose_the_model(driver):
    for angle, model in ((0.0, "east"), (0.1, "east"), (3.0, "west"), (3.1, "west")):
        for each in ("east", "west"):
            await driver.call(
                "record_outcome", float(each == model), model=each, prompt=at(angle), pool="judged"
            )
    for angle, model in ((0.05, "east"), (3.05, "west")):
        result = await driver.call("route", at(angle), router="judged")
        assert (result.model, [each.score for each in result.ranking]) == (model, [1, 0])
        assert (result.margin, result.neighbours_used) == (1, 2)


async def test_a_pool_moves_with_its_outcomes(driver, name):
    item = ScoreRequest(
        at(0), {"a": at(0), "b": at(1), "c": at(2)}, pool=name, learn=True, sample_id="s"
    )
    await driver.call("score", **arguments(item))
    await driver.call("record_outcome", 0, model="a", sample_id="s", pool=name, outcome_id="o-0")
    await driver.call("record_outcome", 0.25, model="b", prompt=at(2), pool=name, outcome_id="o-1")
    exported = await driver.collect("export_samples", name)
    assert [type(each) for each in exported] == [Sample, Outcome, Outcome]
    assert [(each.outcome_id, each.model, each.quality) for each in exported[1:]] == [
        ("o-0", "a", 0.0), ("o-1", "b", 0.25)
    ]  # fmt: skip
    assert exported[1].sample_id == "s"
    assert list(exported[1].prompt) == list(exported[0].prompt)
    assert (datetime.now(UTC) - exported[1].recorded_at).total_seconds() < 3600
    space = (await driver.call("pool", name)).space
    for wanted in ((1, 0, 2, 0), (0, 1, 0, 2)):
        moved = await driver.call("import_samples", f"{name}-moved", exported, space=space)
        assert (
            moved.imported, moved.skipped, moved.outcomes_imported, moved.outcomes_skipped
        ) == wanted  # fmt: skip
    again = await driver.collect("export_samples", f"{name}-moved")
    assert [plain(each) for each in again] == [plain(each) for each in exported]


def plain(item) -> dict:
    values = arguments(item)
    return {
        # NaN, which stands for an unknown feature, equals nothing.
        field: [None if math.isnan(each) else each for each in value]
        if isinstance(value, memoryview)
        else value
        for field, value in values.items()
    }


async def test_routers_are_described(driver):
    listed = {each.name: each for each in await driver.call("routers")}
    assert listed["near"] == await driver.call("router", "near")
    near, trained, waiting = (listed[each] for each in ("near", "trained", "waiting"))
    assert (near.kind, near.models, near.revision) == ("smoothie", VOTERS, str(SAMPLES))
    assert (near.space.id, near.space.dimension) == ("vectors/caller", 2)
    assert (trained.kind, trained.models) == ("routerdc", tuple(HOMES))
    assert (waiting.space, waiting.models) == (None, ())
    error = await failure(driver.call("router", "nobody"))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ROUTER_NOT_FOUND")


async def test_a_broken_artefact_leaves_the_old_one_in_service(driver, tmp_path):
    before = await driver.call("router", "trained")
    error = await failure(
        driver.call("reload_router", "trained", directory=str(tmp_path / "absent"))
    )
    assert (error.code, error.reason) == (UNMET, "ARTEFACT_NOT_FOUND")
    assert str(tmp_path) in error.message
    assert await driver.call("router", "trained") == before
    assert (await driver.call("route", "cat")).router_revision == before.revision
    assert await driver.call("reload_router", "trained") == before


async def test_the_routing_lines_of_the_readme_run(target, capsys):
    await asyncio.to_thread(run_block, BLOCKS[2], target)
    ranking, *turns = capsys.readouterr().out.splitlines()
    assert all(model in ranking for model in HOMES)
    assert {turn.split(" -> ")[0] for turn in turns} == {"And at dusk?", "On Mars?"}
