import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.kernels.recall import keep_found, keep_living
from scoring.memory.exact import ExactBuffer


def search(buffer, query, k):
    if not k:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    seqs, squared = np.empty(k, np.int64), np.empty(k, np.float32)
    count = keep_living(query, *buffer.window, 0, seqs, squared)
    return seqs[:count], squared[:count]


def gather(places, k):
    seqs, squared, count = np.empty(k, np.int64), np.empty(k, np.float32), 0
    for place in places:
        count = keep_found(*place, count, seqs, squared)
    return seqs[:count], squared[:count]


@given(st.lists(st.one_of(st.none(), st.integers(0, 400)), max_size=400), st.integers(0, 12))
def test_follows_a_dictionary(steps, k):
    buffer, model = ExactBuffer(3), {}
    rng = np.random.default_rng(k)
    for seq, step in enumerate(steps):
        if step is None or not model:
            model[seq] = rng.normal(size=3).astype(np.float32)
            buffer = buffer.roomier() if buffer.full else buffer
            buffer.add(seq, model[seq])
        else:
            gone = sorted(model)[step % len(model)]
            assert buffer.remove(gone)
            assert not buffer.remove(gone)
            del model[gone]
    assert buffer.live == len(model)
    query = rng.normal(size=3).astype(np.float32)
    seqs, squared = search(buffer, query, k)
    expected = sorted((float(((v - query) ** 2).sum()), -seq) for seq, v in model.items())[:k]
    assert seqs.tolist() == [-seq for _, seq in expected]
    np.testing.assert_allclose(squared, [distance for distance, _ in expected], rtol=1e-5)
    if model:
        first, vector = buffer.oldest()
        assert first == min(model)
        np.testing.assert_array_equal(vector, model[first])


def test_its_memory_follows_what_lives_in_it():
    buffer = ExactBuffer(2)
    for seq in range(1000):
        buffer = buffer.roomier() if buffer.full else buffer
        buffer.add(seq, np.zeros(2, np.float32))
    assert len(buffer._seqs) >= 1000
    for seq in range(995):
        buffer.remove(seq)
    for seq in range(1000, 2000):
        buffer = buffer.roomier() if buffer.full else buffer
        buffer.add(seq, np.zeros(2, np.float32))
        buffer.remove(seq - 5)
    assert len(buffer._seqs) == 64


def test_joining_makes_another_buffer_and_leaves_this_one_alone():
    rows = np.eye(4, dtype=np.float32)
    buffer = ExactBuffer(4)
    for seq in range(3):
        buffer.add(seq, rows[seq])
    buffer.remove(1)
    other = buffer.joined(np.array([7, 9]), rows[[1, 3]])
    assert (buffer.live, other.live) == (2, 4)
    assert sorted(search(buffer, rows[0], 9)[0].tolist()) == [0, 2]
    for seq, row in [(0, 0), (2, 2), (7, 1), (9, 3)]:
        assert search(other, rows[row], 1)[0].tolist() == [seq]
    assert other.oldest()[0] == 0
    assert other.remove(0)
    assert other.oldest()[0] == 2
    assert buffer.live == 2


def test_near_duplicates_keep_their_digits():
    # |a|^2 - 2ab + |b|^2 would find 0 or worse.
    buffer, far = ExactBuffer(2), np.array([1000.0, 1000.0], np.float32)
    buffer.add(0, far + np.float32(0.01))
    (squared,) = search(buffer, far, 1)[1]
    offset = np.float64(np.float32(1000.01)) - 1000
    assert abs(squared - 2 * offset**2) < 1e-9


def test_among_equals_the_later_comes_first():
    place = np.array([0, 1, -1, 2, 3, 4, 5]), np.array([1, 0, 0, 1, 0, 1, 0], np.float32)
    seqs, squared = gather([place], 4)
    assert seqs.tolist() == [5, 3, 1, 4]
    assert squared.tolist() == [0, 0, 0, 1]


@given(st.lists(st.lists(st.integers(0, 5), max_size=12), max_size=5), st.integers(1, 9))
def test_what_is_gathered_from_several_places_is_what_sorting_all_of_it_gives(places, k):
    numbered, everything = [], []
    for place in places:
        seqs = np.arange(len(everything), len(everything) + len(place))
        numbered.append((seqs, np.array(place, np.float32)))
        everything += [(squared, -seq) for squared, seq in zip(place, seqs.tolist(), strict=True)]
    seqs, squared = gather(numbered, k)
    assert list(zip(squared.tolist(), (-seqs).tolist(), strict=True)) == sorted(everything)[:k]
