"""The calibrated fit equals the one that writes out the covariance of every two outcomes."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.calibrated import PRIOR, JudgedAnswers, Prior, fit_calibration
from scoring.calibrated.reference import reference_contention, reference_fit, reference_slopes


@st.composite
def outcomes(draw):
    """Up to 30 judged answers of up to 6 voters to up to 12 prompts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    voters = draw(st.integers(1, 6))
    cells = rng.permutation(voters * 12)[: draw(st.integers(0, 30))]
    binary, unknown = draw(st.booleans()), draw(st.floats(0, 1))
    quality = rng.random(len(cells)) ** draw(st.sampled_from([1, 4]))
    features = rng.normal(size=(len(cells), 3)) * [0.3, 0.1, 0.6]
    features[rng.random(features.shape) < unknown] = np.nan
    noise = rng.normal(1, draw(st.sampled_from([0.2, 2])), voters)
    noise[rng.random(voters) < 0.2] = np.nan
    judged = JudgedAnswers(
        tuple(map(str, range(voters))),
        cells // voters - 5,
        cells % voters,
        np.round(quality) if binary else quality,
        rng.integers(1, 4, len(cells)),
        features,
    )
    return judged, noise


@st.composite
def priors(draw):
    of = st.floats(0.05, 3)
    return Prior(
        quality=draw(st.floats(0.1, 0.9)),
        pool=draw(of),
        voter=tuple(draw(st.lists(of, min_size=1, max_size=3))),
        prompt=draw(of),
        trust=draw(st.floats(-0.5, 0.5)),
        trust_deviation=draw(of),
        features=(draw(of), draw(of), draw(of)),
        variance=draw(st.floats(0.01, 0.5)),
        variance_outcomes=draw(st.floats(3, 30)),
        slope_outcomes=draw(st.floats(1, 10)),
    )


def check(judged, noise, prior):
    fit, expected = fit_calibration(judged, noise, prior), reference_fit(judged, noise, prior)
    scale = np.abs(expected.covariance).max()
    np.testing.assert_allclose(fit.mean, expected.mean, atol=1e-8)
    np.testing.assert_allclose(fit.covariance, expected.covariance, atol=1e-8 * scale)
    np.testing.assert_allclose(fit.remaining, expected.remaining, atol=1e-8 * scale)
    np.testing.assert_allclose(fit.slope, reference_slopes(judged, prior))
    contention = reference_contention(judged, noise, prior)
    np.testing.assert_allclose(fit.contention, contention, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(outcomes())
def test_the_fit_is_the_definition(drawn):
    check(*drawn, PRIOR)


@settings(max_examples=60, deadline=None)
@given(outcomes(), priors())
def test_the_fit_is_the_definition_under_any_prior(drawn, prior):
    check(*drawn, prior)


@settings(max_examples=30, deadline=None)
@given(outcomes(), st.integers(0, 2**32 - 1))
def test_the_order_of_outcomes_and_the_names_of_prompts_do_not_matter(drawn, seed):
    judged, noise = drawn
    shuffled = np.random.default_rng(seed).permutation(len(judged.quality))
    again = JudgedAnswers(
        judged.voters,
        -7 * judged.subject[shuffled],
        *(getattr(judged, name)[shuffled] for name in ("voter", "quality", "count", "features")),
    )
    one, other = fit_calibration(judged, noise), fit_calibration(again, noise)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-10)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-10)


def test_voters_in_another_order_have_the_same_posterior():
    rng = np.random.default_rng(3)
    judged = JudgedAnswers(
        ("a", "b", "c"),
        np.arange(12) // 3,
        np.arange(12) % 3,
        rng.random(12),
        np.ones(12, np.int64),
        rng.normal(size=(12, 3)),
    )
    turned = dataclasses.replace(judged, voters=("c", "a", "b"), voter=(judged.voter + 1) % 3)
    one = fit_calibration(judged, np.array([1.0, 2.0, 4.0]))
    other = fit_calibration(turned, np.array([4.0, 1.0, 2.0]))
    np.testing.assert_allclose(other.mean, one.mean[[0, 1, 4, 2, 3, 5, 6, 7]], atol=1e-10)
    assert other.contradiction == pytest.approx(one.contradiction)
