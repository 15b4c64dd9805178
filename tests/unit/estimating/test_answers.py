import numpy as np
import pytest

from scoring import InvalidArrayError, measure_answers


def test_voters_come_in_order_of_first_appearance():
    answers = measure_answers(["b", "a", "b", "c"], np.eye(4, dtype=np.float32))
    assert answers.voters == ("b", "a", "c")
    assert answers.voter_of.tolist() == [0, 1, 0, 2]
    assert answers.samples_per_voter.tolist() == [2, 1, 1]


def test_several_samples_are_averaged_over_all_pairs():
    vectors = np.array([[0.0], [4.0], [1.0], [3.0]], np.float32)
    answers = measure_answers(["a", "a", "b", "b"], vectors)
    assert answers.pairs.tolist() == [(1 + 9 + 9 + 1) / 4]
    assert answers.mean_squared_distance.tolist() == [5.0, 5.0, 5.0, 5.0]


def test_one_voter_has_nobody_to_agree_with():
    answers = measure_answers(["a", "a"], np.eye(2, dtype=np.float32))
    assert answers.pairs.shape == (0,)
    assert np.isnan(answers.agreement)
    assert answers.mean_squared_distance.tolist() == [0.0, 0.0]


def test_agreement_is_the_mean_cosine_between_voters():
    vectors = np.array([[1, 0], [0, 2], [3, 0], [0, 0]], np.float32)
    answers = measure_answers(list("abcd"), vectors)
    assert answers.agreement == pytest.approx(1 / 6)
    assert measure_answers(["a", "b"], vectors[[0, 2]]).agreement == 1.0
    assert measure_answers(["a", "b"], vectors[[0, 3]]).agreement == 0.0


def test_agreement_of_opposites_is_minus_one():
    vectors = np.array([[0.3, 0.1], [-0.3, -0.1]], np.float32)
    assert measure_answers(["a", "b"], vectors).agreement == pytest.approx(-1.0)


def vectors_with(value):
    vectors = np.ones((3, 2), np.float32)
    vectors[1, 0] = value
    return vectors


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_place(value):
    with pytest.raises(InvalidArrayError, match="NaN or infinity") as caught:
        measure_answers(list("abc"), vectors_with(value))
    assert caught.value.field == "vectors[1]"


def test_a_lone_bad_vector_is_refused():
    with pytest.raises(InvalidArrayError, match="NaN or infinity"):
        measure_answers(["a"], np.array([[np.nan]], np.float32))


def test_vectors_whose_distances_overflow_are_refused():
    with pytest.raises(InvalidArrayError, match="normalise"):
        measure_answers(list("abc"), vectors_with(1e30))


def test_the_longest_vectors_allowed_have_finite_distances():
    vectors = np.array([[9.2e18], [-9.2e18], [0]], np.float32)
    assert np.isfinite(measure_answers(list("abc"), vectors).pairs).all()


def test_a_float64_that_overflows_float32_is_refused():
    with pytest.raises(InvalidArrayError, match="NaN or infinity"):
        measure_answers(["a"], np.array([[1e300]]))


@pytest.mark.parametrize(
    ("voters", "vectors", "field", "message"),
    [
        ([], np.ones((0, 2)), "voters", "at least one generation"),
        (["a", "b"], np.ones((3, 2)), "vectors", "2 voters and 3 vectors"),
        (["a"], np.ones(3), "vectors", "1 axes"),
        (["a"], np.ones((1, 0)), "vectors", "no dimensions"),
        (["a"], np.ones((0, 3)), "vectors", "no generations"),
        (["a"], [["x"]], "vectors", "holds <U1; give float32"),
        (["a"], [[1.0], [1.0, 2.0]], "vectors", "rows differ"),
        (["a"], np.ones((1, 2), complex), "vectors", "complex"),
    ],
)
def test_wrong_shapes_are_refused(voters, vectors, field, message):
    with pytest.raises(InvalidArrayError, match=message) as caught:
        measure_answers(voters, vectors)
    assert caught.value.field == field
