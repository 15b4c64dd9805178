import doctest
import math

import numpy as np
import pytest

import scoring.policies
from scoring.errors import (
    InvalidArrayError,
    NoCandidateError,
    PolicyNeedsCostsError,
    RouterUnreadyError,
    UnknownModelError,
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
    fit_nearest,
)

NAN = math.nan
MODELS = ["ant", "bee", "cat"]
SCORES = [0.9, 0.6, 0.7]
COSTS = [30.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("rule", "scores", "costs", "index"),
    [
        (ArgMax(), SCORES, COSTS, 0),
        (ArgMax(), [NAN, 0.1, NAN], [NAN] * 3, 1),
        (ArgMax(), [0.5, 0.5, 0.5], [NAN, 2, 1], 2),
        (ArgMax(), [0.5, 0.5, 0.5], [NAN, 1, 1], 1),
        (ArgMax(), [0.5, 0.5, 0.5], [NAN] * 3, 0),
        (ArgMax(), [-0.0, 0.0, -1], [1, 2, 0], 0),
        (Budget(2), SCORES, COSTS, 2),
        (Budget(1.5), SCORES, COSTS, 1),
        (Budget(math.inf), SCORES, [NAN, 1, 2], 2),
        (Budget(0), SCORES, [0, 0, NAN], 0),
        (Budget(2), [0.9, 0.6, NAN], COSTS, 1),
        (CostPenalty(0.01), SCORES, COSTS, 2),
        (CostPenalty(0.2), SCORES, COSTS, 1),
        (CostPenalty(0), SCORES, [NAN] * 3, 0),
        (CostPenalty(1e-9), SCORES, [NAN, 1, 2], 2),
        (CostPenalty(1e308), SCORES, [30, 20, 0], 2),
        (Threshold("ant", "bee", 0.25), SCORES, COSTS, 0),
        (Threshold("ant", "bee", 0.31), SCORES, COSTS, 1),
        (Threshold("bee", "ant", -0.5), SCORES, COSTS, 1),
        (Threshold("ant", "bee", 0.0), [0.5, 0.5, 1], COSTS, 0),
        (Threshold("ant", "bee", 0.5), [0.75, 0.25, 1], COSTS, 0),
        (Threshold("ant", "bee", 9.0), [0.5, NAN, 1], COSTS, 0),
        (Threshold("ant", "bee", -9.0), [NAN, 0.1, 1], COSTS, 1),
        (Threshold("ant", "bee", 1e308), [1.7e308, -1.7e308, 0], COSTS, 0),
        (RandomConfident(0.8), SCORES, COSTS, 0),
        (RandomConfident(0.9, among=3), SCORES, COSTS, 0),
        (FirstConfident(0.65), SCORES, COSTS, 2),
        (FirstConfident(0.6), SCORES, COSTS, 1),
        (FirstConfident(0.6), SCORES, [NAN] * 3, 0),
        (FirstConfident(0.6), SCORES, [NAN, 9, NAN], 1),
        (FirstConfident(0.6, ("cat", "bee")), SCORES, COSTS, 2),
        (FirstConfident(0.65, ("bee", "ant")), SCORES, COSTS, 0),
        (FirstConfident(0.6, ("dog", "bee")), SCORES, COSTS, 1),
        (FirstConfident(-1, ("bee",)), [0.5, NAN, 0.1], [NAN] * 3, 0),
        (NearestConfidence((), 0.61), SCORES, COSTS, 1),
        (NearestConfidence((), -9.0), SCORES, COSTS, 1),
        (NearestConfidence((), 9.0), SCORES, COSTS, 0),
        (NearestConfidence((), 0.25), [0, 0.5, NAN], COSTS, 1),  # as near, and cheaper
        (NearestConfidence((("ant", 0.5), ("bee", 0.5)), -0.05), SCORES, COSTS, 2),
    ],
)
def test_each_rule(rule, scores, costs, index):
    choice = choose(Policy(rule), MODELS, scores, costs)
    assert (choice.index, choice.sticky) == (index, False)
    assert choice.unsure == ""


@pytest.mark.parametrize(
    ("rule", "scores", "index", "why"),
    [
        (RandomConfident(0.95), SCORES, 0, "the best score is 0.9, not 0.95"),
        (FirstConfident(0.95, ("bee",)), SCORES, 0, "No model is confident"),
        (FirstConfident(0.6), [NAN, 0.5, 0.5], 1, "the best score is 0.5, not 0.6"),
        (NearestConfidence((("bee", 0.0),), 0.0), [0.1, NAN, 0.9], 2, "weighs has no score"),
        (NearestConfidence((("dog", 1.0),), 0.0), SCORES, 0, "weighs has no score"),
        (NearestConfidence((("ant", 1e308),) , 1e308), SCORES, 0, "weighs has no score"),
    ],
)  # fmt: skip
def test_where_nobody_is_confident_the_best_score_is_taken_and_it_says_so(rule, scores, index, why):
    choice = choose(Policy(rule), MODELS, scores, COSTS)
    assert choice.index == index
    assert why in choice.unsure


def test_where_nobody_is_confident_a_draw_is_among_the_best():
    drawn = {
        choose(Policy(RandomConfident(0.95, 2, seed)), MODELS, SCORES, COSTS).index
        for seed in range(40)
    }
    known = {
        choose(Policy(RandomConfident(0.95, 9, seed)), MODELS, [0.1, NAN, 0.2], COSTS).index
        for seed in range(40)
    }
    assert drawn == known == {0, 2}


# Four prompts: scores of ant, bee and cat, and which of them are right.
CONFIDENCES = [[0.9, 0.7, 0.1], [0.8, 0.9, 0.7], [0.2, 0.1, 0.3], [0.5, 0.4, 0.2]]
RIGHT = [[0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("rule", "accuracy"),
    [
        (lambda _: ArgMax(), (0 + 1 + 1 + 0) / 4),
        (lambda seed: RandomConfident(0.6, seed=seed), (1 / 2 + 2 / 3 + 1 + 0) / 4),
        (lambda seed: RandomConfident(0.6, 3, seed), (1 / 2 + 2 / 3 + 1 / 3 + 1 / 3) / 4),
        (lambda seed: RandomConfident(0.0, seed=seed), (1 / 3 + 2 / 3 + 1 / 3 + 1 / 3) / 4),
        (lambda _: FirstConfident(0.6, ("cat", "bee", "ant")), (1 + 0 + 1 + 0) / 4),
        (lambda _: FirstConfident(0.6, ("bee", "ant", "cat")), (1 + 1 + 1 + 0) / 4),
        (lambda _: NearestConfidence((), 0.42), (1 + 0 + 1 + 1) / 4),
    ],
)
def test_the_expected_accuracy_of_each_rule_is_the_one_found_by_hand(rule, accuracy):
    seeds = 1500
    found = [
        RIGHT[row][choose(Policy(rule(seed)), MODELS, scores, [NAN] * 3).index]
        for row, scores in enumerate(CONFIDENCES)
        for seed in range(seeds)
    ]
    # Four standard errors of a mean over seeds; rules without a draw are exact.
    spread = 0 if rule(0) == rule(1) else 4 * 0.25 / math.sqrt(seeds)
    assert abs(sum(found) / len(found) - accuracy) <= spread + 1e-12


def linear_world(prompts=200):
    """Ant is always sure and always wrong; bee is right, and cat too, less surely."""
    generator = np.random.default_rng(0)
    ant = generator.uniform(0.6, 1, prompts)
    scores = np.column_stack([ant, 0.5 * ant + 0.1, 0.2 * ant])
    return scores, np.tile([0.0, 1.0, 1.0], (prompts, 1))


@pytest.mark.parametrize(("preference", "taken"), [([], 1), (["cat", "bee", "ant"], 2)])
def test_a_predicted_confidence_finds_the_first_right_model_where_the_best_score_never_does(
    preference, taken
):
    scores, right = linear_world()
    rule = fit_nearest(MODELS, scores, right, preference=preference)
    chosen = [choose(Policy(rule), MODELS, row, [NAN] * 3).index for row in scores]
    assert set(chosen) == {taken}
    assert {choose(Policy(), MODELS, row, [NAN] * 3).index for row in scores} == {0}


def test_where_no_model_is_right_the_aim_is_a_half():
    rule = fit_nearest(["a"], [[0.1], [0.9]], [[0.4], [math.nan]])
    assert dict(rule.weights)["a"] == pytest.approx(0, abs=1e-12)
    assert rule.intercept == pytest.approx(0.5)
    right = fit_nearest(["a"], [[0.1], [0.9], [NAN]], [[0.4], [0.3], [1]], right=0.3)
    assert dict(right.weights)["a"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "qualities", "preference", "error", "message"),
    [
        ([0.1, 0.2], [[1, 1]], [], InvalidArrayError, r"scores has shape \(2,\)"),
        ([[0.1, 0.2]], [[1]], [], InvalidArrayError, r"qualities has shape \(1, 1\)"),
        ([[0.1, NAN]], [[1, 1]], [], InvalidArrayError, "no prompt with a score of every model"),
        ([[0.1, 0.2]], [[1, 1]], ["b"], InvalidArrayError, "name every model once"),
        ([[0.1, 0.2]], [[1, 1]], ["b", "c"], UnknownModelError, "'c' isn't among 'a', 'b'"),
    ],
)
def test_what_a_prediction_cannot_be_learned_from(scores, qualities, preference, error, message):
    with pytest.raises(error, match=message):
        fit_nearest(["a", "b"], scores, qualities, preference=preference)


def test_the_order_is_by_score_with_unknown_last():
    choice = choose(Policy(Budget(1)), list("abcde"), [0.1, NAN, 0.5, 0.5, NAN], [1, 1, 9, 9, 1])
    assert choice.order.tolist() == [2, 3, 0, 1, 4]
    assert choice.index == 0


@pytest.mark.parametrize(
    ("rule", "previous", "margin", "index", "sticky"),
    [
        (ArgMax(), "cat", 0.25, 2, True),
        (ArgMax(), "cat", 0.125, 0, False),
        (ArgMax(), "ant", 0.0, 0, False),
        (ArgMax(), "elsewhere", 9.0, 0, False),
        (Budget(2), "ant", 9.0, 2, False),  # it may not be had
        (Budget(2), "bee", 0.5, 1, True),
        (CostPenalty(0.125), "cat", 0.0, 2, False),
        (CostPenalty(0.125), "bee", 0.25, 1, True),
        (CostPenalty(0.125), "ant", 0.5, 2, False),  # it leads in score, not in what counts
        (Threshold("ant", "bee", 0.5), "bee", 0.0, 0, False),
        (Threshold("ant", "bee", 0.5), "bee", 0.25, 1, True),
        (Threshold("ant", "bee", 1.0), "ant", 0.25, 0, True),
        (Threshold("ant", "bee", 1.0), "ant", 0.125, 1, False),
        (Threshold("ant", "bee", 1.0), "cat", 9.0, 1, False),  # neither of the two
        (FirstConfident(0.5), "ant", 0.0, 0, True),  # dearer, but its score is no less
        (FirstConfident(0.5), "bee", 9.0, 2, False),  # it is not confident
        (FirstConfident(0.5, ("ant",)), "cat", 0.25, 2, True),
        (FirstConfident(0.5, ("ant",)), "cat", 0.125, 0, False),
        (FirstConfident(2.0), "cat", 0.25, 2, True),  # nobody is
        (RandomConfident(0.8), "cat", 9.0, 0, False),
        (NearestConfidence((), 0.5), "bee", 0.0, 1, False),
        (NearestConfidence((), 0.75), "ant", 0.25, 0, True),
    ],
)
def test_sticking_to_the_previous(rule, previous, margin, index, sticky):
    policy = Policy(rule, Stickiness(previous, margin))
    choice = choose(policy, MODELS, [1.0, 0.25, 0.75], [30, 0, 2])
    assert (choice.index, choice.sticky) == (index, sticky)


def test_an_unknown_score_is_not_stuck_to():
    policy = Policy(stickiness=Stickiness("bee", math.inf))
    assert choose(policy, MODELS, [0.1, NAN, 0.2], COSTS).index == 2


def test_a_margin_of_exactly_the_lead_sticks():
    policy = Policy(stickiness=Stickiness("bee", 0.5))
    assert choose(policy, MODELS, [0.75, 0.25, 0.5], COSTS).index == 1


def test_a_draw_sticks_too():
    policy = Policy(Sample(100.0, seed=1), Stickiness("cat", math.inf))
    assert choose(policy, MODELS, SCORES, COSTS).index == 2


def test_a_seed_repeats_a_draw_and_its_absence_does_not():
    def draws(*seeds):
        policies = [Policy(Sample(10.0, seed)) for seed in seeds]
        return [choose(policy, MODELS, SCORES, COSTS).index for policy in policies]

    assert draws(*range(60)) == draws(*range(60))
    assert len(set(draws(*range(60)))) == 3
    assert len(set(draws(*[7] * 60))) == 1
    # 3 ** -199: never, unless a draw repeats.
    assert len(set(draws(*[None] * 200))) > 1


def test_the_largest_seed_is_one():
    choose(Policy(Sample(1.0, 2**64 - 1)), MODELS, SCORES, COSTS)


def test_a_temperature_near_zero_takes_the_best():
    for seed in range(20):
        assert choose(Policy(Sample(1e-300, seed)), MODELS, SCORES, COSTS).index == 0


@pytest.mark.parametrize(
    ("policy", "models", "scores", "costs", "error", "message", "field"),
    [
        (Policy(), [], [], [], NoCandidateError, "no model to choose from", ""),
        (Policy(), MODELS, [NAN] * 3, COSTS, RouterUnreadyError, "knows nothing yet of 'ant'", ""),
        (
            Policy(Budget(0.5)), MODELS, SCORES, COSTS,
            NoCandidateError, "No model costs 0.5 or less; the cheapest costs 1", "max_cost",
        ),
        (
            Policy(Budget(1)), MODELS, [1, NAN, 1], COSTS,
            NoCandidateError, "None of the models that cost 1 or less has a score", "max_cost",
        ),
        (
            Policy(Budget(1)), MODELS, SCORES, [NAN] * 3,
            PolicyNeedsCostsError, "a budget needs one", "",
        ),
        (
            Policy(CostPenalty(1)), MODELS, SCORES, [NAN] * 3,
            PolicyNeedsCostsError, "a cost penalty needs one", "",
        ),
        (
            Policy(CostPenalty(1)), MODELS, [1, NAN, NAN], [NAN, 1, 1],
            NoCandidateError, "both a score and a cost", "penalty",
        ),
        (
            Policy(Threshold("dog", "ant", 0)), MODELS, SCORES, COSTS,
            UnknownModelError, "The strong model 'dog' isn't among 'ant', 'bee', 'cat'", "strong",
        ),
        (
            Policy(Threshold("ant", "dog", 0)), MODELS, SCORES, COSTS,
            UnknownModelError, "The weak model 'dog'", "weak",
        ),
        (
            Policy(Threshold("ant", "bee", 0)), MODELS, [NAN, NAN, 1], COSTS,
            NoCandidateError, "Neither 'ant' nor 'bee' has a score", "",
        ),
        (Policy(), MODELS, [1, 2], COSTS, InvalidArrayError, r"scores has shape \(2,\)", "scores"),
        (Policy(), MODELS, SCORES, [1], InvalidArrayError, r"costs has shape \(1,\)", "costs"),
        (
            Policy(), MODELS, [1, 2, math.inf], COSTS,
            InvalidArrayError, "scores holds infinity", "scores",
        ),
        (
            Policy(), MODELS, SCORES, [1, 2, -math.inf],
            InvalidArrayError, "costs holds infinity", "costs",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen(policy, models, scores, costs, error, message, field):
    with pytest.raises(error, match=message) as raised:
        choose(policy, models, scores, costs)
    assert raised.value.field == field


def test_many_models_are_not_all_named():
    models = [f"model-{place}" for place in range(40)]
    with pytest.raises(RouterUnreadyError, match="'model-7' and 32 others"):
        choose(Policy(), models, [NAN] * 40, [NAN] * 40)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Sample(0.0), "temperature"),
        (lambda: Sample(NAN), "temperature"),
        (lambda: Sample(math.inf), "temperature"),
        (lambda: Sample(1.0, -1), "seed"),
        (lambda: Budget(-0.5), "max_cost"),
        (lambda: Budget(NAN), "max_cost"),
        (lambda: CostPenalty(-1.0), "penalty"),
        (lambda: CostPenalty(math.inf), "penalty"),
        (lambda: Threshold("a", "b", NAN), "threshold"),
        (lambda: Threshold("a", "a", 0.0), "weak"),
        (lambda: Stickiness("a", -0.1), "margin"),
        (lambda: RandomConfident(NAN), "confidence"),
        (lambda: RandomConfident(0.5, 0), "among"),
        (lambda: RandomConfident(0.5, seed=-1), "seed"),
        (lambda: FirstConfident(math.inf), "confidence"),
        (lambda: FirstConfident(0.5, ("a", "a")), "preference"),
        (lambda: NearestConfidence((("a", NAN),), 0.0), "weights"),
        (lambda: NearestConfidence((("a", 1.0), ("a", 2.0)), 0.0), "weights"),
        (lambda: NearestConfidence((), math.inf), "intercept"),
        (lambda: Stickiness("a", NAN), "margin"),
    ],
)
def test_a_policy_out_of_range_cannot_be_made(build, field):
    with pytest.raises(InvalidArrayError, match=f"{field} must be") as error:
        build()
    assert error.value.field == field


def test_the_example_of_the_package_runs():
    failed, attempted = doctest.testmod(scoring.policies)
    assert (failed, attempted > 3) == (0, True)
