"""The policies equal their definitions, and keep what they promise."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scoring.errors import (
    InvalidArrayError,
    NoCandidateError,
    PolicyNeedsCostsError,
    RouterUnreadyError,
)
from scoring.policies import (
    ArgMax,
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    Policy,
    RandomConfident,
    Sample,
    Stickiness,
    Threshold,
    choose,
    choose_plain,
    fit_nearest,
    share_at,
    softmax,
    strong_leads,
    threshold_for_share,
)
from scoring.policies.reference import (
    reference_choice,
    reference_confident,
    reference_shares,
)
from scoring.policies.softmax import softmax_of
from scoring.routers import entropy, entropy_of

NAMES = list("abcdefg")
# Quarters: differences are exact, and ties occur.
QUARTERS = st.integers(-6, 6).map(lambda value: value / 4)
SOME = st.one_of(st.just(math.nan), QUARTERS)
COSTS = st.one_of(st.just(math.nan), st.integers(0, 5).map(float))
SEEDS = st.integers(0, 2**64 - 1)
PROPERTY = settings(max_examples=60)


def preferences(models):
    names = st.lists(st.sampled_from([*models, "elsewhere"]), unique=True)
    return names.map(tuple)


def weights(models):
    """Of some of the models, and now and then of one that isn't there."""
    named = st.dictionaries(st.sampled_from(models), QUARTERS)
    absent = st.sampled_from([{}] * 9 + [{"elsewhere": 0.5}])
    return st.tuples(named, absent).map(lambda pair: tuple({**pair[0], **pair[1]}.items()))


@st.composite
def rules(draw, models):
    pair = draw(st.permutations(models))[:2] if len(models) > 1 else None
    return draw(
        st.one_of(
            st.just(ArgMax()),
            st.integers(0, 5).map(lambda cost: Budget(float(cost))),
            st.integers(0, 4).map(lambda penalty: CostPenalty(penalty / 4)),
            st.builds(FirstConfident, QUARTERS, preferences(models)),
            st.builds(NearestConfidence, weights(models), QUARTERS),
            *([QUARTERS.map(lambda least: Threshold(*pair, least))] if pair else []),
        )
    )


@st.composite
def problems(draw, some=SOME, costs=COSTS):
    models = NAMES[: draw(st.integers(1, len(NAMES)))]
    row = st.lists(some, min_size=len(models), max_size=len(models))
    stickiness = draw(
        st.none()
        | st.builds(
            Stickiness,
            st.sampled_from([*models, "elsewhere"]),
            st.integers(0, 8).map(lambda m: m / 4),
        )
    )
    prices = draw(st.lists(costs, min_size=len(models), max_size=len(models)))
    return Policy(draw(rules(models)), stickiness), models, draw(row), prices


def chosen(policy, models, scores, costs):
    try:
        return choose(policy, models, scores, costs).index
    except (NoCandidateError, RouterUnreadyError, PolicyNeedsCostsError):
        return None


@given(problems())
@settings(max_examples=300)
def test_a_choice_equals_its_definition(problem):
    assert chosen(*problem) == reference_choice(*problem)


@given(problems())
@PROPERTY
def test_the_plain_choice_from_lists_is_that_of_the_plain_policy(problem):
    _, models, scores, costs = problem
    if all(map(math.isnan, scores)):
        with pytest.raises(RouterUnreadyError):
            choose_plain(models, scores, costs)
        return
    choice = choose(Policy(), models, scores, costs)
    assert choose_plain(models, scores, costs) == (choice.index, choice.order.tolist())
    assert choice.index == reference_choice(Policy(), models, scores, costs)


@pytest.mark.parametrize(
    ("models", "scores", "costs", "error", "field"),
    [
        (["a"], [math.inf], [1.0], InvalidArrayError, "scores"),
        (["a", "b"], [1.0, 2.0], [math.nan, -math.inf], InvalidArrayError, "costs"),
        ([], [], [], NoCandidateError, ""),
    ],
)
def test_the_plain_choice_refuses_what_the_policy_refuses(models, scores, costs, error, field):
    for attempt in (choose_plain, partial(choose, Policy())):
        with pytest.raises(error) as caught:
            attempt(models, scores, costs)
        assert (caught.value.field or "") == field


@given(problems())
@PROPERTY
def test_what_is_not_allowed_is_never_chosen(problem):
    policy, models, scores, costs = problem
    place = chosen(*problem)
    assume(place is not None)
    assert not math.isnan(scores[place])
    if isinstance(policy.rule, Budget):
        assert costs[place] <= policy.rule.max_cost
    if isinstance(policy.rule, Threshold):
        assert models[place] in (policy.rule.strong, policy.rule.weak)


@given(problems(), SEEDS)
@PROPERTY
def test_the_order_of_models_does_not_matter(problem, seed):
    policy, models, scores, costs = problem
    # Where nothing is preferred and costs are equal, it is the order that decides.
    assume(not isinstance(policy.rule, FirstConfident))
    distinct = [score + place / 64 for place, score in enumerate(scores)]  # no ties
    order = np.random.default_rng(seed).permutation(len(models))
    moved = [[row[place] for place in order] for row in (models, distinct, costs)]
    before, after = chosen(policy, models, distinct, costs), chosen(policy, *moved)
    assert (before is None) == (after is None)
    assert before is None or models[before] == moved[0][after]


@given(problems(), QUARTERS)
@PROPERTY
def test_a_shift_of_all_scores_changes_no_choice(problem, shift):
    policy, models, scores, costs = problem
    rule = policy.rule
    assume(not isinstance(rule, NearestConfidence))
    if isinstance(rule, FirstConfident):  # its parameter is a score
        rule = replace(rule, confidence=rule.confidence + shift)
    moved = [score + shift for score in scores]
    assert chosen(replace(policy, rule=rule), models, moved, costs) == chosen(*problem)


@given(problems())
@PROPERTY
def test_without_a_penalty_costs_decide_ties_only(problem):
    policy, models, scores, costs = problem
    free = replace(policy, rule=CostPenalty(0.0))
    assert chosen(free, models, scores, costs) == chosen(
        replace(policy, rule=ArgMax()), models, scores, costs
    )


@given(problems(some=QUARTERS, costs=st.integers(0, 5).map(float)))
@PROPERTY
def test_a_budget_above_every_cost_is_none_and_a_smaller_one_is_never_better(problem):
    _, models, scores, costs = problem
    ample = Policy(Budget(max(costs)))
    assert chosen(ample, models, scores, costs) == chosen(Policy(), models, scores, costs)
    found = [chosen(Policy(Budget(float(cost))), models, scores, costs) for cost in range(6)]
    reached = [scores[place] for place in found if place is not None]
    assert reached == sorted(reached)


@given(problems(some=QUARTERS, costs=st.integers(0, 5).map(float)))
@PROPERTY
def test_a_greater_penalty_never_costs_more(problem):
    _, models, scores, costs = problem
    paid = [
        costs[chosen(Policy(CostPenalty(penalty / 4)), models, scores, costs)]
        for penalty in range(6)
    ]
    assert paid[1:] == sorted(paid[1:], reverse=True)


@given(problems())
@PROPERTY
def test_the_order_is_by_score_alone(problem):
    _, models, scores, costs = problem
    assume(not all(map(math.isnan, scores)))
    order = choose(Policy(), models, scores, costs).order.tolist()
    keys = [(math.isnan(score), 0 if math.isnan(score) else -score) for score in scores]
    assert order == sorted(range(len(models)), key=lambda place: (keys[place], place))


@given(problems())
@settings(max_examples=150)
def test_sticking_keeps_the_previous_within_the_margin_and_never_beyond(problem):
    policy, models, scores, costs = problem
    policy = replace(policy, rule=ArgMax())
    assume(policy.stickiness and not all(map(math.isnan, scores)))
    choice = choose(policy, models, scores, costs)
    free = choose(replace(policy, stickiness=None), models, scores, costs)
    previous = policy.stickiness.previous_model
    score = scores[models.index(previous)] if previous in models else math.nan
    if scores[free.index] - score <= policy.stickiness.margin:
        assert models[choice.index] == previous
    else:
        assert choice.index == free.index
    assert choice.sticky == (choice.index != free.index)


@given(st.lists(SOME, min_size=1, max_size=7), st.sampled_from([1e-300, 0.01, 0.5, 3.0, 1e300]))
@PROPERTY
def test_softmax_equals_its_definition(scores, temperature):
    expected = reference_shares(scores, temperature)
    found = softmax(np.array(scores), temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


@given(
    st.lists(st.one_of(SOME, st.floats(-1e300, 1e300)), min_size=1, max_size=9),
    st.floats(1e-3, 1e3),
)
def test_softmax_and_entropy_of_a_prompt_equal_those_of_arrays(scores, temperature):
    expected = softmax(np.array(scores), temperature)
    found = softmax_of(scores, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)
    assert entropy_of(found) == pytest.approx(float(entropy(expected)), rel=1e-12, abs=1e-12)


@given(problems(), SEEDS, st.sampled_from([0.1, 1.0, 10.0]))
@PROPERTY
def test_a_draw_goes_along_the_ranking(problem, seed, temperature):
    _, models, scores, costs = problem
    assume(not all(map(math.isnan, scores)))
    choice = choose(Policy(Sample(temperature, seed)), models, scores, costs)
    rest = np.random.Generator(np.random.PCG64(seed)).random()
    shares = reference_shares(scores, temperature)
    for place in choice.order:
        rest -= shares[place]
        assume(abs(rest) > 1e-12)
        if rest < 0:
            assert choice.index == place
            return


@given(problems(), SEEDS, QUARTERS, st.integers(1, 4))
@settings(max_examples=200)
def test_a_draw_among_the_confident_goes_along_the_ranking(problem, seed, confidence, among):
    _, models, scores, costs = problem
    assume(not all(map(math.isnan, scores)))
    rule = RandomConfident(confidence, among, seed)
    choice = choose(Policy(rule), models, scores, costs)
    drawn = reference_confident(rule, scores)
    unsure = max(score for score in scores if not math.isnan(score)) < confidence
    assert bool(choice.unsure) == unsure
    if unsure and among == 1:
        assert choice.index == chosen(Policy(), models, scores, costs)
    else:
        draw = np.random.Generator(np.random.PCG64(seed)).random()
        assert choice.index == drawn[math.floor(draw * len(drawn))]


@given(problems(some=QUARTERS), QUARTERS)
@PROPERTY
def test_the_first_of_the_confident_is_confident_wherever_one_is(problem, confidence):
    _, models, scores, costs = problem
    choice = choose(Policy(FirstConfident(confidence)), models, scores, costs)
    assert (scores[choice.index] >= confidence) == (max(scores) >= confidence)
    assert bool(choice.unsure) == (max(scores) < confidence)


@given(problems(some=QUARTERS), st.integers(0, 6))
@PROPERTY
def test_a_model_weighed_alone_is_taken_unless_its_equal_is_cheaper(problem, place):
    _, models, scores, costs = problem
    own = place % len(models)
    rule = NearestConfidence(((models[own], 1.0),), 0.0)
    assert scores[choose(Policy(rule), models, scores, costs).index] == scores[own]


@given(SEEDS, st.booleans())
@settings(max_examples=20)
def test_the_nearest_confidence_is_fitted_by_least_squares(seed, ordered):
    generator = np.random.default_rng(seed)
    models, preference = list("abc"), list("cab") if ordered else []
    scores, qualities = generator.random((50, 3)), generator.integers(0, 2, (50, 3))
    order = [models.index(name) for name in preference or models]
    aims = [
        next((row[place] for place in order if right[place]), 0.5)
        for row, right in zip(scores, qualities, strict=True)
    ]
    rule = fit_nearest(models, scores, qualities, preference=preference)
    design = np.column_stack([scores, np.ones(50)])
    # The normal equations.
    expected = np.linalg.solve(design.T @ design, design.T @ aims)
    np.testing.assert_allclose([*dict(rule.weights).values(), rule.intercept], expected, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_draws_have_the_frequencies_of_softmax(temperature):
    models, scores = list("abcd"), [0.3, math.nan, 0.9, -0.2]
    draws = Counter(
        choose(Policy(Sample(temperature, seed)), models, scores, [math.nan] * 4).index
        for seed in range(4000)
    )
    expected = np.array(reference_shares(scores, temperature))
    found = np.array([draws[place] for place in range(4)]) / 4000
    # Four standard errors of a share.
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / 4000)).all()


LEADS = st.lists(QUARTERS, min_size=1, max_size=30)


@given(LEADS, st.lists(st.floats(0, 1), min_size=2, max_size=2))
@PROPERTY
def test_a_threshold_gives_at_most_the_share_and_the_nearest_to_it(leads, shares):
    less, more = sorted(shares)
    threshold = threshold_for_share(leads, more)
    got = share_at(leads, threshold)
    assert got <= more
    for other in [*leads, max(leads) + 1]:
        assert not got < share_at(leads, other) <= more
        # The least of the leads that give it.
        assert not (other < threshold and share_at(leads, other) <= more)
    assert threshold_for_share(leads, less) >= threshold


@given(LEADS, st.integers(0, 30))
@PROPERTY
def test_a_share_leads_back_to_its_threshold(leads, place):
    threshold = leads[place % len(leads)]
    assert threshold_for_share(leads, share_at(leads, threshold)) == threshold
    assert share_at(leads, threshold_for_share(leads, 1.0)) == 1.0
    assert share_at(leads, threshold_for_share(leads, 0.0)) == 0.0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.floats(-1, 1), st.floats(0, 1))
@PROPERTY
def test_the_policy_calls_the_strong_model_as_often_as_calibrated(strong, weak, share):
    scores = np.stack([np.full(len(strong), weak), strong], axis=1)
    leads = strong_leads(["small", "large"], scores, "large", "small")
    threshold = threshold_for_share(leads, share)
    policy = Policy(Threshold("large", "small", threshold))
    called = [choose(policy, ["small", "large"], row, [1.0, 9.0]).index for row in scores]
    assert np.mean(called) == share_at(leads, threshold) <= share
