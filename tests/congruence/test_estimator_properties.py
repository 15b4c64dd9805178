"""What must not change an estimate, and what must change it in a known way."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring import (
    Neighbourhood,
    estimate_alone,
    estimate_local,
    fit_global,
    fit_local,
    measure_answers,
    nearest_prompts,
)

# Sixteenths: distances and translations are exact in float32, and duplicates occur.
SIXTEENTHS = st.integers(-48, 48).map(lambda value: value / 16)
SAMPLES = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(3, 6), st.integers(1, 4)),
    elements=SIXTEENTHS,
)
SEEDS = st.integers(0, 2**32 - 1)
PROPERTY = settings(max_examples=40)


def names(count):
    return [str(voter) for voter in range(count)]


def estimates(embeddings):
    """The same samples through every path: a request, and two kinds of data set."""
    voters = names(embeddings.shape[1])
    answers = [measure_answers(voters, sample) for sample in embeddings]
    rows = np.array([each.pairs for each in answers[1:]]).reshape(-1, len(answers[0].pairs))
    nearby = Neighbourhood(tuple(voters), rows, np.zeros(len(rows), np.float32))
    everything = np.arange(len(embeddings))[None].repeat(len(embeddings), axis=0)
    one = estimate_local(answers[0], nearby)
    local = fit_local(embeddings, everything)
    wide = fit_global(embeddings)
    return [
        (one.noise_variance, one.weight),
        (local.noise_variance[0], local.weight[0]),
        (wide.noise_variance, wide.weight),
    ]


def check(embeddings, changed, *, factor=1.0, voters=slice(None), tolerance=1e-9):
    tolerance *= 1 + np.square(embeddings.astype(np.float64)).sum(axis=-1).max()
    for before, after in zip(estimates(embeddings), estimates(changed), strict=True):
        np.testing.assert_allclose(after[0] / factor, before[0][voters], atol=tolerance, rtol=0)
        if factor == 1.0 and tolerance < 1e-6:
            np.testing.assert_allclose(after[1], before[1][voters], rtol=1e-4)


@given(SAMPLES, SEEDS)
@PROPERTY
def test_the_order_of_voters(embeddings, seed):
    order = np.random.default_rng(seed).permutation(embeddings.shape[1])
    check(embeddings, embeddings[:, order], voters=order)


@given(SAMPLES, SEEDS)
@PROPERTY
def test_the_order_of_samples(embeddings, seed):
    check(embeddings, np.random.default_rng(seed).permutation(embeddings))


@given(SAMPLES, SIXTEENTHS)
@PROPERTY
def test_translation(embeddings, shift):
    check(embeddings, embeddings + np.float32(shift))


@given(SAMPLES, SEEDS)
@PROPERTY
def test_rotation(embeddings, seed):
    size = embeddings.shape[2]
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    turned = (embeddings @ rotation).astype(np.float32)
    check(embeddings, turned, tolerance=1e-6)


@given(SAMPLES, st.sampled_from([2.0**-20, 0.25, 8.0, 2.0**30]))
@PROPERTY
def test_scale_goes_squared_into_noise_and_changes_no_rank(embeddings, factor):
    scaled = embeddings * np.float32(factor)
    check(embeddings, scaled, factor=factor**2)
    assert fit_global(embeddings).order.tolist() == fit_global(scaled).order.tolist()
    before, after = (
        estimate_alone(measure_answers(names(len(each[0])), each[0]))
        for each in (embeddings, scaled)
    )
    assert before.order.tolist() == after.order.tolist()
    assert before.tied == after.tied
    assert np.isclose(before.margin, after.margin)
    np.testing.assert_allclose(before.weight, after.weight, rtol=1e-9)


@given(SAMPLES, SEEDS)
@PROPERTY
def test_a_duplicate_has_the_noise_and_the_weight_of_its_original(embeddings, seed):
    voter = seed % embeddings.shape[1]
    doubled = np.concatenate([embeddings, embeddings[:, [voter]]], axis=1)
    for noise, weight in estimates(doubled):
        assert np.isclose(noise[voter], noise[-1], atol=1e-9)
        assert np.isclose(weight[voter], weight[-1])
    estimate = estimate_alone(measure_answers(names(doubled.shape[1]), doubled[0]))
    if voter in estimate.tied:
        assert doubled.shape[1] - 1 in estimate.tied


@given(SAMPLES)
@PROPERTY
def test_repeating_every_sample_changes_nothing(embeddings):
    check(embeddings, np.concatenate([embeddings, embeddings]))


@given(SAMPLES)
@PROPERTY
def test_weights_are_a_share_and_the_best_weighs_most(embeddings):
    for noise, weight in estimates(embeddings):
        assert np.isfinite(noise).all()
        assert np.isclose(weight.sum(), 1.0)
        assert (weight >= 0).all()
        assert weight[noise.argmin()] == weight.max()


@given(SAMPLES, st.integers(1, 5))
@PROPERTY
def test_the_prompt_itself_is_the_first_neighbour(embeddings, k):
    vectors = embeddings.reshape(-1, embeddings.shape[2])
    assume(len(vectors) >= k)
    nearest = nearest_prompts(vectors, k)
    assert nearest.shape == (len(vectors), k)
    assert nearest[:, 0].tolist() == list(range(len(vectors)))
    assert all(len(set(row)) == k for row in nearest.tolist())
