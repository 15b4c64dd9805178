import numpy as np
import pytest

from scoring.calibrated import relative_features
from scoring.errors import InvalidArrayError

NAN = np.nan


def test_features_are_relative_to_the_answers_of_the_prompt():
    found = relative_features([1.0, 2.0, 3.0], [0.5, 0.6, 0.7], [5.0, 6.0, 8.5])
    np.testing.assert_allclose(found[:, 0], [0.5, 0.0, -0.5])
    np.testing.assert_allclose(found[:, 1], [-0.1, 0.0, 0.1], atol=1e-12)
    roots = np.exp(np.array([2.5, 3.0, 4.25]))
    expected = 2 * (roots - roots.mean()) / np.sqrt(np.square(roots).mean())
    np.testing.assert_allclose(found[:, 2], expected)


def test_lengths_that_are_alike_differ_as_their_logarithms_and_an_empty_answer_little_more():
    alike = relative_features([NAN] * 2, [NAN] * 2, [6.0, 6.1])[:, 2]
    assert alike[1] - alike[0] == pytest.approx(0.1, rel=1e-3)
    empty = relative_features([NAN] * 3, [NAN] * 3, [0.0, 7.0, 7.0])[:, 2]
    assert -2 < empty[0] < -1


def test_unknown_ones_stay_unknown_and_do_not_move_the_others():
    found = relative_features([1.0, NAN, 3.0], [NAN] * 3, [5.0, 6.0, NAN])
    np.testing.assert_allclose(found[:, 0], [0.5, NAN, -0.5])
    assert np.isnan(found[:, 1]).all()
    alone = relative_features([1.0, 3.0], [NAN] * 2, [5.0, 6.0])
    np.testing.assert_allclose(found[:2, 2], alone[:, 2])
    assert np.isnan(found[2, 2])


def test_equal_answers_and_a_single_one_have_no_agreement_to_speak_of():
    np.testing.assert_array_equal(relative_features([0.0] * 3, [1.0] * 3, [2.0] * 3), 0.0)
    np.testing.assert_array_equal(relative_features([1.0] * 2, [0.5] * 2, [800.0] * 2), 0.0)
    np.testing.assert_array_equal(relative_features([0.0], [0.4], [3.0]), [[0.0, 0.0, 0.0]])


def test_many_prompts_are_compared_at_once():
    rng = np.random.default_rng(0)
    raw = rng.random((3, 7, 4))
    together = relative_features(*raw)
    for prompt in range(7):
        np.testing.assert_allclose(together[prompt], relative_features(*raw[:, prompt]))


@pytest.mark.parametrize(
    "given",
    [
        ([1.0, 2.0], [1.0], [1.0, 2.0]),
        ([1.0, np.inf], [1.0, 1.0], [1.0, 2.0]),
        (1.0, 1.0, 1.0),
        (["a"], ["b"], ["c"]),
    ],
)
def test_what_does_not_fit_is_refused(given):
    with pytest.raises(InvalidArrayError):
        relative_features(*given)
