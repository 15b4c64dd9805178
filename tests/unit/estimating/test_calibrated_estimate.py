import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import estimate_alone, measure_answers, rank_generations
from scoring.calibrated import (
    JudgedAnswers,
    calibrate,
    expected_quality,
    fit_calibration,
    relative_features,
)
from scoring.calibrated import fit as fit_module
from scoring.calibrated.best import probability_of_best
from scoring.calibrated.products import product
from scoring.errors import InvalidArrayError

VOTERS = ("a", "b", "c")
# In this request a lies closest to the others, and c farthest.
ANSWERS = measure_answers(VOTERS, np.array([[0, 0], [0, 1], [2, 0]], np.float32))
ESTIMATE = estimate_alone(ANSWERS)
NO_FEATURES = np.full((3, 3), np.nan)
NOISE = np.array([1.0, 2.0, 3.0])


def fit(quality, voter, voters=VOTERS, features=None, noise=NOISE):
    rows = len(quality)
    judged = JudgedAnswers(
        voters,
        np.arange(rows),
        np.array(voter, np.int64),
        np.array(quality, np.float64),
        np.ones(rows, np.int64),
        np.zeros((rows, 3)) if features is None else features,
    )
    return fit_calibration(judged, noise)


def test_with_no_outcome_it_is_smoothie():
    found = calibrate(ESTIMATE, NO_FEATURES, fit([], []))
    assert found.estimate is ESTIMATE
    assert np.isnan(found.quality).all()
    assert np.isnan(found.quality_standard_error).all()
    assert np.isnan([found.lead, found.lead_low, found.lead_high]).all()
    assert (found.agreement_weight, found.outcomes, found.contradicted) == (1.0, 0, False)


def test_outcomes_decide_the_order_and_the_ranking_follows():
    found = calibrate(ESTIMATE, NO_FEATURES, fit([0.1, 0.2, 0.9] * 5, [0, 1, 2] * 5))
    assert ESTIMATE.order.tolist() == [0, 1, 2]
    assert found.estimate.order.tolist() == [2, 1, 0]
    assert found.quality.argmax() == 2
    assert found.outcomes == 15
    assert found.estimate.weight[2] > 0.9
    assert found.estimate.weight.sum() == pytest.approx(1)
    assert rank_generations(ANSWERS, found.estimate).best_index == 2
    assert 0 < found.lead_low < found.lead < found.lead_high
    assert found.estimate.noise_variance is ESTIMATE.noise_variance


def test_the_interval_of_the_lead_narrows_and_agreement_loses_weight():
    few = calibrate(ESTIMATE, NO_FEATURES, fit([0.4, 0.5, 0.6], [0, 1, 2]))
    many = calibrate(ESTIMATE, NO_FEATURES, fit([0.4, 0.5, 0.6] * 200, [0, 1, 2] * 200))
    assert few.lead_low < 0 < few.lead
    assert many.lead == pytest.approx(0.1, abs=0.02)
    assert many.lead_high - many.lead_low < (few.lead_high - few.lead_low) / 4
    assert 0 < many.agreement_weight < 0.05 < few.agreement_weight < 1


def test_what_an_answer_is_like_moves_it():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 3)) * [0, 0, 0.5]
    quality = np.clip(0.5 + 0.3 * features[:, 2], 0, 1)
    taught = fit(quality, np.arange(300) % 3, features=features)
    for longest in range(3):
        lengths = np.where(np.arange(3) == longest, 6.0, 5.0)
        here = relative_features([1.0] * 3, [0.5] * 3, lengths)
        assert calibrate(ESTIMATE, here, taught).estimate.order[0] == longest


def test_a_majority_does_not_overrule_a_voter_that_is_surely_the_best(monkeypatch):
    rng = np.random.default_rng(3)
    right = rng.random((200, 5)) < [0.95, 0.7, 0.7, 0.7, 0.7]
    same = (right[:, :, None] == right[:, None, :]).mean(axis=2)
    features = np.zeros((200, 5, 3))
    features[..., 0] = 2 * (same - same.mean(axis=1, keepdims=True))
    names, noise = tuple("abcde"), np.full(5, np.nan)
    places = np.divmod(np.arange(1000), 5)
    counts = np.ones(1000, np.int64)
    judged = JudgedAnswers(names, *places, right.ravel() * 1.0, counts, features.reshape(-1, 3))
    taught = fit_calibration(judged, noise)
    alone = np.zeros((1, 5, 3))
    alone[..., 0] = [-1.2, 0.3, 0.3, 0.3, 0.3]
    assert expected_quality(names, noise, alone, taught).argmax() == 0
    # With the same slope for every voter it is otherwise.
    monkeypatch.setattr(fit_module, "contenders", lambda *_: np.ones(5))
    everyone = fit_calibration(judged, noise)
    assert expected_quality(names, noise, alone, everyone).argmax() != 0


def test_voters_are_found_by_name():
    taught = fit([0.1, 0.2, 0.9] * 5, [0, 1, 2] * 5, voters=("c", "x", "a"))
    found = calibrate(ESTIMATE, NO_FEATURES, taught)
    assert found.estimate.order.tolist() == [0, 1, 2]
    straight = calibrate(ESTIMATE, NO_FEATURES, fit([0.9, 0.1] * 5, [0, 2] * 5))
    assert straight.estimate.order.tolist() == [0, 1, 2]


def test_a_new_voter_is_expected_between_those_that_are_known_and_is_less_sure():
    taught = fit([0.2, 0.8] * 20, [0, 1] * 20, voters=("a", "b"), noise=np.ones(2))
    found = calibrate(ESTIMATE, NO_FEATURES, taught)
    assert found.quality[0] < found.quality[2] < found.quality[1]
    assert found.quality_standard_error[2] > 2 * found.quality_standard_error[0]


def test_nobody_known_means_agreement_keeps_its_order():
    taught = fit([0.2, 0.8], [0, 1], voters=("x", "y"), noise=np.full(2, np.nan))
    found = calibrate(ESTIMATE, NO_FEATURES, taught)
    assert found.estimate.order.tolist() == ESTIMATE.order.tolist()
    assert found.estimate.tied == (0, 1, 2)
    assert found.lead == pytest.approx(0)
    assert found.agreement_weight == pytest.approx(1)


def test_equal_qualities_are_tied_and_keep_the_order_of_agreement():
    taught = fit([0.7, 0.7, 0.1] * 4, [1, 2, 0] * 4, noise=np.full(3, np.nan))
    found = calibrate(ESTIMATE, NO_FEATURES, taught)
    assert found.estimate.order.tolist() == [1, 2, 0]
    assert found.estimate.tied == (1, 2)
    np.testing.assert_allclose(found.estimate.weight[1:], 0.5, atol=0.05)


def test_the_order_in_which_voters_are_named_changes_nothing():
    rng = np.random.default_rng(7)
    names = tuple("abcdefg")
    taught = fit(rng.random(12), rng.integers(5, size=12), voters=names[:5], noise=rng.random(5))
    vectors, here = rng.normal(size=(7, 4)).astype(np.float32), rng.normal(size=(7, 3))
    turned = rng.permutation(7)
    straight = estimate_alone(measure_answers(names, vectors))
    other = estimate_alone(measure_answers([names[each] for each in turned], vectors[turned]))
    one, same = calibrate(straight, here, taught), calibrate(other, here[turned], taught)
    assert turned[same.estimate.order].tolist() == one.estimate.order.tolist()
    np.testing.assert_allclose(same.estimate.weight, one.estimate.weight[turned], atol=1e-9)
    np.testing.assert_allclose(same.quality, one.quality[turned])
    assert (same.lead, same.lead_low) == pytest.approx((one.lead, one.lead_low))
    assert same.agreement_weight == pytest.approx(one.agreement_weight)


def test_no_lead_is_beyond_what_two_qualities_can_differ_by():
    guessed = calibrate(ESTIMATE, NO_FEATURES, fit([1.0], [0]))
    assert (guessed.lead_low, guessed.lead_high) == (-1.0, 1.0)
    assert 0 < guessed.lead < 1
    sure = fit([0.0, 1.0] * 40, [0, 1] * 40, features=np.tile([[0, 0, -1.0], [0, 0, 1.0]], (40, 1)))
    far = calibrate(ESTIMATE, np.array([[0, 0, -9.0], [0, 0, 9.0], [0, 0, 0]]), sure)
    assert far.lead <= far.lead_high <= 1


def test_a_lone_voter_leads_nobody():
    alone = estimate_alone(measure_answers(["c"], np.ones((1, 2), np.float32)))
    found = calibrate(alone, np.zeros((1, 3)), fit([0.1, 0.9], [0, 2]))
    assert found.estimate.order.tolist() == [0]
    assert found.estimate.weight.tolist() == [1.0]
    assert np.isnan([found.lead, found.lead_low, found.lead_high]).all()
    assert 0 < found.agreement_weight < 1


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_quality_stays_a_quality(level):
    here = np.array([[3, 1, 4], [-3, -1, -4], [0, 0, 0]], float)
    features = np.random.default_rng(0).normal(size=(90, 3))
    found = calibrate(ESTIMATE, here, fit([level] * 90, np.arange(90) % 3, features=features))
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
    assert np.isfinite([found.lead, found.lead_low, found.lead_high]).all()


def test_many_prompts_at_once_are_each_prompt():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(6, 3, 3))
    features[rng.random(features.shape) < 0.2] = np.nan
    taught = fit([0.4, 0.6] * 5, [0, 1] * 5, voters=("a", "b"), noise=np.array([1.0, 2.0]))
    together = expected_quality(VOTERS, ESTIMATE.noise_variance, features, taught)
    each = [calibrate(ESTIMATE, here, taught).quality for here in features]
    np.testing.assert_allclose(np.clip(together, 0, 1), each)


@pytest.mark.parametrize("features", [np.zeros((2, 3)), np.zeros((3, 2)), np.full((3, 3), np.inf)])
def test_features_that_do_not_fit_are_refused(features):
    with pytest.raises(InvalidArrayError) as refused:
        calibrate(ESTIMATE, features, fit([0.5], [0]))
    assert refused.value.field == "features"


def test_features_of_many_prompts_that_do_not_fit_are_refused():
    with pytest.raises(InvalidArrayError):
        expected_quality(VOTERS, NOISE, np.zeros((3, 3)), fit([0.5], [0]))
    with pytest.raises(InvalidArrayError):
        expected_quality(VOTERS, NOISE, np.zeros((4, 2, 3)), fit([0.5], [0]))


def test_the_best_of_two_is_as_the_normal_distribution_says():
    # P(x > y) for a difference of mean 1 and variance 1 + 4 - 2 = 3.
    shares = probability_of_best(np.array([1.0, 0.0]), np.array([[1.0, 1.0], [1.0, 4.0]]))
    assert shares[0] == pytest.approx(0.7181, abs=0.03)


def test_voters_that_are_one_share_what_they_win():
    shares = probability_of_best(np.zeros(4), np.zeros((4, 4)))
    np.testing.assert_allclose(shares, 0.25)
    twins = probability_of_best(np.array([1.0, 1.0, 0.0]), np.ones((3, 3)))
    np.testing.assert_allclose(twins, [0.5, 0.5, 0.0])


def test_products_in_parts_are_the_product():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(100, 90)), rng.normal(size=(90, 101))
    np.testing.assert_allclose(product(left, right), left @ right, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
def test_probabilities_sum_to_one_and_follow_the_draws(seed, voters):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(voters, rng.integers(1, voters + 1)))
    mean, covariance = rng.normal(size=voters), factor @ factor.T
    shares = probability_of_best(mean, covariance)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
    drawn = rng.multivariate_normal(mean, covariance, 4000, method="eigh").argmax(axis=1)
    expected = np.bincount(drawn, minlength=voters) / 4000
    np.testing.assert_allclose(shares, expected, atol=0.1)
