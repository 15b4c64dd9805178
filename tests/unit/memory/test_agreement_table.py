import numpy as np

from scoring.memory.agreement import AgreementTable, in_column_order, pair_columns
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
