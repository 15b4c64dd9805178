import numpy as np
import pytest

from evaluation.errors import UnreadableDataError
from evaluation.scores import ScoreTable


def table(costs=True):
    scores = np.array([[1.0, 0.0, np.nan], [0.5, 0.25, 1.0]])
    given = np.array([[2.0, np.nan, np.nan], [4.0, 1.0, np.nan]]) if costs else None
    return ScoreTable.of(["p", "q"], ["t", "u"], ["a", "b", "c"], scores, given)


def test_models_are_selected_in_the_order_given():
    chosen = table().select(["c", "a"])
    assert chosen.models == ("c", "a")
    np.testing.assert_array_equal(chosen.scores, [[np.nan, 1.0], [1.0, 0.5]])
    np.testing.assert_array_equal(chosen.costs, [[np.nan, 2.0], [np.nan, 4.0]])


def test_a_model_without_scores_is_named():
    with pytest.raises(UnreadableDataError, match="No score is of d; the models are a, b, c"):
        table().select(["a", "d"])


def test_rows_are_taken_in_the_order_given_and_may_repeat():
    rows = table().rows([1, 0, 1])
    assert (rows.prompts, rows.tasks) == (("q", "p", "q"), ("u", "t", "u"))
    np.testing.assert_array_equal(rows.scores[:, 0], [0.5, 1.0, 0.5])
    assert len(rows) == 3


def test_costs_are_averaged_over_the_rows_that_have_one():
    np.testing.assert_array_equal(table().mean_costs(), [3.0, 1.0, np.nan])
    np.testing.assert_array_equal(table(costs=False).mean_costs(), [np.nan] * 3)


def test_the_fingerprint_is_of_the_content():
    assert table().fingerprint == table().fingerprint
    others = [
        table(costs=False),
        table().select(["b", "a", "c"]),
        table().rows([1, 0]),
        table().rows([0]),
        ScoreTable.of(["p", "q"], ["t", "t"], ["a", "b", "c"], table().scores, table().costs),
    ]
    assert len({each.fingerprint for each in [table(), *others]}) == len(others) + 1


def test_every_nan_is_the_same_to_the_fingerprint():
    other = np.frombuffer(np.uint64(0xFFF8000000000001).tobytes(), np.float64)
    first, second = (
        ScoreTable.of(["p"], ["t"], ["a"], np.array([each])) for each in ([np.nan], other)
    )
    assert first.fingerprint == second.fingerprint
