"""ScoreGenerations with ESTIMATOR_CALIBRATED: outcomes that are recorded correct agreement."""

import json
import time
from urllib.request import urlopen

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pointsman.client import Client, Outcome
from pointsman.v1 import admin_service_pb2 as admin_pb
from pointsman.v1 import admin_service_pb2_grpc as admin_rpc
from pointsman.v1 import routing_service_pb2 as routing_pb
from pointsman.v1 import routing_service_pb2_grpc as routing_rpc
from pointsman.v1 import scoring_service_pb2 as pb
from pointsman.v1 import scoring_service_pb2_grpc as rpc
from pointsman.v1 import types_pb2
from tests.server_process import ServerProcess
from tests.wire.test_scoring import error_of, text_request, vector

CALIBRATED = pb.ESTIMATOR_CALIBRATED
WORDS = ("rivers", "tea", "iron", "clouds", "bread", "chess", "violins", "ants", "ink", "snow")
PROMPTS = [f"Tell me about {one} and {other}." for one in WORDS for other in ("sand", "salt")]


@pytest.fixture(scope="module")
def calibrating(tmp_path_factory):
    """A running server of this module's own, with metrics."""
    folder = tmp_path_factory.mktemp("calibrated")
    with ServerProcess(folder, "--set", "metrics.listen=127.0.0.1:0") as process:
        yield process


@pytest.fixture
def channel(calibrating):
    with grpc.insecure_channel(calibrating.target) as channel:
        yield channel


@pytest.fixture
def scoring(channel):
    return rpc.ScoringServiceStub(channel)


@pytest.fixture
def routing(channel):
    return routing_rpc.RoutingServiceStub(channel)


@pytest.fixture
def admin(channel):
    return admin_rpc.AdminServiceStub(channel)


def asked(pool, prompt, **fields) -> pb.ScoreGenerationsRequest:
    """Three voters say nearly the same, which is nothing; the good one answers by itself."""
    nothing = "I am sorry, I can not help with that"
    answers = {
        "good": f"{prompt[14:]} Here is the whole story, from its beginning to the end.",
        "parrot": f"{nothing}.",
        "echo": f"{nothing}!",
        "mimic": f"{nothing}, sorry.",
    }
    return pb.ScoreGenerationsRequest(
        pool=pool,
        prompt=types_pb2.Prompt(text=prompt),
        generations=[pb.Generation(voter=voter, text=text) for voter, text in answers.items()],
        **fields,
    )


def learn(scoring, pool, count):
    for number, prompt in enumerate(PROMPTS[:count]):
        scoring.ScoreGenerations(asked(pool, prompt, learn=True, sample_id=f"s{number}"))


def judge(routing, pool, numbers, **qualities):
    for number in numbers:
        for model, quality in qualities.items():
            routing.RecordOutcome(
                routing_pb.RecordOutcomeRequest(
                    pool=pool,
                    sample_id=f"s{number}",
                    model=model,
                    quality=quality,
                    outcome_id=f"{number}-{model}",
                )
            )


def score(scoring, pool, **fields) -> pb.ScoreGenerationsResponse:
    return scoring.ScoreGenerations(
        asked(pool, "Tell me about lakes and wool.", **{"estimator": CALIBRATED, **fields})
    )


def best(reply) -> str:
    return reply.scores[reply.best_index].voter


def test_without_outcomes_it_is_local(scoring):
    learn(scoring, "bare", 8)
    found = score(scoring, "bare")
    assert (found.estimator, found.HasField("fallback")) == (CALIBRATED, False)
    assert found.calibration == pb.Calibration(agreement_weight=1)
    assert not any(voter.HasField("expected_quality") for voter in found.voters)
    local = score(scoring, "bare", estimator=pb.ESTIMATOR_LOCAL)
    assert found.scores == local.scores
    assert not local.HasField("calibration")
    assert best(local) != "good"


def test_outcomes_put_the_good_voter_first_though_agreement_says_otherwise(scoring, routing):
    learn(scoring, "corrected", 20)
    judge(routing, "corrected", range(10), good=1.0, parrot=0.0, echo=0.0, mimic=0.0)
    assert best(score(scoring, "corrected", estimator=pb.ESTIMATOR_LOCAL)) != "good"
    found = score(scoring, "corrected")
    assert best(found) == "good"
    assert found.scores[found.best_index].rank == 1
    calibration = found.calibration
    assert (found.estimator, calibration.outcomes) == (CALIBRATED, 40)
    assert 0 <= calibration.agreement_weight < 1
    assert calibration.lead_low < calibration.lead < calibration.lead_high
    assert calibration.lead > 0
    quality = {voter.voter: voter.expected_quality for voter in found.voters}
    assert quality["good"] == max(quality.values())
    assert calibration.lead == pytest.approx(
        quality["good"] - sorted(quality.values())[-2], abs=0.1
    )
    assert all(voter.expected_quality_standard_error > 0 for voter in found.voters)
    assert sum(voter.weight for voter in found.voters) == pytest.approx(1)
    weight = {voter.voter: voter.weight for voter in found.voters}
    assert max(weight, key=weight.get) == "good"


def test_outcomes_of_one_voter_alone_count(scoring, routing):
    learn(scoring, "partial", 20)
    leader = best(score(scoring, "partial"))
    judge(routing, "partial", range(15), **{leader: 0.0})
    found = score(scoring, "partial")
    assert found.calibration.outcomes == 15
    assert best(found) != leader
    assert next(each for each in found.voters if each.voter == leader).rank == 4


def test_every_outcome_counts_in_the_next_request(scoring, routing):
    learn(scoring, "prompt", 3)
    for count in range(1, 4):
        judge(routing, "prompt", [count - 1], good=0.75)
        assert score(scoring, "prompt").calibration.outcomes == count
    items = [
        pb.ScoreGenerationsStreamRequest(
            id=number, request=asked("prompt", PROMPTS[5], estimator=CALIBRATED)
        )
        for number in range(20)
    ]
    replies = list(scoring.ScoreGenerationsStream(iter(items)))
    assert {reply.response.calibration.outcomes for reply in replies} == {3}


def test_outcomes_of_a_bare_prompt_count_as_well(scoring, routing):
    for number in range(20):
        for model, quality in (("good", 1.0), ("parrot", 0.0), ("echo", 0.0), ("mimic", 0.0)):
            routing.RecordOutcome(
                routing_pb.RecordOutcomeRequest(
                    pool="told",
                    prompt=types_pb2.Prompt(text=PROMPTS[number]),
                    model=model,
                    quality=quality,
                )
            )
    found = score(scoring, "told")
    assert (best(found), found.estimator) == ("good", CALIBRATED)
    assert found.calibration.outcomes == 80
    assert not found.calibration.contradicted  # nothing of its answers is known


def test_it_works_on_vectors(scoring, routing):
    def request(number, **fields):
        answers = {"good": (0, 1.0, 1), "b": (1, 0.1, 0), "c": (1, 0, 0.1), "d": (1, 0.1, 0.1)}
        return pb.ScoreGenerationsRequest(
            pool="vectors",
            prompt=types_pb2.Prompt(vector=vector(number, 1, 2)),
            generations=[
                pb.Generation(voter=voter, vector=vector(*answer))
                for voter, answer in answers.items()
            ],
            **fields,
        )

    for number in range(12):
        scoring.ScoreGenerations(request(number, learn=True, sample_id=f"s{number}"))
    judge(routing, "vectors", range(12), good=1.0, b=0.0, c=0.0, d=0.0)
    found = scoring.ScoreGenerations(request(3.5, estimator=CALIBRATED))
    assert (best(found), found.calibration.outcomes) == ("good", 48)


def test_a_restart_keeps_it(tmp_path):
    with ServerProcess(tmp_path) as process:
        with grpc.insecure_channel(process.target) as channel:
            scoring = rpc.ScoringServiceStub(channel)
            learn(scoring, "kept", 20)
            judge(routing_rpc.RoutingServiceStub(channel), "kept", range(10), good=1.0, echo=0.0)
            before = score(scoring, "kept")
        process.kill()
        process.start()
        with grpc.insecure_channel(process.target) as channel:
            after = score(rpc.ScoringServiceStub(channel), "kept")
    assert best(after) == best(before) == "good"
    assert after.calibration == before.calibration
    assert after.voters == before.voters


def test_what_was_measured_moves_with_a_pool(scoring, routing, admin):
    learn(scoring, "from", 6)
    judge(routing, "from", range(4), good=1.0, echo=0.0)
    exported = list(admin.ExportSamples(admin_pb.ExportSamplesRequest(pool="from")))
    samples = [each.sample for each in exported if each.HasField("sample")]
    outcomes = [each.outcome for each in exported if each.HasField("outcome")]
    assert all(len(sample.features_float32_le) == 4 * 2 * 4 for sample in samples)
    for outcome in outcomes:
        (sample,) = [each for each in samples if each.sample_id == outcome.sample_id]
        assert outcome.voters == sample.voters
        assert outcome.distances_float32_le == sample.distances_float32_le
        assert outcome.features_float32_le == sample.features_float32_le

    def moved(pool, *kinds):
        header = admin_pb.SamplesHeader(pool=pool, space=exported[0].header.space)
        yield admin_pb.ImportSamplesRequest(header=header)
        for each in exported[1:]:
            if (kind := each.WhichOneof("item")) in kinds:
                yield admin_pb.ImportSamplesRequest(**{kind: getattr(each, kind)})

    admin.ImportSamples(moved("to", "sample", "outcome"))
    admin.ImportSamples(moved("alone", "outcome"))
    here, there, alone = (score(scoring, pool) for pool in ("from", "to", "alone"))
    assert there.calibration == here.calibration
    assert there.voters == here.voters
    assert alone.calibration.outcomes == 8
    again = list(admin.ExportSamples(admin_pb.ExportSamplesRequest(pool="alone")))
    assert [each.outcome for each in again[1:]] == outcomes


def test_the_client_moves_it_too(calibrating, scoring, routing):
    learn(scoring, "client", 3)
    judge(routing, "client", range(2), good=1.0)
    with Client(calibrating.target) as client:
        items = list(client.export_samples("client"))
        client.import_samples("client-too", items, space=client.pool("client").space)
        assert [each.features.tolist() for each in items] == [
            each.features.tolist() for each in client.export_samples("client-too")
        ]
        outcome = next(each for each in items if isinstance(each, Outcome))
        assert outcome.voters == ("good", "parrot", "echo", "mimic")
        assert len(outcome.distances) == 6
        answers = {"good": "A whole story.", "echo": "Sorry.", "mimic": "Sorry!"}
        result = client.score("Why?", answers, pool="client-too", estimator="calibrated")
        assert result.estimator == "calibrated"
        assert result.calibration.outcomes == 2
        assert all(voter.expected_quality is not None for voter in result.voters)


def measured(**fields) -> admin_pb.Outcome:
    given = {"voters": ["a", "b"], "distances_float32_le": bytes(4), **fields}
    return admin_pb.Outcome(outcome_id="o", model="m", quality=1, prompt=vector(1, 0), **given)


NAN, ENDLESS = b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"voters": []}, ["outcome.voters"]),
        ({"voters": ["a", "a"]}, ["outcome.voters"]),
        ({"voters": ["a", ""]}, ["outcome.voters[1]"]),
        ({"distances_float32_le": b""}, ["outcome.distances_float32_le"]),
        ({"distances_float32_le": NAN}, ["outcome.distances_float32_le"]),
        ({"features_float32_le": bytes(12)}, ["outcome.features_float32_le"]),
        ({"features_float32_le": 4 * ENDLESS}, ["outcome.features_float32_le"]),
        (
            {"voters": [], "distances_float32_le": b"", "features_float32_le": bytes(8)},
            ["outcome.voters"],
        ),
    ],
)
def test_what_was_measured_is_refused_by_field(admin, fields, named):
    space = admin_pb.EmbeddingSpace(id="vectors/caller", dimension=2)
    items = [
        admin_pb.ImportSamplesRequest(header=admin_pb.SamplesHeader(pool="bad", space=space)),
        admin_pb.ImportSamplesRequest(outcome=measured(**fields)),
    ]
    code, _, found = error_of(lambda: admin.ImportSamples(iter(items)))
    places = [f"items[0].{each}" for each in named]
    assert (code, found) == (grpc.StatusCode.INVALID_ARGUMENT, places)


def test_features_that_are_not_known_are_taken(admin):
    space = admin_pb.EmbeddingSpace(id="vectors/caller", dimension=2)
    items = [
        admin_pb.ImportSamplesRequest(header=admin_pb.SamplesHeader(pool="nan", space=space)),
        admin_pb.ImportSamplesRequest(outcome=measured(features_float32_le=4 * NAN)),
    ]
    assert admin.ImportSamples(iter(items)).outcomes_imported == 1
    (_, item) = admin.ExportSamples(admin_pb.ExportSamplesRequest(pool="nan"))
    assert item.outcome.features_float32_le == 4 * NAN


def scraped(process) -> dict[tuple[str, ...], float]:
    """Every sample of the server's metrics, by name and labels."""
    lines = [json.loads(each) for each in process.log.read_text().splitlines()]
    (address,) = [line["address"] for line in lines if line["event"] == "metrics"]
    with urlopen(f"http://{address}/metrics", timeout=30) as reply:
        families = text_string_to_metric_families(reply.read().decode())
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }


def test_a_contradicted_pool_is_told_everywhere_and_logged_once(
    calibrating, scoring, routing, admin
):
    def described():
        return admin.GetPool(admin_pb.GetPoolRequest(pool="wrong")).pool

    learn(scoring, "wrong", 20)
    judge(routing, "wrong", range(20), good=1.0, parrot=0.0, echo=0.0, mimic=0.0)
    assert score(scoring, "wrong").calibration.contradicted
    for _ in range(5):
        score(scoring, "wrong")
    assert described().agreement_contradicted
    time.sleep(0.1)  # calls are counted within 20 ms of their end
    values = scraped(calibrating)
    assert values["pointsman_pool_agreement_contradicted", "wrong"] == 1
    assert values["pointsman_pool_agreement_contradiction", "wrong"] >= 0.95
    assert values["pointsman_pool_outcomes", "wrong"] == 80
    method = "/pointsman.v1.ScoringService/ScoreGenerations"
    assert values["pointsman_requests_total", method, "OK"] >= 26
    lines = calibrating.log.read_text().splitlines()
    assert sum("agreement_contradicted" in each and '"wrong"' in each for each in lines) == 1
    admin.DeletePool(admin_pb.DeletePoolRequest(pool="wrong"))
    assert ("pointsman_pool_agreement_contradicted", "wrong") not in scraped(calibrating)
    learn(scoring, "wrong", 2)
    assert not described().agreement_contradicted


def test_a_contradiction_is_seen_without_a_calibrated_request(scoring, routing, admin):
    learn(scoring, "unasked", 20)
    judge(routing, "unasked", range(20), good=1.0, parrot=0.0, echo=0.0, mimic=0.0)
    request, deadline = admin_pb.GetPoolRequest(pool="unasked"), time.monotonic() + 60
    while not admin.GetPool(request).pool.agreement_contradicted:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_calibrated_over_an_empty_pool_falls_back(scoring):
    found = scoring.ScoreGenerations(text_request("empty", estimator=CALIBRATED))
    assert found.estimator == pb.ESTIMATOR_SINGLE
    assert (found.fallback.wanted, found.fallback.reason) == (CALIBRATED, "POOL_EMPTY")
    assert found.calibration.agreement_weight == 1
