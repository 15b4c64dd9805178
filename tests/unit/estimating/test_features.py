import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scoring import InvalidArrayError, measure_answers
from scoring.features import FEATURES, mean_distances, measure_features
from scoring.pairs import pair_column
from scoring.reference import reference_features

NUMBERS = st.floats(-100, 100, width=32).filter(lambda number: number == 0 or abs(number) > 1e-3)


def test_the_order_of_the_features_is_that_of_the_log():
    assert FEATURES == ("relevance", "log_length")  # another order needs another schema


@settings(deadline=None, max_examples=200)
@given(data=st.data(), voters=st.lists(st.sampled_from("abcd"), min_size=1, max_size=7))
def test_features_are_those_of_the_slow_twin(data, voters):
    dimension = data.draw(st.integers(1, 5))
    prompt = data.draw(hnp.arrays(np.float32, dimension, elements=NUMBERS))
    vectors = data.draw(hnp.arrays(np.float32, (len(voters), dimension), elements=NUMBERS))
    several = st.lists(st.text(max_size=9), min_size=len(voters), max_size=len(voters))
    texts = data.draw(st.none() | several)
    answers = measure_answers(voters, vectors)
    lengths = None if texts is None else [len(text) for text in texts]
    found = measure_features(answers, prompt, vectors, lengths)
    assert found.dtype == np.float32
    wanted = reference_features(voters, prompt, vectors, texts)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_vectors_have_no_length_and_a_zero_vector_has_no_direction():
    vectors = np.array([[0, 0], [3, 4]], np.float32)
    answers = measure_answers(["a", "b"], vectors)
    found = measure_features(answers, np.array([1, 0], np.float32), vectors, None)
    assert found[:, 0].tolist() == [0.0, np.float32(0.6)]
    assert np.isnan(found[:, 1]).all()


def test_enormous_vectors_do_not_overflow():
    vectors = np.array([[9e18, 0], [0, 9e18]], np.float32)
    answers = measure_answers(["a", "b"], vectors)
    assert measure_features(answers, vectors[0], vectors, [0, 1])[:, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("prompt", "vectors", "characters", "field"),
    [
        (np.ones(3), np.ones((2, 2)), None, "prompt"),
        (np.ones(2), np.ones((2, 2)), [1], "characters"),
        (np.ones(2), np.ones(2), None, "vectors"),
    ],
)
def test_shapes_must_fit(prompt, vectors, characters, field):
    answers = measure_answers(["a", "b"], np.eye(2, dtype=np.float32))
    with pytest.raises(InvalidArrayError) as caught:
        measure_features(answers, prompt, vectors, characters)
    assert caught.value.field == field


@settings(deadline=None)
@given(voters=st.integers(1, 6), samples=st.integers(0, 4), seed=st.integers(0, 99))
def test_mean_distances_are_those_to_every_other_voter(voters, samples, seed):
    pairs = np.random.default_rng(seed).random((samples, voters * (voters - 1) // 2), np.float32)
    found = mean_distances(pairs, voters)
    assert found.shape == (samples, voters)
    for row, sample in enumerate(pairs):
        for voter in range(voters):
            others = [sample[pair_column(voter, j)] for j in range(voters) if j != voter]
            wanted = np.mean(others, dtype=np.float64) if others else np.nan
            assert found[row, voter] == pytest.approx(wanted, rel=1e-6, nan_ok=True)
        assert mean_distances(sample[None], voters).tobytes() == found[row].tobytes()
