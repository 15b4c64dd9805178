import numpy as np
import pytest

from scoring.memory.agreement import (
    AgreementTable,
    RunningTotals,
    Share,
    in_column_order,
    pair_columns,
)
from scoring.pairs import pair_column, pair_count


def test_pairs_find_their_columns_in_any_order_of_voters():
    columns = (4, 0, 7, 2)
    expected = [pair_column(columns[i], columns[j]) for j in range(1, 4) for i in range(j)]
    assert pair_columns(columns).tolist() == expected
    assert pair_columns((3,)).tolist() == []


def test_sorting_voters_keeps_each_distance_with_its_pair():
    columns = (4, 0, 7, 2)
    pairs = np.arange(6, dtype=np.float32)[None]
    ordered, moved = in_column_order(columns, pairs)
    assert ordered == (0, 2, 4, 7)
    before = dict(zip(pair_columns(columns).tolist(), pairs[0].tolist(), strict=True))
    after = dict(zip(pair_columns(ordered).tolist(), moved[0].tolist(), strict=True))
    assert before == after


def test_a_row_is_nan_where_a_pair_is_missing_and_after_it_is_cleared():
    table = AgreementTable(capacity=100)
    table.widen(table.blocks_for(3))
    table.reserve(1)
    table.write(np.array([0]), (0, 2), np.array([[5.0]], np.float32))
    table.widen(table.blocks_for(4))
    table.reserve(90)  # grows and keeps
    table.write(np.array([80]), (3,), np.zeros((1, 0), np.float32))
    rows = table.rows(np.array([0, 80]))
    expected = np.full((2, pair_count(4)), np.nan, np.float32)
    expected[0, pair_column(0, 2)] = 5
    np.testing.assert_array_equal(rows, expected)
    assert table.read(0)[0] == (0, 2)
    assert table.read(80)[0] == (3,)  # answered alone
    table.clear(0, (0, 2))
    assert table.read(0)[0] == ()
    assert np.isnan(table.rows(np.array([0]))).all()


def test_what_is_read_is_what_was_written():
    table, rng = AgreementTable(capacity=8), np.random.default_rng(0)
    table.widen(table.blocks_for(6))
    table.reserve(8)
    for slot, columns in enumerate([(0, 1, 2), (1, 3, 5), (0, 1, 2, 3, 4, 5), (2,)]):
        pairs = rng.random((1, pair_count(len(columns))), np.float32)
        table.write(np.array([slot]), columns, pairs)
        read_columns, read_pairs = table.read(slot)
        assert read_columns == columns
        np.testing.assert_array_equal(read_pairs, pairs)
        assert read_pairs.dtype == np.float32


def test_totals_do_not_drift():
    rng = np.random.default_rng(1)
    totals = RunningTotals()
    totals.widen(3)
    kept = Share.of((0, 1, 2), rng.random((1, 3), np.float32) * 1e-6)
    totals.add(kept)
    plain = kept.sums.copy()
    for _ in range(2000):
        passing = Share.of((0, 1, 2), rng.random((1, 3), np.float32) * 1e6)
        totals.add(passing)
        plain += passing.sums
        totals.add(passing, -1)
        plain -= passing.sums
    np.testing.assert_allclose(totals.sums.values(totals.counts), kept.sums, rtol=1e-12)
    np.testing.assert_allclose(
        totals.contrast_sums.values(totals.contrast_counts), kept.contrast_sums, rtol=1e-9
    )
    # A plain sum would have drifted: the test can fail.
    assert np.abs(plain / kept.sums - 1).max() > 1e-9


def test_nothing_is_left_of_what_left():
    totals = RunningTotals()
    totals.widen(4)
    shares = [
        Share.of(columns, np.random.default_rng(n).random((1, size), np.float32))
        for n, (columns, size) in enumerate([((0, 1, 2), 3), ((1, 3), 1), ((2,), 0)])
    ]
    for share in shares:
        totals.add(share)
    assert totals.voter_samples.tolist() == [1, 2, 2, 1]
    assert totals.contrast_counts.sum() == 3
    for share in shares:
        totals.add(share, -1)
    for sums in (totals.sums, totals.contrast_sums, totals.contrast_squares):
        assert not sums.values(totals.counts).any()
    assert not totals.voter_samples.any()
    assert not totals.counts.any()


@pytest.mark.parametrize("voters", [1, 2])
def test_two_voters_have_no_contrast(voters):
    share = Share.of(tuple(range(voters)), np.ones((1, pair_count(voters)), np.float32))
    assert share.contrast_sums.size == 0
