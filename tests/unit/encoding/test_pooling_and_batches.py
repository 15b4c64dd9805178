import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.batches import CPU, GPU, Limits, group_by_length, pad
from encoders.pooling import Pooling, pool, to_unit_norm


@pytest.fixture
def output():
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_mean_ignores_padding(output):
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    pooled = pool(Pooling.MEAN, output, mask)
    np.testing.assert_allclose(pooled, [output[0, :2].mean(axis=0), output[1].mean(axis=0)])
    assert pooled.dtype == np.float32


def test_mean_of_no_tokens_is_zero(output):
    assert not pool(Pooling.MEAN, output, np.zeros((2, 3), dtype=np.int64)).any()


def test_cls_takes_the_first_token(output):
    mask = np.ones((2, 3), dtype=np.int64)
    np.testing.assert_array_equal(pool(Pooling.CLS, output, mask), output[:, 0])


def test_a_model_that_pools_is_left_alone(output):
    mask = np.ones((2, 3), dtype=np.int64)
    assert pool(Pooling.MODEL, output[:, 0], mask) is not None
    np.testing.assert_array_equal(pool(Pooling.MODEL, output[:, 0], mask), output[:, 0])


def test_unit_norm_keeps_zero_and_gives_no_nan():
    vectors = np.array([[3, 4], [0, 0], [1e-30, 0]], dtype=np.float32)
    found = to_unit_norm(vectors)
    np.testing.assert_allclose(found[:2], [[0.6, 0.8], [0, 0]], rtol=1e-6)
    assert np.isfinite(found).all()
    assert found.dtype == np.float32


@given(st.lists(st.integers(0, 600), max_size=60), st.sampled_from([CPU, GPU, Limits(64, 0, 64)]))
def test_every_text_runs_once_within_the_limits(lengths, limits):
    runs = list(group_by_length(np.array(lengths, dtype=np.int64), limits))
    assert sorted(index for run in runs for index in run) == list(range(len(lengths)))
    for run in runs:
        inside = [lengths[index] for index in run]
        padded = len(run) * max(inside)
        assert len(run) == 1 or padded <= limits.padded_tokens
        assert padded - sum(inside) <= limits.padding


def test_like_lengths_share_a_run_and_unlike_ones_do_not():
    runs = list(group_by_length(np.array([200, 10, 201, 11, 12]), CPU))
    assert runs == [[1, 3, 4], [0, 2]]


def test_padding_stands_on_the_right():
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])], pad_id=9)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_a_text_without_tokens_still_has_a_place():
    ids, mask = pad([np.array([], dtype=np.int64)], pad_id=9)
    assert (ids.tolist(), mask.tolist()) == ([[9]], [[0]])


@given(st.integers(1, 3000), st.integers(1, 700), st.integers(1, 700), st.sampled_from([CPU, GPU]))
def test_a_shape_holds_its_run_and_is_little_larger(rows, tokens, most, limits):
    tokens = min(tokens, most)
    shape = limits.shape(rows, tokens, most)
    assert shape[0] >= rows
    assert shape[1] >= tokens
    assert shape[1] <= most
    assert shape[0] <= 1.25 * rows
    assert shape[1] < tokens + limits.step
    if limits is CPU:
        assert shape == (rows, tokens)


def test_a_card_meets_few_shapes():
    shapes = {GPU.shape(rows, tokens, 256) for rows in range(1, 65) for tokens in range(1, 257)}
    assert len({rows for rows, _ in shapes}) == 20
    assert {tokens for _, tokens in shapes} == set(range(16, 257, 16))


def test_texts_of_padding_stand_at_the_end():
    ids, mask = pad([np.array([5, 6, 7]), np.array([8])], pad_id=9, shape=(3, 4))
    assert ids.tolist() == [[5, 6, 7, 9], [8, 9, 9, 9], [9, 9, 9, 9]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
