import numpy as np
import pytest

from evaluation.definitions import mean_correctness, option_probability_score
from scoring.errors import InvalidArrayError


def test_an_open_ended_score_is_the_share_of_right_answers():
    correct = [[True, True, False, True], [False] * 4, [True] * 4]
    np.testing.assert_array_equal(mean_correctness(correct), [0.75, 0.0, 1.0])
    assert mean_correctness([0.5, 1.0]) == 0.75


@pytest.mark.parametrize("correct", [[], 1.0, [[], []], [0.5, 1.5], [np.nan], [-0.1]])
def test_what_is_no_share_is_refused(correct):
    with pytest.raises(InvalidArrayError):
        mean_correctness(correct)


def test_a_right_choice_scores_its_share_of_the_probability():
    # 0.3 / (0.3 + 0.1 + 0.05 + 0.05) = 0.6, and the second chose 0.2 / 0.4, which is wrong.
    options = [[0.3, 0.1, 0.05, 0.05], [0.1, 0.2, 0.05, 0.05]]
    scores = option_probability_score(options, [0, 0], logarithmic=False)
    np.testing.assert_allclose(scores, [0.6, 0.0])


def test_logarithms_score_as_their_probabilities():
    options = np.array([[0.3, 0.1, 0.1], [0.02, 0.06, 0.0]])
    with np.errstate(divide="ignore"):
        scores = option_probability_score(np.log(options), [0, 1])
    np.testing.assert_allclose(scores, [0.6, 0.75])


def test_logarithms_far_below_zero_do_not_vanish():
    # exp(-1000) is 0 in float64; the shares are 1 / (1 + e^-1) and the rest.
    score = option_probability_score([-1000.0, -1001.0], 0)
    assert score == pytest.approx(1 / (1 + np.exp(-1)))


def test_the_first_of_equal_options_is_chosen():
    scores = option_probability_score([[0.4, 0.4], [0.4, 0.4]], [0, 1], logarithmic=False)
    np.testing.assert_allclose(scores, [0.5, 0.0])


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ([[0.5, 0.5]], [2]),
        ([[0.5, 0.5]], [-1]),
        ([[0.5, 0.5]], [0.0]),
        ([[0.5, 0.5]], [0, 1]),
        ([0.5, 0.5], [0]),
        ([[]], [0]),
        ([[0.0, 0.0]], [0]),
        ([[0.5, -0.5]], [0]),
        ([[0.5, np.nan]], [0]),
        ([[0.5, np.inf]], [0]),
    ],
)
def test_what_is_no_question_is_refused(options, right):
    with pytest.raises(InvalidArrayError):
        option_probability_score(options, right, logarithmic=False)


def test_options_without_any_probability_are_refused_as_logarithms_too():
    with pytest.raises(InvalidArrayError):
        option_probability_score([-np.inf, -np.inf], 0)
