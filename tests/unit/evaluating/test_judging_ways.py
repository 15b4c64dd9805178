"""Ways to choose among judged answers, on data small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from evaluation.judging.agreement import agreement_ways, authors_choices
from evaluation.judging.calibrating import calibrated_way
from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.labelled import LabelledScores, cross_fitting, shares_of
from evaluation.judging.pairwise import PairwiseWins
from evaluation.judging.ways import (
    BEST_SINGLE,
    LONGEST,
    ORACLE,
    RANDOM,
    Kind,
    Way,
    bounds,
    models,
    simple_ways,
)
from evaluation.preferences import JudgedAnswers
from evaluation.win_rate import choice_outcomes, random_outcomes
from scoring.answers import measure_answers
from scoring.dataset import fit_global, nearest_prompts
from scoring.estimator import estimate_alone

NAN = np.nan


def judged(wins, texts=None, answered=None):
    wins = np.array(wins, float)
    voters = tuple("abcdefgh"[: wins.shape[1]])
    texts = texts or tuple(tuple(voters) for _ in wins)
    prompts = tuple(f"prompt {row}" for row in range(len(wins)))
    return JudgedAnswers(voters, prompts, texts, wins, answered)


def embedded(answers, wins=None, answered=None, prompts=None, further=()):
    answers = np.asarray(answers, np.float32)
    wins = np.zeros(answers.shape[:2]) if wins is None else wins
    if prompts is None:
        prompts = np.random.default_rng(0).standard_normal((len(answers), answers.shape[2]))
    prompts = np.asarray(prompts, np.float32)
    nearest = nearest_prompts(prompts, 5)
    return EmbeddedAnswers(judged(wins, answered=answered), prompts, answers, further, nearest)


def by_name(ways):
    return {each.name: each for each in ways}


def taken(way):
    return way.shares.argmax(axis=1)


def test_random_is_an_even_share_of_who_answered():
    answered = np.array([[True, True, False], [True, True, True]])
    ways = by_name(simple_ways(judged([[1, 0, NAN], [1, 0, NAN]], answered=answered)))
    np.testing.assert_allclose(ways[RANDOM].shares, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(ways[RANDOM].outcomes(np.array([[1, 0, NAN], [1, 0, NAN]])), 0.5)


@given(
    npst.arrays(
        float, (4, 3), elements=st.one_of(st.just(NAN), st.floats(0, 1, allow_subnormal=False))
    ),
    npst.arrays(np.int64, 4, elements=st.integers(0, 2)),
)
def test_shares_say_what_the_win_rates_say(wins, choices):
    ours = Way.choosing("one", Kind.MODEL, choices, 3).outcomes(wins)
    np.testing.assert_allclose(ours, choice_outcomes(wins, choices))
    even = Way("even", Kind.SIMPLE, np.full((4, 3), 1 / 3)).outcomes(wins)
    np.testing.assert_allclose(even, random_outcomes(wins))


def test_the_longest_answer_is_one_that_was_given():
    texts = (("aa", "", "a"), ("", "", ""))
    answered = np.array([[False, True, True], [False, True, True]])
    ways = by_name(simple_ways(judged(np.zeros((2, 3)), texts, answered)))
    assert taken(ways[LONGEST]).tolist() == [2, 1]


def test_bounds_know_the_judgements():
    wins = np.array([[1, 0.9], [0.2, 0.9], [0.3, NAN]])
    ways = by_name(bounds(judged(wins)))
    assert taken(ways[BEST_SINGLE]).tolist() == [1, 1, 1]
    assert taken(ways[ORACLE]).tolist() == [0, 1, 0]
    assert "b" in ways[BEST_SINGLE].note


def test_where_the_best_model_is_silent_the_next_best_stands_in():
    answered = np.array([[True, True], [True, False]])
    ways = by_name(bounds(judged([[0.1, 1], [0.2, NAN]], answered=answered)))
    assert taken(ways[BEST_SINGLE]).tolist() == [1, 0]


def test_a_model_alone_is_measured_where_it_answered():
    answered = np.array([[True, False], [True, True]])
    alone = by_name(models(judged([[1, NAN], [0, 0.5]], answered=answered)))
    outcomes = alone["b"].outcomes(np.array([[1, NAN], [0, 0.5]]))
    np.testing.assert_array_equal(outcomes, [NAN, 0.5])


def test_agreement_chooses_the_voter_in_the_middle():
    generator = np.random.default_rng(1)
    spread = np.array([0.1, 1.0, 1.0, 2.0])
    answers = generator.standard_normal((40, 4, 16)) * spread[None, :, None]
    ways = by_name(agreement_ways(embedded(answers), (5,)))
    assert set(taken(ways["Smoothie global"])) == {0}
    assert (taken(ways["Smoothie local 5"]) == 0).mean() > 0.9
    fit = fit_global(answers.astype(np.float32))
    assert fit.order[0] == 0
    alone = [
        estimate_alone(measure_answers(["a", "b", "c", "d"], row.astype(np.float32))).order[0]
        for row in answers
    ]
    assert taken(ways["Smoothie single"]).tolist() == alone


def test_a_voter_that_is_silent_is_never_chosen():
    answers = np.random.default_rng(1).standard_normal((30, 4, 8))
    answers[:, 0] *= 0.01
    answered = np.ones((30, 4), bool)
    answered[::2, 0] = False
    answers[::2, 0] = 0
    wins = np.where(answered, 0.5, NAN)
    shown = embedded(answers, wins, answered)
    for way in agreement_ways(shown, (5,)):
        assert not way.shares[~answered].any()
        np.testing.assert_array_equal(way.shares.sum(axis=1), 1)


def test_the_authors_formula_is_ours_where_it_is_defined():
    noise = np.array([[1.0, 2.0, 3.0], [-1.0, 2.0, 3.0], [0.5, 0.2, 9.0]])
    choices, defined = authors_choices(noise, np.ones((3, 3), bool))
    assert defined.tolist() == [True, False, True]
    assert choices[defined].tolist() == [0, 1]
    # Of the documented example, where theirs puts the best voter last.
    corners = np.array([[[0, 0], [2, 2], [2, -3], [-2, 3]]], float)
    ways = by_name(agreement_ways(embedded(corners), (1,)))
    assert taken(ways["Smoothie single"]).tolist() == [0]
    assert taken(ways["Smoothie single, authors' formula"]).tolist() == [1]
    assert "defined for 0 of 1" in ways["Smoothie single, authors' formula"].note


def test_several_samples_of_a_voter_are_evidence():
    answers = np.array([[[0.0, 0.0], [0.1, 0.0], [5.0, 0.0]]])
    # Of the third voter, whose first answer is far off, many more lie in the middle.
    further = ((np.zeros((0, 2)), np.zeros((0, 2)), np.array([[0.05, 0.0]] * 30)),)
    further = tuple(tuple(each.astype(np.float32) for each in row) for row in further)
    ways = by_name(agreement_ways(embedded(answers, further=further), (1,)))
    expected = estimate_alone(
        measure_answers(
            ["a", "b", *["c"] * 31],
            np.concatenate([answers[0], further[0][2]]).astype(np.float32),
        )
    )
    assert taken(ways["Smoothie samples"]).tolist() == [expected.order[0]]


@given(st.integers(2, 40), st.integers(1, 60), st.integers(1, 3), st.integers(0, 9))
def test_no_prompt_is_tested_by_its_own_label(prompts, labels, repeats, seed):
    wins = np.random.default_rng(seed).random((prompts, 3))
    wins[0] = NAN
    draws = cross_fitting(wins, labels, repeats=repeats, seed=seed)
    if prompts == 2:
        assert draws == ()
        return
    for splits in draws:
        tested = np.concatenate([each.tested for each in splits])
        assert sorted(tested) == list(range(prompts))
        for split in splits:
            assert not set(split.tested) & set(split.labelled)
            assert 0 < len(split.labelled) <= labels
            assert 0 not in split.labelled


def test_labelled_ways_learn_who_is_good_and_where():
    generator = np.random.default_rng(2)
    side = np.arange(60) % 2
    prompts = np.where(side == 0, 1, -1)[:, None] * np.array([[1.0, 0.2]])
    prompts = prompts + 0.1 * generator.standard_normal((60, 2))
    wins = np.stack([side == 0, side == 1, np.full(60, 0.6)], axis=1).astype(float)
    draws = cross_fitting(wins, 30, repeats=3, seed=0)
    scores = LabelledScores.of(prompts.astype(np.float32), wins, draws, 30, 5)
    best, nearest = scores.ways(np.arange(3), np.ones((60, 3), bool))
    np.testing.assert_array_equal(best.shares[:, 2], 1)
    assert nearest.outcomes(wins).mean() == 1
    # Among the first two alone, no voter is better everywhere.
    best, nearest = scores.ways(np.arange(2), np.ones((60, 2), bool))
    assert nearest.outcomes(wins[:, :2]).mean() == 1
    assert best.outcomes(wins[:, :2]).mean() < 0.7


def test_the_nearest_labelled_prompts_are_averaged_by_definition():
    generator = np.random.default_rng(3)
    prompts = generator.standard_normal((25, 4)).astype(np.float32)
    wins = generator.random((25, 3))
    wins[3, 1] = NAN
    draws = cross_fitting(wins, 12, repeats=2, seed=1)
    scores = LabelledScores.of(prompts, wins, draws, 12, 4)
    unit = prompts / np.linalg.norm(prompts, axis=1, keepdims=True)
    for draw, splits in enumerate(draws):
        for split in splits:
            for row in split.tested:
                order = np.argsort(-(unit[split.labelled] @ unit[row]), kind="stable")
                near = split.labelled[order[:4]]
                expected = np.nanmean(wins[near], axis=0)
                np.testing.assert_allclose(scores.nearby[draw, row], expected, atol=1e-5)


def test_shares_count_draws():
    scores = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 2.0]]])
    np.testing.assert_array_equal(shares_of(scores, np.array([[True, True]])), [[0.25, 0.75]])
    np.testing.assert_array_equal(shares_of(scores, np.array([[True, False]])), [[1, 0]])


def test_calibrated_learns_from_labels_and_leaves_out_what_is_not_judged():
    generator = np.random.default_rng(4)
    answers = generator.standard_normal((50, 3, 6))
    wins = np.tile([0.1, 0.9, 0.2], (50, 1))
    wins[7, 0] = NAN
    draws = cross_fitting(wins, 20, repeats=2, seed=0)
    way = calibrated_way(embedded(answers, wins), draws, 20)
    assert np.isnan(way.outcomes(wins)[7])
    others = np.arange(50) != 7
    np.testing.assert_allclose(way.shares[others, 1], 1)


def test_too_few_judged_prompts_make_no_calibrated_way():
    wins = np.array([[1.0, NAN], [NAN, 1.0], [1.0, 0.0]])
    answers = np.random.default_rng(0).standard_normal((3, 2, 4))
    draws = cross_fitting(wins, 2, repeats=1, seed=0)
    assert calibrated_way(embedded(answers, wins), draws, 2) is None


class Longer:
    """Prefers the longer answer."""

    concurrency = 2

    def compare(self, prompt, answers):
        lengths = np.array([len(each) for each in answers])
        return 0.5 + 0.4 * np.sign(lengths[:, None] - lengths[None, :])


def test_a_pairwise_ranker_is_asked_once_for_all_pools():
    texts = (("aaa", "a", "aa"), ("a", "", "aaa"))
    answered = np.array([[True, True, True], [True, False, True]])
    found = PairwiseWins.of("longer", Longer(), judged(np.zeros((2, 3)), texts, answered))
    everybody = found.strengths(np.arange(3))
    np.testing.assert_allclose(everybody[0], [0.9, 0.1, 0.5])
    np.testing.assert_allclose(everybody[1], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(found.strengths(np.array([1, 2]))[0], [0.1, 0.9])
    np.testing.assert_array_equal(found.strengths(np.array([1])), [[0.5], [0.5]])
    assert np.isnan(found.wins[1, 1, 0])


@pytest.mark.parametrize("wins", [np.zeros((1, 3)), np.full((4, 3), NAN)])
def test_one_judged_prompt_can_teach_nothing(wins):
    assert cross_fitting(wins, 5, repeats=2, seed=0) == ()
