import math

import numpy as np
import pytest

from evaluation.errors import UnreadableDataError
from evaluation.report import Verdict
from evaluation.routers import Applied, evaluate_routers, headline_of
from evaluation.routers.contenders import aligned, choices_of
from evaluation.routers.practice import Practice, learned_prediction
from evaluation.ways import majority
from scoring.errors import ScoringError
from scoring.policies import Budget, CostPenalty, NearestConfidence, Policy
from scoring.routers import RouterScores
from tests.unit.evaluating.routing_tables_by_hand import (
    ARG_MAX,
    COSTS,
    MODELS,
    SCORES,
    contender,
    many,
    table,
)

NAN = math.nan
WRONG = [[1.0 - one, 1.0 - other] for one, other in SCORES]
ALWAYS_ANT = [[1.0, 0.0]] * 4


def found(scores, times=1, **given):
    router = contender(scores=scores * times)
    return evaluate_routers(many(times), [router], [ARG_MAX], **given)


def test_a_perfect_router_is_as_good_as_the_oracle():
    result = found(SCORES)
    (router,) = result.routers
    # ant: x 1, y 1/2. bee: x 0, y 1. The router: 1, 1.
    assert result.best_single == "ant"
    assert router.way.average.mean == 1.0
    assert router.lead.mean == pytest.approx(0.25)
    assert router.gap.mean == 0.0
    assert router.closed.mean == 1.0
    assert router.shares == (0.5, 0.5)
    # ant twice, bee once, and of equals the cheaper: bee.
    assert router.way.mean_cost == pytest.approx((4 + 4 + 1 + 1) / 4)


def test_baselines_and_bounds_are_beside_it():
    result = found(SCORES)
    named = {each.key: each.way for each in (*result.baselines, *result.bounds)}
    assert named["random"].average.mean == pytest.approx((0.5 + 0.75) / 2)
    # Only on the last prompt are more than half of the two models right.
    assert named["voting"].average.mean == pytest.approx((0 + 0.5) / 2)
    assert named["voting"].mean_cost == 5.0
    assert named["cheapest"].name == "bee"
    assert named["best per task"].average.mean == pytest.approx((1 + 1) / 2)
    assert named["best task in hindsight"].average.mean == 1.0
    assert named["oracle"].mean_cost == pytest.approx((4 + 4 + 1 + 1) / 4)
    assert [each.way.name for each in result.alone] == list(MODELS)


def test_best_per_task_and_its_oracle_differ_where_training_misleads():
    training = table([[1, 0], [0, 1]], ("y", "x"), None)
    result = evaluate_routers(table(), [], [ARG_MAX], training=training)
    # Trained: ant for y, bee for x. On these rows: ant for x, bee for y.
    assert result.reference("best per task").way.average.mean == pytest.approx((0 + 0.5) / 2)
    assert result.reference("best task in hindsight").way.average.mean == 1.0
    assert result.trained


def test_the_best_single_model_stands_for_tasks_that_nobody_trained():
    training = table([[0, 1], [0, 1]], ("z", "z"), None)
    result = evaluate_routers(table(), [], [ARG_MAX], training=training)
    assert result.best_single == "bee"
    assert result.reference("best per task").way.average.mean == pytest.approx((0 + 1) / 2)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([1, 1, 0], 1),
        ([1, 0, 0], 0),
        ([1, 0], 0),
        ([0.6, 0.6, 0.1], 1),
        ([0.5, 0.5, 1], 0),
        ([1, NAN, NAN], 1),
        ([NAN, NAN], NAN),
    ],
)
def test_a_majority_is_more_than_half_of_those_known(outcomes, expected):
    np.testing.assert_array_equal(majority(np.array([outcomes], float)), [expected])


@pytest.mark.parametrize(
    ("scores", "verdict", "words"),
    [
        (SCORES, Verdict.YES, "Yes: routing beats always calling ant here."),
        (WRONG, Verdict.NO, "No: routing does not beat always calling ant here."),
        (ALWAYS_ANT, Verdict.NO, "No: routing makes no difference to always calling ant here."),
    ],
)
def test_the_headline_is_plain(scores, verdict, words):
    headline = headline_of(found(scores, times=20))
    assert headline.verdict is verdict
    assert headline.sentence.startswith(words)


def test_the_headline_says_what_was_measured_and_how_surely():
    learned_elsewhere = found(ALWAYS_ANT, times=20, training=table())
    assert headline_of(learned_elsewhere).sentence == (
        "No: routing makes no difference to always calling ant here. router is 0.0 points "
        "(75.0 % against 75.0 %) better: the 95 % interval of the difference is 0.0 to 0.0 points."
    )
    sentence = headline_of(found(SCORES, times=20)).sentence
    assert "router is 25.0 points (100.0 % against 75.0 %) better, and we are sure" in sentence


def test_the_headline_says_that_it_can_not_tell():
    # Right on y, and on half of x: as good as always ant, but on other prompts.
    scores = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]] * 10
    result = evaluate_routers(many(10), [contender(scores=scores)], [ARG_MAX])
    assert result.lead.low < 0 < result.lead.high
    headline = headline_of(result)
    assert headline.verdict is Verdict.UNCLEAR
    assert headline.sentence.startswith("We can't tell whether routing beats always calling ant")


def test_without_a_router_the_headline_says_what_could_be_gained():
    headline = headline_of(evaluate_routers(table(), [], [ARG_MAX]))
    assert headline.verdict is Verdict.NONE
    assert "a perfect choice for each task would gain 25.0 points" in headline.sentence


def test_picking_the_best_of_several_widens_the_interval():
    generator = np.random.default_rng(5)
    rows = many(25)
    routers = [contender(f"r{each}", generator.random((100, 2))) for each in range(8)]
    given = {"training": table(), "resamples": 500}
    result = evaluate_routers(rows, routers, [ARG_MAX], **given)
    alone = evaluate_routers(rows, [routers[result.best]], [ARG_MAX], **given)
    assert result.compared == 8
    assert result.lead.mean == alone.lead.mean == max(each.lead.mean for each in result.routers)
    assert alone.pooled == alone.routers[0].pooled
    assert result.pooled.mean == alone.pooled.mean
    assert result.pooled.low < alone.pooled.low
    assert result.lead.low < alone.lead.low
    assert result.lead.high > alone.lead.high
    assert "best of 8" in headline_of(result).sentence


def test_the_router_that_was_chosen_beforehand_has_the_plain_interval():
    routers = [contender("good"), contender("bad", WRONG)]
    result = evaluate_routers(table(), routers, [ARG_MAX], training=table(), main="bad")
    assert (result.best, result.compared) == (1, 1)
    assert result.lead == result.routers[1].lead


def test_the_answer_is_about_what_is_surely_better_though_another_looks_better_still():
    generator = np.random.default_rng(3)
    ant, count = np.zeros(400), 400
    small, wild = ant + 0.1, ant + 0.12 + generator.choice([-4.0, 4.0], count)
    scores = np.stack([ant, small, wild - wild.mean() + 0.12], axis=1)
    rows = table(scores, ("x",) * count, None, ("ant", "sure", "wild"))
    training = table([[1, 0, 0]], ("x",), None, rows.models)
    routers = [
        contender(name, np.eye(3)[[place] * count], [math.nan] * 3)
        for place, name in ((2, "wild"), (1, "sure"))
    ]
    result = evaluate_routers(rows, routers, [ARG_MAX], training=training, resamples=300)
    assert result.routers[0].lead.mean > result.routers[1].lead.mean
    assert headline_of(result).verdict is Verdict.YES
    assert "sure is 10.0 points" in headline_of(result).sentence


@pytest.mark.parametrize(("prompts", "verdict"), [(1, "unclear"), (5, "unclear"), (6, "yes")])
def test_a_few_prompts_prove_nothing_however_they_went(prompts, verdict):
    rows = table([[0.0, 1.0]] * prompts, ("x",) * prompts, None)
    training = table([[1.0, 0.0]], ("x",), None)
    router = contender(scores=[[0.0, 1.0]] * prompts)
    headline = headline_of(evaluate_routers(rows, [router], [ARG_MAX], training=training))
    assert headline.verdict == verdict
    assert ("too few" in headline.sentence) == (verdict == "unclear")


def test_tasks_of_a_single_prompt_make_nothing_sure():
    scores = np.random.default_rng(0).integers(0, 2, (30, 2)).astype(float)
    tasks = [f"t{row}" for row in range(30)]
    result = evaluate_routers(
        table(scores, tasks, None), [contender(scores=scores[:, ::-1])], [ARG_MAX],
        training=table(scores, tasks, None),
    )  # fmt: skip
    apart = np.ptp([result.lead.low, result.lead.high])
    error = (scores.min(axis=1) - scores[:, scores.mean(axis=0).argmax()]).std() / np.sqrt(30)
    assert apart == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert all(np.isnan(each.low) for each in result.routers[0].way.tasks)


def test_a_best_model_found_on_these_prompts_makes_no_router_worse():
    """Of eight models that are truly equal the best looks better than one drawn for each prompt."""
    plain = allowed = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        rows = table(
            (generator.random((60, 8)) < 0.5).astype(float), ("x",) * 60, None, tuple("abcdefgh")
        )
        router = contender("drawn", generator.random((60, 8)), [math.nan] * 8)
        result = evaluate_routers(rows, [router], [ARG_MAX], resamples=200, seed=seed)
        plain += result.routers[0].lead.high < 0
        allowed += result.lead.high < 0
    assert allowed <= 2 < plain
    assert "the choice of the best model on these prompts" in headline_of(result).sentence


def test_prompts_may_count_the_same_whatever_their_task():
    rows = table(SCORES, ("x", "y", "y", "y"))
    (router,) = evaluate_routers(rows, [contender()], [ARG_MAX]).routers
    # ant is right on 3 of 4 prompts: 1 of x and 2 of 3 of y.
    assert router.lead.mean == pytest.approx(1 - (1 + 2 / 3) / 2)
    assert router.pooled.mean == pytest.approx(1 - 3 / 4)


def test_every_policy_is_applied_to_every_router():
    cheap = Applied("budget", lambda _: lambda _: Policy(Budget(2.0)))
    routers = [contender("one"), contender("two", WRONG)]
    result = evaluate_routers(table(), routers, [ARG_MAX, cheap])
    names = [each.way.name for each in result.routers]
    assert names == ["one, arg-max", "one, budget", "two, arg-max", "two, budget"]
    assert [each.shares for each in result.routers if each.policy == "budget"] == [(0.0, 1.0)] * 2
    assert [(each.router, each.policy) for each in result.routers][1] == ("one", "budget")


def test_a_policy_may_differ_by_row():
    by_row = Applied("odd", lambda _: lambda row: Policy(CostPenalty(10.0 * (row % 2))))
    np.testing.assert_array_equal(
        choices_of(MODELS, contender(scores=ALWAYS_ANT), by_row), [0, 1, 0, 1]
    )


def test_what_can_not_be_had_of_a_router_names_both():
    budget = Applied("budget", lambda _: lambda _: Policy(Budget(0.5)))
    with pytest.raises(ScoringError, match="router by budget: No model costs"):
        choices_of(MODELS, contender(), budget)


def test_a_model_that_the_router_does_not_know_is_never_called():
    router = contender(scores=[[NAN, 0.1]] * 4)
    np.testing.assert_array_equal(choices_of(MODELS, router, ARG_MAX), [1, 1, 1, 1])


def test_scores_are_put_in_the_order_of_the_data():
    nothing = np.zeros(1, np.int64)
    scores = RouterScores(("bee", "cat"), np.array([[0.2, 0.9]]), nothing, nothing, (None,))
    np.testing.assert_array_equal(aligned(table(), scores), [[NAN, 0.2]])
    strange = RouterScores(("cat", "dog"), np.array([[0.2, 0.9]]), nothing, nothing, (None,))
    with pytest.raises(UnreadableDataError, match="none of the router's models"):
        aligned(table(), strange)


def test_a_prediction_is_learned_from_the_training_rows():
    practice = Practice.of(table(), MODELS, ())
    # ant first: right with 0.9, 0.8 and 0.7; on the third row bee is, with 0.6.
    scores = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.6], [0.7, 0.5]])
    policy = learned_prediction(practice, contender(practice=scores), in_order=True)(0)
    assert isinstance(policy.rule, NearestConfidence)
    design = np.column_stack([scores, np.ones(4)])
    expected = np.linalg.lstsq(design, [0.9, 0.8, 0.6, 0.7], rcond=None)[0]
    np.testing.assert_allclose([weight for _, weight in policy.rule.weights], expected[:2])
    with pytest.raises(UnreadableDataError, match="no scores of training rows"):
        learned_prediction(practice, contender(), in_order=False)


def test_sorted_prediction_prefers_the_best_model_and_prediction_the_first():
    # bee is better on these rows, and both are right on the last.
    rows = table([[0, 1], [0, 1], [1, 0], [1, 1]], costs=None)
    practice = Practice.of(rows, MODELS, ())
    scores = np.array([[0.4, 0.9], [0.2, 0.7], [0.8, 0.3], [0.6, 0.5]])
    router = contender(practice=scores)
    design = np.column_stack([scores, np.ones(4)])
    for in_order, aims in ((True, [0.9, 0.7, 0.8, 0.5]), (False, [0.9, 0.7, 0.8, 0.6])):
        expected = np.linalg.lstsq(design, aims, rcond=None)[0]
        rule = learned_prediction(practice, router, in_order=in_order)(0).rule
        assert rule.intercept == pytest.approx(expected[2])


def test_rows_whose_model_has_no_score_are_left_out_and_counted():
    rows = table([[NAN, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    (router,) = evaluate_routers(rows, [contender(scores=ALWAYS_ANT)], [ARG_MAX]).routers
    assert router.way.unscored == 1
    assert router.way.average.mean == pytest.approx((1 + 0.5) / 2)


def test_a_seed_makes_the_evaluation_repeatable():
    rows = table(np.random.default_rng(0).random((40, 2)), ("x", "y") * 20, None)
    router = contender(scores=rows.scores)
    one, other, third = (
        evaluate_routers(rows, [router], [ARG_MAX], seed=seed, resamples=100) for seed in (1, 1, 2)
    )
    assert one.lead == other.lead
    assert one.lead != third.lead


def test_costs_may_be_missing():
    result = evaluate_routers(table(costs=None), [contender(costs=COSTS[0])], [ARG_MAX])
    assert result.zero is None
    assert result.reference("cheapest") is None
    assert result.facts[0].curve is None
    assert math.isnan(result.routers[0].way.mean_cost)
