"""Routers equal their definitions, computed slowly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring import Neighbourhood, noise_of_neighbourhoods, pair_count
from scoring.errors import InvalidArrayError
from scoring.memory import EmbeddingSpace
from scoring.memory.outcomes.values import OutcomeNeighbourhood, OutcomeTotals
from scoring.routers import (
    CosineRouter,
    OutcomeRouter,
    TemperatureCalibration,
    fit_temperature,
)
from scoring.routers.reference import (
    cosine_scores,
    cross_entropy,
    neighbourhood_scores,
    outcome_score,
)

SEEDS = st.integers(0, 2**32 - 1)
SIXTEENTHS = st.integers(-48, 48).map(lambda value: value / 16)
PROPERTY = settings(max_examples=50)


@st.composite
def vectors(draw):
    """Prompts, embeddings, of any length, zero and equal ones among them."""
    dimension = draw(st.integers(1, 6))
    table = [
        draw(arrays(np.float32, (draw(st.integers(1, 5)), dimension), elements=SIXTEENTHS))
        for _ in range(2)
    ]
    scale = draw(st.sampled_from([1.0, 1e-20, 1e17]))
    return table[0] * np.float32(scale), table[1]


def cosine_router(embeddings):
    return CosineRouter("routerdc", [str(place) for place in range(len(embeddings))], embeddings)


@given(vectors())
@PROPERTY
def test_cosines_equal_their_definition(case):
    prompts, embeddings = case
    found = cosine_router(embeddings).score(prompts).scores
    np.testing.assert_allclose(found, cosine_scores(prompts, embeddings), atol=1e-14)


@given(vectors(), SEEDS)
@PROPERTY
def test_cosines_depend_on_no_other_prompt_and_equal_embeddings_tie(case, seed):
    prompts, embeddings = case
    doubled = np.concatenate([embeddings, embeddings])
    scores = cosine_router(doubled).score(prompts).scores
    assert np.array_equal(scores[:, : len(embeddings)], scores[:, len(embeddings) :])
    order = np.random.default_rng(seed).permutation(len(prompts))
    assert np.array_equal(cosine_router(doubled).score(prompts[order]).scores, scores[order])
    for prompt, row in zip(prompts, scores, strict=True):
        assert np.array_equal(cosine_router(doubled).score(prompt[None]).scores[0], row)


@st.composite
def neighbourhoods(draw):
    """Up to nine samples over up to six voters, with pairs missing."""
    voters, samples = draw(st.integers(1, 6)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(SEEDS))
    rows = rng.uniform(0, 3, (samples, pair_count(voters))).astype(np.float32)
    rows[rng.random(rows.shape) < draw(st.sampled_from([0.0, 0.3, 0.7]))] = np.nan
    names = tuple(f"voter-{place}" for place in range(voters))
    return Neighbourhood(names, rows, np.zeros(samples, np.float32))


@given(st.lists(neighbourhoods(), min_size=1, max_size=4))
@settings(max_examples=120)
def test_noise_of_neighbourhoods_equals_least_squares_over_the_samples_of_each(nearby):
    alike = [each for each in nearby if each.voters == nearby[0].voters]
    noise, usable = noise_of_neighbourhoods(alike)
    np.testing.assert_allclose(-noise, [neighbourhood_scores(each) for each in alike], atol=1e-9)
    told = [sum(not np.isnan(row).all() for row in each.rows) for each in alike]
    assert usable.tolist() == told
    for each, row in zip(alike, noise, strict=True):
        np.testing.assert_array_equal(noise_of_neighbourhoods([each])[0][0], row)


@given(neighbourhoods(), SEEDS)
@PROPERTY
def test_the_order_of_neighbours_does_not_matter(nearby, seed):
    order = np.random.default_rng(seed).permutation(len(nearby.rows))
    moved = Neighbourhood(nearby.voters, nearby.rows[order], nearby.squared_distances)
    noise, _ = noise_of_neighbourhoods([nearby, moved])
    np.testing.assert_allclose(noise[1], noise[0], atol=1e-12)


@pytest.mark.parametrize("bad", [-1.0, np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_squared_distance_is_refused(bad, place):
    rows = [np.ones((2, 3), np.float32) for _ in range(2)]
    rows[place][1, 2] = bad
    nearby = [Neighbourhood(("a", "b", "c"), each, np.zeros(2, np.float32)) for each in rows]
    with pytest.raises(InvalidArrayError, match="negative number or infinity"):
        noise_of_neighbourhoods(nearby)


class Ledger:
    """A memory that recalls the first k of some subjects: lists of qualities per model."""

    def __init__(self, models, subjects):
        self.models, self.subjects = models, subjects

    def space(self, pool):
        return EmbeddingSpace("test", 2)

    def _sums(self, subjects):
        shape = (len(subjects), len(self.models))
        sums = [[math.fsum(each.get(model, [])) for model in self.models] for each in subjects]
        counts = [[len(each.get(model, [])) for model in self.models] for each in subjects]
        return np.array(sums).reshape(shape), np.array(counts, np.int64).reshape(shape)

    def recall_outcomes_each(self, pool, space, prompts, k):
        near = self.subjects[:k]
        distances = np.zeros(len(near), np.float32)
        return [OutcomeNeighbourhood(self.models, *self._sums(near), distances) for _ in prompts]

    def outcome_totals(self, pool):
        sums, counts = self._sums(self.subjects)
        return OutcomeTotals(self.models, sums.sum(axis=0), counts.sum(axis=0))


QUALITIES = st.lists(st.integers(0, 8).map(lambda value: value / 8), min_size=1, max_size=3)
SUBJECTS = st.lists(
    st.dictionaries(st.sampled_from("abc"), QUALITIES, min_size=1), min_size=1, max_size=8
)


@given(SUBJECTS, st.integers(1, 5), st.sampled_from([0.0, 0.5, 1.0, 20.0]))
@PROPERTY
def test_outcomes_equal_their_definition(subjects, k, pseudo):
    router = OutcomeRouter(
        Ledger(("a", "b", "c"), subjects), "p", neighbours=k, pseudo_outcomes=pseudo
    )
    found = router.score(np.zeros((2, 2), np.float32))

    def qualities(among, model):
        return [quality for each in among for quality in each.get(model, [])]

    expected = [
        outcome_score(qualities(subjects[:k], model), qualities(subjects, model), pseudo)
        for model in found.models
    ]
    np.testing.assert_allclose(found.scores, [expected, expected], rtol=1e-12)
    assert found.neighbours_used.tolist() == [min(k, len(subjects))] * 2
    assert found.voters_used.tolist() == [int(np.count_nonzero(~np.isnan(expected)))] * 2


@given(SUBJECTS, st.integers(1, 5))
@PROPERTY
def test_more_pretended_outcomes_pull_towards_the_mean(subjects, k):
    def score(pseudo):
        memory = Ledger(("a", "b", "c"), subjects)
        router = OutcomeRouter(memory, "p", neighbours=k, pseudo_outcomes=pseudo)
        return router.score(np.zeros((1, 2), np.float32)).scores[0]

    mean = score(1e12)
    apart = [np.abs(score(pseudo) - mean) for pseudo in (0.5, 1.0, 8.0)]
    assert (np.diff(np.nan_to_num(apart), axis=0) <= 1e-9).all()


@st.composite
def tables(draw):
    """Scores and qualities with gaps, the scores more or less right."""
    prompts, models = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(SEEDS))
    qualities = rng.integers(0, 3, (prompts, models)) / 2
    noise = draw(st.sampled_from([0.0, 0.5, 3.0]))
    scale = draw(st.sampled_from([1e-3, 1.0, 50.0]))
    scores = scale * (
        qualities * draw(st.sampled_from([-1, 0, 1])) + noise * rng.normal(size=qualities.shape)
    )
    gaps = draw(st.sampled_from([0.0, 0.3]))
    scores[rng.random(scores.shape) < gaps] = np.nan
    qualities[rng.random(scores.shape) < gaps] = np.nan
    return scores, qualities


@given(tables())
@PROPERTY
def test_the_fitted_temperature_has_the_least_cross_entropy(case):
    scores, qualities = case
    fit = fit_temperature(scores, qualities)
    before = cross_entropy(scores, qualities, 1.0)
    if math.isnan(before):
        assert (fit.temperature, fit.prompts) == (1.0, 0)
        assert math.isnan(fit.nll_after)
        return
    np.testing.assert_allclose(fit.nll_before, before, rtol=1e-9, atol=1e-12)
    found = cross_entropy(scores, qualities, fit.temperature)
    np.testing.assert_allclose(fit.nll_after, found, rtol=1e-9, atol=1e-12)
    assert found <= before + 1e-12
    known = np.where(np.isnan(qualities), np.nan, scores)
    spread = np.nanmax(known) - np.nanmin(known)
    rivals = np.geomspace(1e-2 * spread, 1e2 * spread, 60) if spread > 0 else [1.0]
    assert found <= min(cross_entropy(scores, qualities, rival) for rival in rivals) + 1e-9


@given(tables(), st.sampled_from([1e-6, 0.3, 1.0, 1e5]))
@PROPERTY
def test_probabilities_keep_the_order_and_sum_to_one(case, temperature):
    scores, _ = case
    found = TemperatureCalibration(temperature).probabilities(scores)
    assert (found[np.isnan(scores)] == 0).all()
    for row, shares in zip(scores, found, strict=True):
        known = ~np.isnan(row)
        assert np.isclose(shares.sum(), 1.0 if known.any() else 0.0)
        order = np.argsort(row[known], kind="stable")
        assert (np.diff(shares[known][order]) >= 0).all()


def test_a_known_temperature_is_found_again():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(20_000, 4))
    shares = TemperatureCalibration(0.4).probabilities(scores)
    best = (rng.random((len(scores), 1)) < np.cumsum(shares, axis=1)).argmax(axis=1)
    fit = fit_temperature(scores, np.eye(4)[best])
    assert fit.temperature == pytest.approx(0.4, rel=0.03)
    assert fit.nll_after < fit.nll_before
    assert fit.ece_after < 0.02 < fit.ece_before
