import dataclasses

import numpy as np
import pytest

from scoring.calibrated import PRIOR, JudgedAnswers, fit_calibration
from scoring.errors import InvalidArrayError

NOISE = np.array([1.0, 2.0, 3.0])
TRUST, FIRST_VOTER, FIRST_FEATURE = 1, 2, 5


def outcomes(quality, voter, subject=None, count=None, features=None, voters=("a", "b", "c")):
    rows = len(quality)
    return JudgedAnswers(
        voters,
        np.arange(rows) if subject is None else np.array(subject, np.int64),
        np.array(voter, np.int64),
        np.array(quality, np.float64),
        np.ones(rows, np.int64) if count is None else np.array(count, np.int64),
        np.full((rows, 3), np.nan) if features is None else np.array(features, np.float64),
    )


def qualities(fit):
    own = fit.mean[FIRST_VOTER : FIRST_VOTER + len(fit.voters)]
    return PRIOR.quality + fit.mean[0] + fit.agreement * fit.mean[TRUST] + own


def simulated(rng, prompts, level, slope=(0.0, 0.0, 0.0), single=False):
    """Outcomes of voters of such levels, whose quality moves with the features."""
    subject, voter = np.divmod(np.arange(prompts * len(level)), len(level))
    features = rng.normal(size=(len(subject), 3)) * [0.3, 0.1, 0.5]
    ease = rng.normal(0, 0.1, prompts)[subject]
    quality = np.array(level)[voter] + features @ slope + ease + rng.normal(0, 0.2, len(subject))
    judged = outcomes(np.clip(quality, 0, 1), voter, subject, features=features)
    if not single:
        return judged
    rows = np.arange(prompts) * len(level) + rng.integers(len(level), size=prompts)
    return outcomes(judged.quality[rows], voter[rows], subject[rows], features=features[rows])


def test_with_no_outcome_the_fit_is_the_prior():
    fit = fit_calibration(outcomes([], []), NOISE)
    assert fit.outcomes == 0
    assert np.isnan(fit.contradiction)
    assert not fit.contradicted
    np.testing.assert_allclose(fit.mean, np.eye(8)[TRUST] * PRIOR.trust, atol=1e-12)
    np.testing.assert_allclose(np.diag(fit.covariance), fit.prior_variance)
    assert (np.diff(qualities(fit)) < 0).all()


def test_one_outcome_lifts_its_voter_and_lowers_it():
    good, bad = (fit_calibration(outcomes([q], [1]), np.full(3, np.nan)) for q in (1.0, 0.0))
    assert qualities(good).argmax() == 1
    assert qualities(bad).argmin() == 1
    assert qualities(good)[0] == pytest.approx(qualities(good)[2])


def test_many_outcomes_outweigh_everything():
    rng = np.random.default_rng(0)
    fit = fit_calibration(simulated(rng, 2000, [0.3, 0.5, 0.6]), NOISE)
    np.testing.assert_allclose(qualities(fit), [0.3, 0.5, 0.6], atol=0.03)
    assert np.sqrt(np.diag(fit.covariance))[FIRST_FEATURE] < 0.05


@pytest.mark.parametrize("single", [False, True])
def test_slopes_of_features_are_learned(single):
    rng = np.random.default_rng(1)
    slope = (0.2, 0.0, -0.2)
    fit = fit_calibration(simulated(rng, 3000, [0.5, 0.5, 0.5], slope, single), NOISE)
    np.testing.assert_allclose(fit.mean[FIRST_FEATURE:], slope, atol=0.05)


def test_agreement_of_voters_that_cannot_be_the_best_says_nothing():
    rng = np.random.default_rng(5)
    sure = fit_calibration(simulated(rng, 300, [0.2, 0.5, 0.8]), NOISE)
    assert sure.contention[2] == 1
    assert sure.contention[:2].max() < 1e-6
    open_still = fit_calibration(simulated(rng, 2, [0.45, 0.5, 0.55]), NOISE)
    assert open_still.contention.min() > 0.05
    assert open_still.contention.max() == 1


def test_whole_prompts_cancel_how_hard_they_are():
    hard_first = outcomes([0.0, 0.2, 0.8, 1.0], [0, 1, 1, 0], [0, 0, 1, 1])
    fit = fit_calibration(hard_first, np.full(3, np.nan))
    assert qualities(fit)[0] == pytest.approx(qualities(fit)[1])
    # A meets the hard prompt and b the easy one: alone, that says b is better.
    alone = fit_calibration(outcomes([0.0, 1.0], [0, 1], [0, 1]), np.full(3, np.nan))
    together = fit_calibration(outcomes([0.0, 0.2, 0.8, 1.0], [0, 1, 0, 1], [0, 0, 1, 1]), NOISE)
    assert qualities(alone)[1] - qualities(alone)[0] > 0.3
    assert 0 < qualities(together)[1] - qualities(together)[0] < 0.2


def test_repeated_outcomes_of_one_answer_count_less_than_those_of_others():
    unknown = np.full(3, np.nan)
    repeated = fit_calibration(outcomes([1.0], [0], count=[8]), unknown)
    others = fit_calibration(outcomes([1.0] * 8, [0] * 8), unknown)
    once = fit_calibration(outcomes([1.0], [0]), unknown)
    assert qualities(once)[0] < qualities(repeated)[0] < qualities(others)[0]
    assert (once.outcomes, repeated.outcomes, others.outcomes) == (1, 8, 8)


def test_outcomes_that_contradict_agreement_are_told():
    rng = np.random.default_rng(2)
    worse = fit_calibration(simulated(rng, 60, [0.2, 0.5, 0.8]), NOISE)
    better = fit_calibration(simulated(rng, 60, [0.8, 0.5, 0.2]), NOISE)
    assert worse.contradicted
    assert worse.contradiction > 0.99
    assert worse.trust[0] < 0 < better.trust[0]
    assert better.contradiction < 0.01
    assert not better.contradicted


def test_one_bad_outcome_contradicts_nothing():
    fit = fit_calibration(outcomes([0.0, 1.0], [0, 2]), NOISE)
    assert 0.5 < fit.contradiction < 0.95
    assert not fit.contradicted


@pytest.mark.parametrize(
    ("noise", "voter"),
    [
        ([1.0, np.nan, np.nan], [0, 1]),
        ([1.0, 2.0, 3.0], [0, 0]),
        ([2.0, 2.0, 2.0], [0, 1]),
        ([2.0, np.nextafter(2.0, 3.0), 2.0], [0, 1]),
    ],
)
def test_nothing_is_contradicted_where_agreement_says_nothing(noise, voter):
    fit = fit_calibration(outcomes([0.0, 1.0], voter), noise)
    assert np.isnan(fit.contradiction)
    assert not fit.contradicted


@pytest.mark.parametrize("noise", [[0.0] * 3, [-1.0, 0.0, 1.0], [np.nan] * 3, [-1e9, 1.0, 2e9]])
def test_degenerate_noise_has_a_fit(noise):
    fit = fit_calibration(outcomes([0.0, 1.0, 0.5], [0, 1, 2]), noise)
    assert np.isfinite(fit.mean).all()
    assert np.abs(fit.agreement).max() <= 3
    assert qualities(fit).argmax() == 1


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_equal_outcomes_make_equal_voters(level):
    rows = 300
    judged = outcomes([level] * rows, np.arange(rows) % 3, np.arange(rows) // 3)
    fit = fit_calibration(judged, np.full(3, np.nan))
    np.testing.assert_allclose(qualities(fit), qualities(fit)[0])
    assert (np.linalg.eigvalsh(fit.covariance) > 0).all()


def test_a_voter_with_no_outcome_gets_what_is_common_to_the_pool():
    rng = np.random.default_rng(4)
    judged = simulated(rng, 400, [0.8, 0.9])
    judged = dataclasses.replace(judged, voters=("a", "b", "c"))
    fit = fit_calibration(judged, np.full(3, np.nan))
    assert 0.5 < qualities(fit)[2] < qualities(fit)[0]
    variances = np.diag(fit.covariance)[FIRST_VOTER:FIRST_FEATURE]
    assert variances[2] > 2 * variances[0]


def test_features_that_never_change_and_columns_that_repeat_have_a_fit():
    judged = outcomes([0.1, 0.9, 0.4], [0, 1, 2], [0, 0, 0], features=[[1e6, 1e6, 1e6]] * 3)
    fit = fit_calibration(judged, NOISE)
    assert np.isfinite(fit.mean).all()
    assert np.isfinite(fit.covariance).all()


def test_a_pool_of_no_voters_has_a_fit():
    fit = fit_calibration(outcomes([], [], voters=()), np.zeros(0))
    assert fit.outcomes == 0
    assert fit.mean.shape == (5,)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"quality": np.array([1.2, 0.0])}, "quality"),
        ({"quality": np.array([np.nan, 0.0])}, "quality"),
        ({"voter": np.array([0, 3])}, "voter"),
        ({"voter": np.array([0.0, 1.0])}, "voter"),
        ({"count": np.array([0, 1])}, "count"),
        ({"count": np.array([1])}, "count"),
        ({"subject": np.array([[0], [1]])}, "subject"),
        ({"features": np.zeros((2, 2))}, "features"),
        ({"features": np.full((2, 3), np.inf)}, "features"),
    ],
)
def test_what_does_not_fit_is_refused(changed, field):
    judged = dataclasses.replace(outcomes([0.0, 1.0], [0, 1]), **changed)
    with pytest.raises(InvalidArrayError) as refused:
        fit_calibration(judged, NOISE)
    assert refused.value.field == field


@pytest.mark.parametrize("noise", [[1.0, 2.0], [1.0, 2.0, np.inf]])
def test_noise_that_does_not_fit_is_refused(noise):
    with pytest.raises(InvalidArrayError) as refused:
        fit_calibration(outcomes([0.0], [0]), noise)
    assert refused.value.field == "noise"
