"""The pipeline on a real memory: what is refused, what falls back, what is learned."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from scoring.errors import (
    MemoryBusyError,
    MemoryStorageError,
    PoolNotFoundError,
    SpaceMismatchError,
    TooManyVotersError,
)
from scoring.memory import Durability, Memory, MemorySettings, NewOutcome
from server.calibration import Calibrations
from server.encoding import EncoderIdentity, ServedEncoder
from server.pipeline import ScoringPipeline
from server.recalls import Recalls
from server.requests import EmbeddingKind, EstimatorKind, ScoreRequest, Texts, Vectors
from server.tickets import EncodedTexts
from server.worker import EstimateWorker

DIMENSION = 26


class LetterEncoder:
    """Embeds a text as its counts of letters."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def encode(self, texts):
        self.texts += texts
        vectors = np.array(
            [[text.lower().count(chr(97 + i)) for i in range(DIMENSION)] for text in texts],
            np.float32,
        )
        return EncodedTexts(vectors, np.zeros(len(texts), np.bool_), 0.1, 0.2, 0.3)


@pytest.fixture
def memory(tmp_path):
    memory = Memory.open(MemorySettings(directory=tmp_path, capacity=100))
    yield memory
    memory.close()


@pytest.fixture
def encoder():
    return LetterEncoder()


@pytest.fixture
def make(memory, encoder):
    with ThreadPoolExecutor(1) as estimate_thread:

        def make(*, create_pools=True) -> ScoringPipeline:
            served = ServedEncoder(encoder, EncoderIdentity("rev", DIMENSION, 256))
            calibrations = Calibrations(memory, estimate_thread)
            worker = EstimateWorker(estimate_thread, lambda: False)
            recalls = Recalls(memory, estimate_thread, lambda: False)
            return ScoringPipeline(
                served, memory, worker, recalls, calibrations, create_pools=create_pools
            )

        yield make


@pytest.fixture
def pipeline(make):
    return make()


def request(content=None, **fields) -> ScoreRequest:
    defaults = {
        "pool": "p",
        "voters": ("a", "b", "c"),
        "content": content or Texts("ask", ("same", "same", "other")),
        "estimator": EstimatorKind.AUTO,
        "neighbours": 20,
        "embedding": EmbeddingKind.POOL,
        "learn": False,
        "sample_id": "s",
    }
    return ScoreRequest(**{**defaults, **fields})


def vectors(dimension=DIMENSION, space="mine") -> Vectors:
    return Vectors(np.ones(dimension, np.float32), np.eye(3, dimension, dtype=np.float32), space)


async def test_timings_of_the_encoder_are_passed_on(pipeline):
    timings = (await pipeline.score(request())).timings
    assert (timings.tokenise, timings.encode) == (0.1, 0.3)
    assert timings.queue > 0.2  # and the wait for the thread that estimates
    assert timings.learn == 0
    assert timings.total > 0


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (EmbeddingKind.GENERATION, ["ask", "same", "same", "other"]),
        (
            EmbeddingKind.PROMPT_AND_GENERATION,
            ["ask", "ask\nsame", "ask\nsame", "ask\nother"],
        ),
    ],
)
async def test_what_is_embedded(pipeline, encoder, kind, texts):
    await pipeline.score(request(embedding=kind))
    assert encoder.texts == texts


async def test_a_pool_keeps_what_it_embeds(pipeline, encoder):
    joined = EmbeddingKind.PROMPT_AND_GENERATION
    await pipeline.score(request(embedding=joined, learn=True))
    encoder.texts.clear()
    await pipeline.score(request())
    assert encoder.texts[1] == "ask\nsame"
    with pytest.raises(SpaceMismatchError):
        await pipeline.score(request(embedding=EmbeddingKind.GENERATION))


@pytest.mark.parametrize("other", [vectors(), vectors(space="theirs"), vectors(dimension=3)])
async def test_a_pool_of_texts_refuses_vectors_before_any_work(pipeline, other):
    await pipeline.score(request(learn=True))
    with pytest.raises(SpaceMismatchError):
        await pipeline.score(request(other))


async def test_an_unknown_pool_is_refused_where_none_is_created(make, encoder):
    pipeline = make(create_pools=False)
    with pytest.raises(PoolNotFoundError):
        await pipeline.score(request(learn=True))
    assert encoder.texts == []


@pytest.mark.parametrize(
    ("wanted", "empty", "full"),
    [
        (EstimatorKind.AUTO, EstimatorKind.SINGLE, EstimatorKind.LOCAL),
        (EstimatorKind.LOCAL, EstimatorKind.SINGLE, EstimatorKind.LOCAL),
        (EstimatorKind.GLOBAL, EstimatorKind.SINGLE, EstimatorKind.GLOBAL),
        (EstimatorKind.SINGLE, EstimatorKind.SINGLE, EstimatorKind.SINGLE),
        (EstimatorKind.SAMPLES, EstimatorKind.SINGLE, EstimatorKind.SINGLE),
    ],
)
async def test_which_estimator_runs(pipeline, wanted, empty, full):
    before = await pipeline.score(request(estimator=wanted, learn=True))
    after = await pipeline.score(request(estimator=wanted, sample_id="after"))
    assert (before.estimator, after.estimator) == (empty, full)
    assert after.estimate.neighbours_used == (1 if full is EstimatorKind.SINGLE else 2)
    reasons = [reply.fallback and reply.fallback.reason for reply in (before, after)]
    if wanted is EstimatorKind.SAMPLES:
        assert reasons == ["ONE_ANSWER_PER_VOTER"] * 2
    else:
        assert reasons == [None if empty is full else "POOL_EMPTY", None]


async def test_a_sample_is_not_its_own_neighbour(pipeline):
    for sample_id in ("s", "other"):
        await pipeline.score(request(learn=True, sample_id=sample_id))
    for estimator in (EstimatorKind.LOCAL, EstimatorKind.GLOBAL):
        assert (await pipeline.score(request(estimator=estimator))).estimate.neighbours_used == 2
        again = await pipeline.score(request(estimator=estimator, sample_id="new"))
        assert again.estimate.neighbours_used == 3


async def test_a_pool_of_other_voters_is_nothing_to_rest_on(pipeline):
    await pipeline.score(request(learn=True, voters=("x", "y", "z")))
    for estimator in (EstimatorKind.LOCAL, EstimatorKind.GLOBAL):
        reply = await pipeline.score(request(estimator=estimator, sample_id="new"))
        assert (reply.estimator, reply.estimate.neighbours_used) == (EstimatorKind.SINGLE, 1)
        assert (reply.fallback.wanted, reply.fallback.reason) == (estimator, "NO_COMMON_VOTERS")


async def test_too_few_voters_do_not_hide_what_was_wanted(pipeline):
    two = request(Texts("ask", ("x", "y")), voters=("a", "b"), estimator=EstimatorKind.GLOBAL)
    reply = await pipeline.score(two)
    assert (reply.estimator, reply.fallback.wanted) == (EstimatorKind.SINGLE, EstimatorKind.GLOBAL)
    assert reply.fallback.reason == "TOO_FEW_VOTERS"


async def test_one_voter_with_several_answers_does_not_cost_the_pool(pipeline):
    await pipeline.score(request(learn=True))
    four = request(
        Texts("ask", ("same", "same", "sane", "other")), voters=("a", "b", "b", "c"), sample_id="n"
    )
    reply = await pipeline.score(four)
    assert (reply.estimator, reply.estimate.neighbours_used) == (EstimatorKind.LOCAL, 2)


async def test_one_neighbour_is_the_prompt_itself(pipeline):
    await pipeline.score(request(learn=True))
    reply = await pipeline.score(request(estimator=EstimatorKind.LOCAL, neighbours=1))
    assert (reply.estimator, reply.fallback) == (EstimatorKind.LOCAL, None)
    assert reply.estimate.neighbours_used == 1


async def test_a_pool_deleted_meanwhile_is_not_created_again(memory, encoder, make):
    await make().score(request(learn=True))
    strict = make(create_pools=False)
    encoding = encoder.encode

    async def encode_while_the_pool_goes(texts):
        await asyncio.wrap_future(memory.delete("p"))
        return await encoding(texts)

    encoder.encode = encode_while_the_pool_goes
    reply = await strict.score(request(learn=True, sample_id="late"))
    assert (reply.learned.durability, reply.learned.reason) == (None, "POOL_NOT_FOUND")
    assert not memory.has("p")


async def test_voters_who_are_absent_help_to_tell_the_others_apart(pipeline):
    for index in range(3):
        await pipeline.score(request(learn=True, sample_id=f"s{index}"))
    two = request(Texts("ask", ("same", "other")), voters=("a", "c"), sample_id="two")
    reply = await pipeline.score(two)
    assert reply.fallback is None
    assert reply.estimate.noise_variance[0] < reply.estimate.noise_variance[1]


async def test_learning_says_how_durable_it_is(pipeline, memory):
    learned = (await pipeline.score(request(learn=True))).learned
    assert (learned.sample_id, learned.durability) == ("s", Durability.PROCESS)
    assert memory.describe("p").samples == 1


@pytest.mark.parametrize(
    "error", [MemoryBusyError("Full."), MemoryStorageError("No disk."), TooManyVotersError("Many.")]
)
@pytest.mark.parametrize("late", [False, True])
async def test_a_ranking_is_worth_having_when_learning_fails(
    pipeline, memory, monkeypatch, error, late
):
    def learn(*_, **__):
        if not late:
            raise error
        future = Future()
        future.set_exception(error)
        return future

    monkeypatch.setattr(memory, "learn", learn, raising=True)
    reply = await pipeline.score(request(learn=True))
    assert reply.ranking.best_index in (0, 1)
    assert reply.learned.durability is None
    assert (reply.learned.reason, reply.learned.message) == (error.reason, str(error))


async def test_a_caller_who_gives_up_while_learning_does_not_stop_the_writer(
    pipeline, memory, monkeypatch
):
    writing: Future = Future()
    monkeypatch.setattr(memory, "learn", lambda *_, **__: writing)
    call = asyncio.create_task(pipeline.score(request(learn=True)))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not writing.cancelled()
    assert writing.set_running_or_notify_cancel()


async def learn_some(pipeline, count):
    """Answers of `a` lie apart, those of `b`, `c` and `d` together."""
    for number in range(count):
        texts = Texts(f"ask {number}", ("quite another", "same", "same", "sane"))
        voters = ("a", "b", "c", "d")
        await pipeline.score(request(texts, voters=voters, learn=True, sample_id=f"s{number}"))


def judge(memory, count, **qualities):
    for number in range(count):
        for model, quality in qualities.items():
            outcome = NewOutcome(f"{number}-{model}", model, quality, 1.0, f"s{number}")
            memory.record("p", None, outcome).result(30)


LATER = Texts("later", ("quite different", "same", "sane", "same"))


def later(**fields) -> ScoreRequest:
    wanted = {"voters": ("a", "b", "c", "d"), "estimator": EstimatorKind.CALIBRATED}
    return request(**{"content": LATER, "sample_id": "later", **wanted, **fields})


async def test_outcomes_correct_agreement(pipeline, memory):
    await learn_some(pipeline, 12)
    before = await pipeline.score(later())
    assert (before.estimator, before.fallback) == (EstimatorKind.CALIBRATED, None)
    assert (before.calibrated.outcomes, before.calibrated.agreement_weight) == (0, 1)
    local = await pipeline.score(later(estimator=EstimatorKind.LOCAL))
    assert before.estimate.order.tolist() == local.estimate.order.tolist()
    assert before.estimate.weight.tolist() == local.estimate.weight.tolist()
    assert local.calibrated is None
    assert local.estimate.order[-1] == 0
    judge(memory, 12, a=1.0, b=0.0, c=0.0, d=0.0)
    after = await pipeline.score(later())
    assert (after.estimator, after.fallback) == (EstimatorKind.CALIBRATED, None)
    assert after.ranking.best_index == after.estimate.order[0] == 0
    assert after.calibrated.outcomes == 48
    assert after.calibrated.quality.argmax() == 0
    assert after.estimate.weight.argmax() == 0
    assert 0 <= after.calibrated.agreement_weight < 1
    assert after.estimate.noise_variance.tolist() == local.estimate.noise_variance.tolist()
    again = await pipeline.score(later(estimator=EstimatorKind.LOCAL))
    assert again.estimate.order.tolist() == local.estimate.order.tolist()


async def test_one_voter_judged_now_and_then_counts(pipeline, memory):
    await learn_some(pipeline, 12)
    judge(memory, 12, b=0.0)
    reply = await pipeline.score(later())
    assert reply.calibrated.outcomes == 12
    assert reply.estimate.order[-1] == 1
    unheard = reply.calibrated.quality[[0, 2, 3]]
    assert (unheard > reply.calibrated.quality[1]).all()


async def test_outcomes_tell_two_voters_apart(pipeline, memory):
    await learn_some(pipeline, 12)
    two = later(voters=("b", "a"), content=Texts("later", ("one", "two")), neighbours=1)
    assert (await pipeline.score(two)).fallback.reason == "TOO_FEW_VOTERS"
    judge(memory, 12, a=1.0, b=0.0)
    reply = await pipeline.score(two)
    assert (reply.fallback, reply.ranking.best_index) == (None, 1)


async def test_calibrated_over_nothing_says_so(pipeline):
    reply = await pipeline.score(later(pool="nothing"))
    assert reply.estimator is EstimatorKind.SINGLE
    assert reply.fallback.wanted is EstimatorKind.CALIBRATED
    assert reply.fallback.reason == "POOL_EMPTY"
    assert reply.calibrated.outcomes == 0


async def test_what_was_measured_is_learned(pipeline, memory):
    await pipeline.score(request(learn=True))
    await pipeline.score(request(vectors(), learn=True, pool="v", estimator=EstimatorKind.SINGLE))
    (text,), (vector,) = memory.samples("p"), memory.samples("v")
    lengths = np.log1p([4, 4, 5]).astype(np.float32)
    np.testing.assert_array_equal(text.features[:, 1], lengths)
    assert (text.features[:2, 0] > text.features[2, 0]).all()
    np.testing.assert_allclose(vector.features[:, 0], DIMENSION**-0.5, rtol=1e-6)
    assert np.isnan(vector.features[:, 1]).all()


async def test_an_outcome_before_the_request_counts_in_it(pipeline, memory):
    await learn_some(pipeline, 5)
    for count in range(1, 6):
        judge(memory, count, c=1.0)
        assert (await pipeline.score(later())).calibrated.outcomes == count
