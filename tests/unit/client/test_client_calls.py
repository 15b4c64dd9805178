"""Every method of both clients, against a server that answers from the request."""

from datetime import UTC, datetime

import pytest

from pointsman.client import (
    ArgMaxPolicy,
    BudgetPolicy,
    Calibration,
    CostPenaltyPolicy,
    Durability,
    EmbeddingSpace,
    Estimator,
    Fallback,
    FirstConfidentPolicy,
    Generation,
    GenerationScore,
    ImportResult,
    ModelScore,
    NearestConfidencePolicy,
    Outcome,
    PoolVoter,
    RandomConfidentPolicy,
    RoutingFallback,
    Sample,
    SamplePolicy,
    Stickiness,
    ThresholdPolicy,
    Timings,
    VoterScore,
    WriteReceipt,
)
from pointsman.v1 import admin_service_pb2, routing_service_pb2, scoring_service_pb2

ANSWERS = {"a": "yes", "b": ["no", "never"]}


async def test_score_returns_all_that_the_server_says(driver):
    result = await driver.call("score", "why?", ANSWERS, request_id="r-1")
    assert (result.best_index, result.best) == (0, "a")
    assert result.scores == (
        GenerationScore("a", 0, 0.5, 0.1, 1, 0.75, truncated=True),
        GenerationScore("b", 0, 0.5, None, 2, 0.75, truncated=False),
        GenerationScore("b", 1, 0.5, None, 3, 0.75, truncated=False),
    )
    assert result.voters == (
        VoterScore("a", 0.5, 0.1, 1, 1, 9, None, None),
        VoterScore("b", 0.5, None, 2, 2, 9, None, None),
    )
    assert result.estimator is Estimator.SINGLE
    assert (result.margin, result.margin_standard_error) == (0.25, 0.125)
    assert (result.tied, result.agreement, result.neighbours_used) == ((0, 1), 0.5, 3)
    assert (result.fallback, result.calibration, result.learned) == (None, None, None)
    assert result.timings == Timings(1, 2, 3, 4, 5, 6, 21)
    assert (result.encoder_revision, result.pool_revision) == ("0123456789abcdef", 7)
    assert (result.prompt_truncated, result.max_tokens, result.request_id) == (True, 256, "r-1")


async def test_score_sends_all_that_the_caller_says(driver, fake):
    await driver.call(
        "score",
        "why?",
        ANSWERS,
        pool="p",
        learn=True,
        estimator="global",
        neighbours=0,
        embedding="prompt_and_generation",
        embedding_space="mine",
        sample_id="s-1",
    )
    (request,) = fake.requests("ScoreGenerations")
    expected = scoring_service_pb2.ScoreGenerationsRequest(
        pool="p",
        learn=True,
        estimator=scoring_service_pb2.ESTIMATOR_GLOBAL,
        neighbours=0,
        embedding=scoring_service_pb2.EMBEDDING_PROMPT_AND_GENERATION,
        embedding_space="mine",
        sample_id="s-1",
    )
    expected.prompt.text = "why?"
    for voter, text in (("a", "yes"), ("b", "no"), ("b", "never")):
        expected.generations.add(voter=voter, text=text)
    assert request == expected


async def test_score_of_vectors_over_tcp(served, driver_kind):
    driver = driver_kind(served.tcp)
    answers = [Generation("a", [0.0, 1.0]), Generation("b", [1.0, 0.0])]
    result = await driver.call("score", [0.5, 0.5], answers)
    await driver.close()
    (request,) = served.fake.requests("ScoreGenerations")
    assert request.prompt.vector.float32_le == b"\0\0\0?\0\0\0?"
    assert not request.HasField("neighbours")
    assert result.best == "a"


async def test_fallback_and_receipt_are_values(driver):
    result = await driver.call(
        "score", "why?", ANSWERS, estimator=Estimator.LOCAL, learn=True, sample_id="s-1"
    )
    assert result.fallback == Fallback(
        Estimator.LOCAL, "POOL_EMPTY", "The pool has no samples yet."
    )
    assert result.learned == WriteReceipt(Durability.PROCESS, "s-1", "", "")


async def test_what_one_voter_cannot_tell_is_none(driver):
    result = await driver.call("score", "why?", {"a": "yes"})
    assert (result.margin, result.agreement) == (None, None)


async def test_calibration_is_a_value(driver):
    result = await driver.call("score", "why?", ANSWERS, estimator="calibrated")
    assert result.calibration == Calibration(
        0.25, 8, lead=0.125, lead_low=-0.5, lead_high=0.75, contradicted=True
    )
    expected = [
        (each.expected_quality, each.expected_quality_standard_error) for each in result.voters
    ]
    assert expected == [(0.0, 0.25), (None, None)]


async def test_a_sample_is_named_without_learning_it(driver, fake):
    await driver.call("score", "why?", ANSWERS, sample_id="s-1")
    (request,) = fake.requests("ScoreGenerations")
    assert (request.sample_id, request.learn) == ("s-1", False)


async def test_learning_names_the_sample_and_scoring_does_not(driver, fake):
    await driver.call("score", "why?", ANSWERS)
    first = await driver.call("score", "why?", ANSWERS, learn=True)
    second = await driver.call("score", "why?", ANSWERS, learn=True)
    assert fake.requests("ScoreGenerations")[0].sample_id == ""
    assert len(first.learned.sample_id) == 32
    assert first.learned.sample_id != second.learned.sample_id


async def test_request_ids_are_made_where_absent_and_sent(driver, fake):
    named = await driver.call("score", "why?", ANSWERS, request_id="mine")
    made = await driver.call("score", "why?", ANSWERS)
    sent = [each["x-request-id"] for each in fake.metadata("ScoreGenerations")]
    assert sent == [named.request_id, made.request_id]
    assert named.request_id == "mine"
    assert len(made.request_id) == 32


async def test_request_ids_that_grpc_cannot_carry_are_refused(driver, fake):
    with pytest.raises(ValueError, match="must be printable ASCII"):
        await driver.call("score", "why?", ANSWERS, request_id="a\nb")
    assert fake.attempts == []


async def test_route(driver, fake):
    result = await driver.call(
        "route",
        "why?",
        router="knn",
        candidates=["atlas", "borealis"],
        denied=["cirrus"],
        embedding_space="mine",
        request_id="r-1",
    )
    assert (result.model, result.router, result.router_revision) == ("atlas", "knn", "r1")
    assert result.ranking == (
        ModelScore("atlas", 2.0, 0.75, 0.0),
        ModelScore("borealis", 1.5, None, None),
    )
    assert (result.margin, result.entropy, result.abstained) == (0.5, 0.25, True)
    assert result.fallback == RoutingFallback("UNSURE", "The margin is small.")
    assert (result.neighbours_used, result.voters_used) == (4, 5)
    assert (result.timings.total_us, result.prompt_truncated) == (9, True)
    assert result.request_id == "r-1"
    (request,) = fake.requests("RoutePrompt")
    expected = routing_service_pb2.RoutePromptRequest(
        router="knn",
        candidates=["atlas", "borealis"],
        denied=["cirrus"],
        embedding_space="mine",
    )
    expected.prompt.text = "why?"
    assert request == expected


async def test_what_one_candidate_cannot_tell_is_none(driver):
    result = await driver.call("route", "why?", candidates=["atlas"])
    assert result.model == "atlas"
    assert (result.margin, result.entropy, result.fallback) == (None, None, None)


@pytest.mark.parametrize(
    ("policy", "rule", "fields"),
    [
        (ArgMaxPolicy(), "arg_max", {}),
        (SamplePolicy(0.5, seed=0), "sample", {"temperature": 0.5, "seed": 0}),
        (SamplePolicy(0.5), "sample", {"temperature": 0.5}),
        (BudgetPolicy(2.0), "budget", {"max_cost": 2.0}),
        (CostPenaltyPolicy(0.25), "cost_penalty", {"penalty": 0.25}),
        (
            RandomConfidentPolicy(0.5, seed=7),
            "random_confident",
            {"confidence": 0.5, "among": 1, "seed": 7},
        ),
        (RandomConfidentPolicy(0.5, 3), "random_confident", {"confidence": 0.5, "among": 3}),
        (
            FirstConfidentPolicy(0.5, ["b", "a"]),
            "first_confident",
            {"confidence": 0.5, "preference": ["b", "a"]},
        ),
        (
            NearestConfidencePolicy({"a": 2.0, "b": 0.0}, -1.0),
            "nearest_confidence",
            {"weights": {"a": 2.0, "b": 0.0}, "intercept": -1.0},
        ),
        (
            ThresholdPolicy("atlas", "borealis", 0.5),
            "threshold",
            {"strong": "atlas", "weak": "borealis", "threshold": 0.5},
        ),
    ],
)
async def test_route_policies(driver, fake, policy, rule, fields):
    await driver.call("route", "why?", policy=policy)
    (request,) = fake.requests("RoutePrompt")
    assert request.policy.WhichOneof("rule") == rule
    sent = {each.name: value for each, value in getattr(request.policy, rule).ListFields()}
    assert sent == fields
    assert not request.policy.HasField("stickiness")


@pytest.mark.parametrize(
    ("policy", "rule", "field"),
    [
        (SamplePolicy(0), "sample", "temperature"),
        (BudgetPolicy(0.0), "budget", "max_cost"),
        (CostPenaltyPolicy(0.0), "cost_penalty", "penalty"),
        (ThresholdPolicy("atlas", "borealis", 0.0), "threshold", "threshold"),
        (RandomConfidentPolicy(0.0), "random_confident", "confidence"),
        (FirstConfidentPolicy(0), "first_confident", "confidence"),
        (NearestConfidencePolicy({}, 0), "nearest_confidence", "intercept"),
    ],
)
async def test_a_policy_of_zero_is_sent(driver, fake, policy, rule, field):
    await driver.call("route", "why?", policy=policy, stickiness=Stickiness("atlas", 0))
    (request,) = fake.requests("RoutePrompt")
    assert getattr(request.policy, rule).HasField(field)
    assert request.policy.stickiness.HasField("margin")


async def test_route_stickiness_needs_no_policy(driver, fake):
    await driver.call("route", "why?", stickiness=Stickiness("atlas", 0.5))
    (request,) = fake.requests("RoutePrompt")
    assert request.policy.WhichOneof("rule") is None
    assert request.policy.stickiness.previous_model == "atlas"
    assert request.policy.stickiness.margin == 0.5


@pytest.mark.parametrize("argument", ["candidates", "denied"])
async def test_route_refuses_one_string_of_models(driver, argument):
    with pytest.raises(TypeError, match=f"{argument} must be a list of models"):
        await driver.call("route", "why?", **{argument: "atlas"})


async def test_record_outcome_of_a_sample(driver, fake):
    result = await driver.call(
        "record_outcome", 0.5, model="a", sample_id="s-1", pool="p", outcome_id="o-1"
    )
    assert result.recorded == WriteReceipt(Durability.DEVICE, "s-1", "", "")
    assert result.outcome_id == "o-1"
    assert result.request_id == fake.metadata("RecordOutcome")[0]["x-request-id"]
    assert fake.requests("RecordOutcome") == [
        routing_service_pb2.RecordOutcomeRequest(
            pool="p", sample_id="s-1", model="a", quality=0.5, outcome_id="o-1"
        )
    ]


async def test_record_outcome_of_a_prompt_names_the_outcome(driver, fake):
    result = await driver.call(
        "record_outcome", 1, model="a", prompt="why?", embedding_space="mine"
    )
    (request,) = fake.requests("RecordOutcome")
    assert request.WhichOneof("subject") == "prompt"
    assert request.prompt.text == "why?"
    assert (len(request.outcome_id), request.embedding_space) == (32, "mine")
    assert result.outcome_id == request.outcome_id


async def test_a_quality_of_zero_is_sent(driver, fake):
    await driver.call("record_outcome", 0, model="a", sample_id="s-1")
    (request,) = fake.requests("RecordOutcome")
    assert request.HasField("quality")


@pytest.mark.parametrize("subject", [{}, {"sample_id": "s-1", "prompt": "why?"}])
async def test_record_outcome_wants_one_subject(driver, subject):
    with pytest.raises(ValueError, match="exactly one"):
        await driver.call("record_outcome", 0.5, model="a", **subject)


async def test_pools(driver, fake):
    pools = await driver.call("pools")
    one = await driver.call("pool", "one")
    assert [each.name for each in pools] == ["one", "two"]
    assert pools[0] == one
    assert one.space == EmbeddingSpace("caller", 2)
    assert (one.samples, one.capacity, one.revision, one.outcomes) == (3, 10, 4, 2)
    assert one.voters == (PoolVoter("a", 3, -0.5), PoolVoter("b", 1, None))
    assert one.created_at == datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert (one.oldest_at, one.newest_at) == (None, None)
    assert [each.agreement_contradicted for each in pools] == [False, True]
    assert await driver.call("delete_pool", "one") == 3
    assert fake.requests("DeletePool")[0].pool == "one"


async def test_routers(driver, fake):
    (listed,) = await driver.call("routers")
    assert listed == await driver.call("router", "knn")
    assert listed == await driver.call("reload_router", "knn")
    assert (listed.name, listed.kind, listed.revision) == ("knn", "knn", "r1")
    assert (listed.models, listed.space) == (("a", "b"), EmbeddingSpace("caller", 2))
    assert (listed.loaded_at, listed.last_error) == (datetime(2026, 1, 2, tzinfo=UTC), "")
    await driver.call("reload_router", "knn", directory="/models/knn")
    sent = [(each.router, each.directory) for each in fake.requests("ReloadRouter")]
    assert sent == [("knn", ""), ("knn", "/models/knn")]


async def test_a_router_whose_pool_is_not_there_has_no_space(driver):
    waiting = await driver.call("router", "waiting")
    assert (waiting.space, waiting.models, waiting.loaded_at) == (None, (), None)


async def test_samples_come_back_as_they_were_imported(driver, fake):
    learned_at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    samples = [
        Sample(f"s-{each}", learned_at, [each, 0.5], ("a", "b", "c"), [1.0, 2.0, 3.0])
        for each in range(3)
    ]
    space = EmbeddingSpace("caller", 2)
    imported = await driver.call("import_samples", "p", samples, space=space)
    assert imported == ImportResult(3, 1, 2, 0, 3, 4, Durability.PROCESS)
    assert fake.imported[0].header.pool == "p"
    assert (fake.imported[0].header.space.id, fake.imported[0].header.space.dimension) == (
        "caller",
        2,
    )
    fake.imported = fake.imported[1:]
    exported = await driver.collect("export_samples", "p")
    assert [each.sample_id for each in exported] == ["s-0", "s-1", "s-2"]
    assert all(each.learned_at == learned_at for each in exported)
    assert [list(each.prompt) for each in exported] == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]
    assert exported[0].voters == ("a", "b", "c")
    assert list(exported[0].distances) == [1.0, 2.0, 3.0]
    again = await driver.call("import_samples", "p", exported, space=space)
    assert again.imported == 3


async def test_outcomes_come_back_as_they_were_imported(driver, fake):
    recorded_at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    items = [
        Sample("s", recorded_at, [1.0, 0.5], ("a", "b"), [2.0]),
        Outcome("o-0", "a", 0.0, recorded_at, "s", [1.0, 0.5]),
        Outcome("o-1", "b", 0.75, recorded_at, "", [0.0, 0.5]),
    ]
    imported = await driver.call("import_samples", "p", items, space=EmbeddingSpace("caller", 2))
    assert (imported.imported, imported.outcomes_imported) == (1, 2)
    assert fake.imported[2].outcome.HasField("quality")
    fake.imported = fake.imported[1:]
    sample, *exported = await driver.collect("export_samples", "p")
    assert isinstance(sample, Sample)
    assert [list(each.prompt) for each in exported] == [[1.0, 0.5], [0.0, 0.5]]
    assert [(each.outcome_id, each.model, each.quality) for each in exported] == [
        ("o-0", "a", 0.0), ("o-1", "b", 0.75)
    ]  # fmt: skip
    assert [(each.recorded_at, each.sample_id) for each in exported] == [
        (recorded_at, "s"), (recorded_at, "")
    ]  # fmt: skip


async def test_what_was_measured_of_answers_comes_back_as_it_was_imported(driver, fake):
    at = datetime(2026, 1, 2, tzinfo=UTC)
    measured = {"distances": [2.0], "features": [0.5, 3.0, float("nan"), 0.0]}
    items = [
        Sample("s", at, [1.0, 0.5], ("a", "b"), **measured),
        Outcome("o-0", "a", 0.0, at, "s", [1.0, 0.5], ("a", "b"), **measured),
        Outcome("o-1", "a", 0.0, at, "s", [1.0, 0.5], ("a",), distances=[]),
        Outcome("o-2", "a", 0.0, at, "", [1.0, 0.5]),
    ]
    await driver.call("import_samples", "p", items, space=EmbeddingSpace("caller", 2))
    fake.imported = fake.imported[1:]
    exported = await driver.collect("export_samples", "p")
    for each in exported[:2]:
        assert (each.voters, list(each.distances)) == (("a", "b"), [2.0])
        assert str(list(each.features)) == "[0.5, 3.0, nan, 0.0]"
    assert (exported[2].voters, list(exported[2].distances)) == (("a",), [])
    assert (exported[3].voters, exported[3].distances) == ((), None)
    assert (exported[2].features, exported[3].features) == (None, None)


async def test_exported_items_that_are_not_known_are_passed_over(driver, fake):
    sample = admin_service_pb2.ImportSamplesRequest()
    sample.sample.sample_id = "s"
    # Field 100, a string, of a later contract.
    unknown = admin_service_pb2.ImportSamplesRequest.FromString(b"\xa2\x06\x03new")
    assert unknown.ByteSize() == 6
    fake.imported = [unknown, sample]
    exported = await driver.collect("export_samples", "p")
    assert [each.sample_id for each in exported] == ["s"]


async def test_times_do_not_drift(driver, fake):
    item = admin_service_pb2.ImportSamplesRequest()
    item.sample.learn_time.seconds = 1_700_000_000
    item.sample.learn_time.nanos = 628_163_999
    fake.imported = [item]
    (sample,) = await driver.collect("export_samples", "p")
    assert sample.learned_at.microsecond == 628_164


async def test_an_import_of_nothing_sends_the_header_alone(driver, fake):
    result = await driver.call("import_samples", "p", [], space=EmbeddingSpace("caller", 2))
    assert result.imported == 0
    assert len(fake.imported) == 1
