import numpy as np
import pytest

from encoders.training.data import TrainingData
from encoders.training.validation import accuracy, best_single_model, gains
from evaluation import routing
from evaluation.scores import ScoreTable

MODELS = ("w", "x", "y", "z")

DATA = TrainingData(
    ("p", "q", "r"),
    np.array([[0.2, 0.0], [0.3, 0.9], [0.5, np.nan]]),
    ("x", "y"),
    ("choice", "open", "open"),
)


def test_a_positive_task_counts_any_score_above_zero_as_right():
    expected = [[1, 0], [0.3, 0.9], [0.5, np.nan]]
    np.testing.assert_array_equal(gains(DATA, ["choice"]), expected)


def test_accuracy_is_the_mean_over_tasks_of_the_chosen_model_s_gain():
    cosines = np.array([[0.9, 0.1], [0.1, 0.2], [0.1, 0.9]])
    found = accuracy(cosines, DATA, ["choice"])
    # In the last row the model without a score can't be chosen.
    assert found.tasks == pytest.approx({"choice": 1.0, "open": 0.7})
    assert found.average == pytest.approx(0.85)


def test_the_best_single_model_is_judged_by_the_scores_it_has():
    name, found = best_single_model(DATA, [])
    assert (name, found.average) == ("y", pytest.approx(0.45))
    name, found = best_single_model(DATA, ["choice"])
    assert (name, found.average) == ("x", pytest.approx((1 + 0.4) / 2))


def test_a_model_that_lacks_a_task_is_not_the_best_of_all():
    scores = np.array([[0.2, 0.9], [0.3, np.nan]])
    data = TrainingData(("p", "q"), scores, ("x", "y"), ("s", "t"))
    name, found = best_single_model(data, [])
    assert (name, found.average) == ("x", pytest.approx(0.25))


def test_where_every_model_lacks_a_task_the_best_of_those_with_most_is_found():
    gap = np.nan
    scores = np.array([[0.9, gap, gap], [gap, 0.2, 0.1], [gap, 0.3, 0.6]])
    data = TrainingData(("p", "q", "r"), scores, ("x", "y", "z"), ("s", "t", "u"))
    name, found = best_single_model(data, [])
    assert (name, found.average) == ("z", pytest.approx(0.35))


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.6, 0.8])
@pytest.mark.parametrize("positive", [(), ("s",)])
def test_training_and_evaluation_find_the_same_best_single_model(gaps, positive):
    for seed in range(20):
        random = np.random.default_rng(seed)
        scores = random.random((9, 4)) * (random.random((9, 4)) > 0.3)
        scores[random.random((9, 4)) < gaps] = np.nan
        scores[np.arange(9), random.integers(0, 4, 9)] = random.random(9)
        prompts, tasks = tuple(f"p{row}" for row in range(9)), tuple("sstttuuuv")
        name, found = best_single_model(TrainingData(prompts, scores, MODELS, tasks), positive)
        table = ScoreTable.of(prompts, tasks, MODELS, scores)
        report = routing.accuracy(table, np.zeros(9, np.int64), positive, resamples=1)
        assert report.best_single.name == name
        assert report.best_single.average.mean == pytest.approx(found.average)
