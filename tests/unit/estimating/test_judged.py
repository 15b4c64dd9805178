"""From what a memory holds of outcomes to the evidence of a calibration."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import measure_answers
from scoring.calibrated import relative_features
from scoring.errors import PoolNotFoundError
from scoring.estimator import noise_of_totals
from scoring.features import measure_features
from scoring.judged import features_of_request, fit_pool, judged_answers, nothing_judged
from scoring.memory import (
    EmbeddingSpace,
    JudgedSubjects,
    Memory,
    MemorySettings,
    NewOutcome,
    NewSample,
)

SPACE = EmbeddingSpace("test", 4)
VOTERS, MODELS = ("a", "b", "c"), ("c", "x", "a")


def subjects(seed: int, count: int) -> JudgedSubjects:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (count, len(MODELS)))
    measured = rng.random((count, len(VOTERS), 3)).astype(np.float32)
    measured[rng.random(measured.shape) < 0.2] = np.nan
    measured[rng.random(count) < 0.2] = np.nan  # nothing is known
    sums = counts * rng.random(counts.shape)
    return JudgedSubjects(MODELS, sums, counts, VOTERS, measured)


@settings(deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 6))
def test_every_judged_answer_is_a_row_with_its_relative_features(seed, count):
    held = subjects(seed, count)
    found = judged_answers(held)
    assert found.voters == ("a", "b", "c", "x")
    rows = []
    for subject in range(count):
        relative = relative_features(*held.measured[subject].T.astype(np.float64))
        for model, name in enumerate(MODELS):
            if held.counts[subject, model]:
                known = VOTERS.index(name) if name in VOTERS else None
                features = np.full(3, np.nan) if known is None else relative[known]
                quality = held.quality_sums[subject, model] / held.counts[subject, model]
                rows.append((subject, name, quality, held.counts[subject, model], features))
    assert found.subject.tolist() == [row[0] for row in rows]
    assert [found.voters[voter] for voter in found.voter] == [row[1] for row in rows]
    assert found.quality.tolist() == [row[2] for row in rows]
    assert found.count.tolist() == [row[3] for row in rows]
    assert found.features.shape == (len(rows), 3)
    for features, row in zip(found.features, rows, strict=True):
        np.testing.assert_allclose(features, row[4], rtol=1e-12)


def test_models_that_never_answered_have_no_features():
    held = subjects(3, 4)
    found = judged_answers(replace(held, voters=(), measured=held.measured[:, :0]))
    assert found.voters == MODELS
    assert len(found.voter) == np.count_nonzero(held.counts)
    assert np.isnan(found.features).all()


def test_nothing_judged_is_no_outcome():
    assert nothing_judged().outcomes == 0
    assert judged_answers(subjects(0, 0)).features.shape == (0, 3)


def answered(seed: int):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(4, 4)).astype(np.float32)
    prompt = rng.normal(size=4).astype(np.float32)
    answers = measure_answers(["a", "b", "c", "b"], vectors)
    features = measure_features(answers, prompt, vectors, [3, 40, 500, 6])
    return prompt, answers, features


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(tmp_path)) as memory:
        yield memory


def test_a_request_is_measured_as_what_is_kept_of_it(memory):
    prompt, answers, features = answered(1)
    sample = NewSample("s", prompt, answers.voters, answers.pairs, 0.0, features)
    memory.learn("p", SPACE, sample).result(30)
    for model in ("c", "a", "b"):
        memory.record("p", None, NewOutcome(model, model, 0.5, 0.0, "s")).result(30)
    judged = judged_answers(memory.judged("p"))
    own = features_of_request(answers, features)
    assert own.shape == (3, 3)
    assert not np.isnan(own).any()
    for voter, row in zip(judged.voter, judged.features, strict=True):
        np.testing.assert_array_equal(row, own[answers.voters.index(judged.voters[voter])])


def test_a_pool_is_fitted_with_the_noise_of_its_voters(memory):
    for number in range(30):
        prompt, answers, features = answered(number)
        sample = NewSample(f"s{number}", prompt, answers.voters, answers.pairs, 0.0, features)
        memory.learn("p", SPACE, sample).result(30)
        outcome = NewOutcome(f"o{number}", "x" if number == 7 else "b", 1.0, 0.0, f"s{number}")
        memory.record("p", None, outcome).result(30)
    fit = fit_pool(memory, "p")
    assert (fit.voters, fit.outcomes) == (("a", "b", "c", "x"), 30)
    noise = noise_of_totals(memory.totals("p", SPACE))
    assert fit.noise_mean == pytest.approx(noise.mean())
    assert np.argsort(fit.agreement[:3]).tolist() == np.argsort(-noise).tolist()
    assert fit.agreement[3] == 0


def test_a_pool_that_is_not_there_is_not_fitted(memory):
    with pytest.raises(PoolNotFoundError):
        fit_pool(memory, "p")
