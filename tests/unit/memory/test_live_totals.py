import numpy as np
import pytest

from scoring.memory.totals import LiveTotals, RunningTotals, Share
from scoring.pairs import pair_count

ALL = (0, 1, 2)


def share(*pairs, columns=ALL):
    return Share.of(columns, np.array([pairs], np.float32))


def test_totals_do_not_drift():
    rng = np.random.default_rng(1)
    totals = RunningTotals(3)
    kept = Share.of(ALL, rng.random((1, 3), np.float32) * 1e-6)
    totals.add(kept)
    plain = kept.distances.sums.copy()
    for _ in range(2000):
        passing = Share.of(ALL, rng.random((1, 3), np.float32) * 1e6)
        totals.add(passing)
        plain += passing.distances.sums
        totals.add(passing, -1)
        plain -= passing.distances.sums
    found = totals.snapshot(tuple("abc"))
    np.testing.assert_allclose(found.sums, kept.distances.sums, rtol=1e-12)
    np.testing.assert_allclose(found.contrast_sums, kept.contrasts.sums, rtol=1e-9)
    # A plain sum would have drifted: the test can fail.
    assert np.abs(plain / kept.distances.sums - 1).max() > 1e-9


def test_nothing_is_left_of_what_left():
    totals = RunningTotals(4)
    shares = [
        Share.of(columns, np.random.default_rng(n).random((1, size), np.float32))
        for n, (columns, size) in enumerate([((0, 1, 2), 3), ((1, 3), 1), ((2,), 0)])
    ]
    for each in shares:
        totals.add(each)
    found = totals.snapshot(tuple("abcd"))
    assert found.samples == 3
    assert found.voter_samples.tolist() == [1, 2, 2, 1]
    assert found.contrast_counts.sum() == 3
    for each in shares:
        totals.add(each, -1)
    found = totals.snapshot(tuple("abcd"))
    assert found.samples == 0
    for sums in (found.sums, found.contrast_sums, found.contrast_squares):
        assert not sums.any()
    assert not found.voter_samples.any()
    assert not found.counts.any()


def wild(seed, count=40):
    """Samples of sizes so different that two doubles can't hold their sum, and an order."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-12, 22, count)
    return [share(size, 2 * size, size / 3) for size in sizes], rng.permutation(count)


@pytest.mark.parametrize("seed", range(6))
def test_identical_answers_leave_a_sum_of_exactly_zero(seed):
    totals, (shares, order) = RunningTotals(3), wild(seed)
    for each in (*shares, share(0, 0, 0)):
        totals.add(each)
    for number in order:
        totals.add(shares[number], -1)
    found = totals.snapshot(tuple("abc"))
    assert found.counts.tolist() == [1, 1, 1]
    assert found.sums.tolist() == [0, 0, 0]
    assert found.contrast_sums.tolist() == [0, 0, 0]
    assert found.contrast_squares.tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_sum_of_squares_is_never_below_zero(seed):
    totals, (shares, _) = RunningTotals(3), wild(seed)
    for each in shares:
        totals.add(each)
    for each in sorted(shares, key=lambda each: -each.distances.sums[0]):
        totals.add(each, -1)
        found = totals.snapshot(tuple("abc"))
        assert found.sums.min() >= 0
        assert found.contrast_squares.min() >= 0


def test_a_pair_that_was_gone_begins_at_zero():
    totals, (shares, order) = RunningTotals(3), wild(0)
    for each in shares:
        totals.add(each)
    for number in order:
        totals.add(shares[number], -1)
    tiny = share(1e-12, 1e-12, 1e-12)
    totals.add(tiny)
    assert totals.snapshot(tuple("abc")).sums.tolist() == tiny.distances.sums.tolist()


def test_rounding_errors_leave_with_the_generation_that_caused_them():
    totals, rows, sizes = LiveTotals(), {}, [1e22, 1.1e6, 3.7e-9, 0.3, 7e14, 1e-12, 2.9e3]
    totals.widen(3)
    for seq in range(30):
        size = sizes[seq] if seq < len(sizes) else 1e-12 * (seq + 1)
        rows[seq] = np.array([[size, 2 * size, size / 3]], np.float32)
        if seq >= 10:
            totals.forget(seq - 10, Share.of(ALL, rows.pop(seq - 10)))
        totals.add(seq, Share.of(ALL, rows[seq]))
    found = totals.current.snapshot(tuple("abc"))
    exact = Share.of(ALL, np.concatenate(list(rows.values())))
    np.testing.assert_allclose(found.sums, exact.distances.sums, rtol=1e-12)
    np.testing.assert_allclose(found.contrast_squares, exact.squares.sums, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_order_samples_leave_in_the_totals_are_those_of_the_living(seed):
    rng, totals, live = np.random.default_rng(seed), LiveTotals(), {}
    totals.widen(3)
    for seq in range(120):
        live[seq] = rng.integers(0, 50, (1, 3)).astype(np.float32)
        totals.add(seq, Share.of(ALL, live[seq]))
        if seq == 60:
            totals.widen(4)
        while len(live) > rng.integers(0, 12):
            gone = int(rng.choice(list(live)))
            totals.forget(gone, Share.of(ALL, live.pop(gone)))
        found = totals.current.snapshot(tuple("abcd")[: totals.current.voters])
        assert found.samples == len(live)
        expected = np.sum([row[0] for row in live.values()], axis=0) if live else np.zeros(3)
        assert found.sums[:3].tolist() == expected.tolist()
        assert found.counts[:3].tolist() == [len(live)] * 3


def test_leaving_a_share_out_changes_nothing_for_others():
    totals = RunningTotals(3)
    totals.add(share(1, 2, 3))
    totals.add(share(5, 5, 5))
    before = totals.snapshot(tuple("abc"))
    others = totals.without(share(5, 5, 5)).snapshot(tuple("abc"))
    assert (others.samples, others.sums.tolist()) == (1, [1, 2, 3])
    after = totals.snapshot(tuple("abc"))
    assert after.sums.tolist() == before.sums.tolist() == [6, 7, 8]
    assert after.samples == 2


@pytest.mark.parametrize("voters", [1, 2])
def test_two_voters_have_no_contrast(voters):
    pairs = np.ones((1, pair_count(voters)), np.float32)
    assert Share.of(tuple(range(voters)), pairs).contrasts.sums.size == 0
