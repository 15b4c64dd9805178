from scoring import pair_column, pair_count


def test_columns_are_consecutive_and_a_new_voter_appends():
    columns = [pair_column(i, j) for j in range(7) for i in range(j)]
    assert columns == list(range(pair_count(7)))


def test_the_order_of_two_voters_does_not_matter():
    assert pair_column(4, 2) == pair_column(2, 4) == 8
