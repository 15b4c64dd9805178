import pytest

from scoring import InvalidArrayError, pair_column, pair_count, voter_count


def test_columns_are_consecutive_and_a_new_voter_appends():
    columns = [pair_column(i, j) for j in range(7) for i in range(j)]
    assert columns == list(range(pair_count(7)))


def test_the_order_of_two_voters_does_not_matter():
    assert pair_column(4, 2) == pair_column(2, 4) == 8


@pytest.mark.parametrize("voters", range(1, 70))
def test_voter_count_inverts_pair_count(voters):
    assert voter_count(pair_count(voters)) == voters


@pytest.mark.parametrize("pairs", [-1, 2, 4, 5, 7])
def test_other_numbers_of_pairs_are_refused(pairs):
    with pytest.raises(InvalidArrayError, match="no number of pairs"):
        voter_count(pairs)
