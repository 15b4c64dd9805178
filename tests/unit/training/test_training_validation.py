import numpy as np
import pytest

from encoders.training.data import TrainingData
from encoders.training.validation import accuracy, best_single_model, gains

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
