"""The estimate of a request equals brute force over the samples it rests on."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import (
    Neighbourhood,
    Totals,
    estimate_alone,
    estimate_global,
    estimate_local,
    fit_global,
    fit_local,
    fit_samples,
    measure_answers,
    pair_column,
    pair_count,
    row_contrasts,
)
from scoring.reference import least_squares_noise, pair_means, triplet_noise

NAMES = np.array(list("abcdefg"))


def row_of(sample, order):
    """A sample is a dict of name to vector; the row's columns follow `order`."""
    row = np.full(pair_count(len(order)), np.nan)
    for (i, one), (j, other) in combinations(enumerate(order), 2):
        if one in sample and other in sample:
            row[pair_column(i, j)] = np.square(sample[one] - sample[other]).sum()
    return row


def brute_force(samples, voters):
    """Least squares over all pairs of all samples, and the mean over those of `voters`."""
    order = sorted({name for sample in samples for name in sample})
    rows = np.array([row_of(sample, order) for sample in samples])
    counts = np.count_nonzero(~np.isnan(rows), axis=0)
    means = np.nansum(rows, axis=0) / np.maximum(counts, 1)
    everyone = least_squares_noise(means, counts, len(order))
    noise = np.array([everyone[order.index(name)] for name in voters])
    theirs = [
        np.square(sample[one] - sample[other]).sum()
        for sample in samples
        for one, other in combinations(voters, 2)
        if one in sample and other in sample
    ]
    return noise, np.mean(theirs) if theirs else 0.0


def brute_force_error(samples, best, second):
    contrasts = []
    for sample in samples:
        if len(sample) > 2 and best in sample and second in sample:
            noise = triplet_noise(np.array(list(sample.values()))[None])
            names = list(sample)
            contrasts.append(noise[names.index(second)] - noise[names.index(best)])
    if len(contrasts) < 2:
        return np.nan
    return np.std(contrasts, ddof=1) / np.sqrt(len(contrasts))


@st.composite
def histories(draw):
    """Earlier samples over some of seven voters, and the answers to one more prompt."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = rng.uniform(0.1, 2, (7, 1))
    samples = []
    for _ in range(draw(st.integers(0, 6)) + 1):
        present = rng.permutation(7)[: rng.integers(1, 6)]
        vectors = (rng.normal(size=(7, 3)) * spread).astype(np.float32).astype(np.float64)
        samples.append({str(NAMES[voter]): vectors[voter] for voter in present})
    return samples[:-1], samples[-1]


def check(estimate, samples, current):
    noise, scale = brute_force([*samples, current], estimate.voters)
    np.testing.assert_allclose(estimate.noise_variance, noise, atol=1e-4)
    assert np.isclose(estimate.weight.sum(), 1.0)
    assert np.isnan(estimate.margin) == (len(noise) < 2 or np.isnan(noise).all())
    if len(noise) > 1 and not estimate.tied:
        floored = 1 / np.maximum(noise, 1e-3 * scale)
        np.testing.assert_allclose(estimate.weight, floored / floored.sum(), rtol=0.01)
        best, second = estimate.order[:2]
        assert noise[best] == noise.min()
        np.testing.assert_allclose(
            estimate.margin, (noise[second] - noise[best]) / scale, rtol=1e-3, atol=1e-5
        )
        error = brute_force_error(
            [*samples, current], estimate.voters[best], estimate.voters[second]
        )
        np.testing.assert_allclose(
            estimate.margin_standard_error, error / scale, rtol=1e-4, atol=1e-5
        )


def pool_of(samples):
    voters = tuple(dict.fromkeys(name for sample in samples for name in sample))
    rows = np.array([row_of(sample, voters) for sample in samples], np.float32)
    return voters, rows.reshape(len(samples), pair_count(len(voters)))


@given(histories())
@settings(max_examples=60)
def test_local_equals_least_squares_over_the_neighbours_and_this_sample(history):
    samples, current = history
    voters, rows = pool_of(samples)
    answers = measure_answers(list(current), np.array(list(current.values())))
    distances = np.zeros(len(rows), np.float32)
    estimate = estimate_local(answers, Neighbourhood(voters, rows, distances))
    check(estimate, samples, current)
    met = [
        sum(name in sample and len(sample) > 1 for sample in [*samples, current])
        for name in current
    ]
    assert estimate.samples_used.tolist() == met
    telling = [
        len(sample) > 1 and not current.keys().isdisjoint(sample) for sample in [*samples, current]
    ]
    assert estimate.neighbours_used == max(sum(telling), 1)


@given(histories())
@settings(max_examples=60)
def test_global_equals_least_squares_over_the_pool_and_this_sample(history):
    samples, current = history
    voters, rows = pool_of(samples)
    contrasts = np.array([row_contrasts(row, len(voters)) for row in rows]).reshape(rows.shape)
    totals = Totals(
        voters,
        len(samples),
        np.array([sum(name in sample for sample in samples) for name in voters], np.int64),
        np.nansum(rows, axis=0, dtype=np.float64),
        np.count_nonzero(~np.isnan(rows), axis=0),
        np.nansum(contrasts, axis=0),
        np.nansum(contrasts**2, axis=0),
        np.count_nonzero(~np.isnan(contrasts), axis=0),
    )
    answers = measure_answers(list(current), np.array(list(current.values())))
    estimate = estimate_global(answers, totals)
    check(estimate, samples, current)
    most = max(sum(name in sample for sample in samples) for name in current)
    assert estimate.neighbours_used == max(most + (len(current) > 1), 1)


@given(st.integers(3, 8), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_request_and_data_set_and_triplets_agree(voters, dimension, seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(6, voters, dimension)).astype(np.float32)
    names = [str(voter) for voter in range(voters)]
    answers = [measure_answers(names, sample) for sample in embeddings]
    rows = np.array([each.pairs for each in answers])
    scale = rows.mean()

    alone = estimate_alone(answers[0])
    expected = triplet_noise(embeddings[:1])
    np.testing.assert_allclose(alone.noise_variance, expected, atol=1e-6 * scale)
    single = fit_local(embeddings, np.arange(6)[:, None])
    np.testing.assert_allclose(single.noise_variance[0], alone.noise_variance, atol=1e-9 * scale)
    np.testing.assert_allclose(single.weight[0], alone.weight, atol=1e-9)
    assert single.order[0].tolist() == alone.order.tolist()

    neighbourhood = Neighbourhood(tuple(names), rows[1:], np.zeros(5, np.float32))
    local = estimate_local(answers[0], neighbourhood)
    wide = fit_global(embeddings)
    np.testing.assert_allclose(local.noise_variance, wide.noise_variance, atol=1e-6 * scale)
    np.testing.assert_allclose(local.weight, wide.weight, atol=1e-5)
    np.testing.assert_allclose(local.noise_variance, triplet_noise(embeddings), atol=1e-6 * scale)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_several_samples_equal_all_cross_pairs(voters, samples, seed):
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(2, voters, samples, 4)).astype(np.float32)
    names = [str(voter) for voter in range(voters) for _ in range(samples)]
    answers = measure_answers(names, embeddings[0].reshape(-1, 4))
    # Every choice of one sample per voter: each cross pair occurs equally often.
    choices = np.stack(np.meshgrid(*[range(samples)] * voters, indexing="ij"), -1)
    chosen = embeddings[0][np.arange(voters), choices.reshape(-1, voters)]
    np.testing.assert_allclose(answers.pairs, pair_means(chosen), rtol=1e-6)
    fit = fit_samples(embeddings).noise_variance[0]
    np.testing.assert_allclose(fit, triplet_noise(chosen), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(estimate_alone(answers).noise_variance, fit, rtol=1e-5, atol=1e-5)
