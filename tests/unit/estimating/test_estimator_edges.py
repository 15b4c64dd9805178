from dataclasses import replace

import numpy as np
import pytest

from scoring import (
    Answers,
    InvalidArrayError,
    Neighbourhood,
    Totals,
    estimate_alone,
    estimate_global,
    estimate_local,
    measure_answers,
    noise_of_totals,
    pair_column,
    pair_count,
    row_contrasts,
)


def answers_of(vectors, voters="abcdefgh"):
    return measure_answers(list(voters[: len(vectors)]), np.array(vectors, np.float32))


def rows_of(voters, rows):
    return np.array(rows, np.float32).reshape(len(rows), pair_count(len(voters)))


def neighbourhood(voters, rows):
    rows = rows_of(voters, rows)
    return Neighbourhood(tuple(voters), rows, np.zeros(len(rows), np.float32))


STRANGERS = np.tile([4e9, 5e9, 6e9], (19, 1))


def estimate_with(answers, pool):
    estimate = estimate_global if isinstance(pool, Totals) else estimate_local
    return estimate(answers, pool)


def test_one_voter_is_certain_and_unknown():
    estimate = estimate_alone(answers_of([[1, 2]]))
    assert np.isnan(estimate.noise_variance).all()
    assert estimate.weight.tolist() == [1.0]
    assert estimate.order.tolist() == [0]
    assert estimate.samples_used.tolist() == [0]
    assert (estimate.tied, estimate.neighbours_used) == ((), 1)
    assert np.isnan([estimate.margin, estimate.margin_standard_error]).all()


def test_two_voters_cannot_be_told_apart():
    estimate = estimate_alone(answers_of([[1, 2], [5, 5]]))
    assert np.isnan(estimate.noise_variance).all()
    assert estimate.weight.tolist() == [0.5, 0.5]
    assert estimate.order.tolist() == [0, 1]
    assert estimate.tied == (0, 1)
    assert np.isnan([estimate.margin, estimate.margin_standard_error]).all()


def test_two_voters_are_told_apart_by_a_third_that_answered_before():
    rows = [[1, 4, 5], [1, 4, 5]]
    estimate = estimate_local(answers_of([[0], [1]], "ab"), neighbourhood("abc", rows))
    assert estimate.voters == ("a", "b")
    assert estimate.noise_variance == pytest.approx([0.0, 1.0])
    assert estimate.order.tolist() == [0, 1]
    assert estimate.weight.sum() == pytest.approx(1.0)
    assert estimate.samples_used.tolist() == [3, 3]
    assert estimate.margin == pytest.approx(1.0)


def test_one_voter_identified_through_the_pool_leads_nobody():
    estimate = estimate_local(answers_of([[0]], "b"), neighbourhood("abc", [[1, 4, 5]] * 2))
    assert estimate.noise_variance == pytest.approx([1.0])
    assert (estimate.neighbours_used, estimate.tied) == (2, ())
    assert np.isnan(estimate.margin)


def test_identical_answers_tie_with_equal_weights():
    estimate = estimate_alone(answers_of([[1, 2]] * 4))
    assert estimate.noise_variance.tolist() == [0.0] * 4
    assert estimate.weight.tolist() == [0.25] * 4
    assert estimate.order.tolist() == [0, 1, 2, 3]
    assert (estimate.margin, estimate.tied) == (0.0, (0, 1, 2, 3))


def test_the_margin_of_identical_answers_is_certain():
    rows = np.zeros((3, 3))
    estimate = estimate_local(answers_of([[1, 2]] * 3), neighbourhood("abc", rows))
    assert (estimate.margin, estimate.margin_standard_error) == (0.0, 0.0)


def test_negative_noise_ranks_first_and_weighs_finitely():
    estimate = estimate_alone(answers_of([[3], [0], [-3]]))
    assert estimate.noise_variance == pytest.approx([18.0, -9.0, 18.0])
    assert estimate.order.tolist() == [1, 0, 2]
    assert estimate.weight[1] == pytest.approx(1 / (1 + 2 * 0.018 / 18))
    assert estimate.margin == pytest.approx(27 / 18)
    assert estimate.tied == ()


def test_duplicates_tie_in_the_order_of_the_request():
    estimate = estimate_alone(answers_of([[5, 1], [0.1, 0.2], [-3, 2], [0.1, 0.2]]))
    assert estimate.tied == (1, 3)
    assert estimate.order.tolist()[:2] == [1, 3]
    assert estimate.margin == 0.0


def test_no_neighbours_is_the_same_as_alone():
    answers = answers_of([[0, 1], [2, 2], [5, 3], [1, 1]])
    local = estimate_local(answers, neighbourhood("abcd", []))
    alone = estimate_alone(answers)
    assert local.noise_variance.tolist() == alone.noise_variance.tolist()
    assert local.neighbours_used == 1


def test_a_pool_of_strangers_changes_no_noise():
    answers = answers_of([[0], [1], [5]])
    alone = estimate_alone(answers)
    for pool in (neighbourhood("xyz", STRANGERS), totals_of("xyz", STRANGERS)):
        estimate = estimate_with(answers, pool)
        assert estimate.noise_variance == pytest.approx(alone.noise_variance)
        assert estimate.samples_used.tolist() == [1, 1, 1]


def test_samples_without_the_voters_of_the_request_are_no_neighbours():
    answers = answers_of([[0], [1], [5]])
    assert estimate_local(answers, neighbourhood("xyz", STRANGERS)).neighbours_used == 1
    assert estimate_global(answers, totals_of("xyz", STRANGERS)).neighbours_used == 1
    rows = np.full((19, 10), np.nan)
    rows[:4, pair_column(0, 3)] = 1  # voter a beside a stranger
    rows[2:7, pair_column(1, 2)] = 1
    rows[7:, pair_column(3, 4)] = 1  # strangers among themselves
    estimate = estimate_local(answers, neighbourhood("abcxy", rows))
    assert estimate.neighbours_used == 8
    assert estimate.samples_used.tolist() == [5, 6, 6]


def test_the_neighbours_of_totals_are_those_of_the_voter_that_has_most():
    totals = replace(totals_of("abc", [[1, 4, 5]] * 9), voter_samples=np.array([2, 7, 9]))
    estimate = estimate_global(answers_of([[0], [1]], "ab"), totals)
    assert estimate.samples_used.tolist() == [3, 8]
    assert estimate.neighbours_used == 8
    assert estimate_global(answers_of([[0]], "b"), totals).neighbours_used == 7
    assert estimate_global(answers_of([[0]], "x"), totals).neighbours_used == 1


def test_strangers_move_neither_margin_nor_weights_nor_ties():
    near = answers_of([[3], [0.1], [-3]])
    # Far from a tie beside their own distances, within 1e-9 of those of strangers.
    close = answers_of([[0], [1e-2], [1]])
    for answers in (near, close):
        alone = estimate_alone(answers)
        for pool in (neighbourhood("xyz", STRANGERS), totals_of("xyz", STRANGERS)):
            estimate = estimate_with(answers, pool)
            assert estimate.margin == pytest.approx(alone.margin)
            assert estimate.weight == pytest.approx(alone.weight)
            assert (estimate.tied, alone.tied) == ((), ())


def test_the_scale_is_the_mean_over_the_pairs_of_the_request_in_every_sample():
    rows = [[1, 400, 500], [2, 100, 300]]
    estimate = estimate_local(answers_of([[0], [3]], "ab"), neighbourhood("abc", rows))
    best, second = np.sort(estimate.noise_variance)
    assert estimate.margin == pytest.approx((second - best) / ((1 + 2 + 9) / 3))


def test_answers_that_were_always_identical_tie_beside_a_stranger():
    rows = np.random.default_rng(0).uniform(1, 2, (9, 6))
    rows[:, [0, 1, 2]] = 0
    rows[:, [3, 4, 5]] = rows[:, [3]]
    estimate = estimate_local(answers_of([[1, 2]] * 3), neighbourhood("abcx", rows))
    assert (estimate.margin, estimate.tied) == (0.0, (0, 1, 2))
    assert estimate.weight == pytest.approx(np.full(3, 1 / 3))


def test_a_lone_request_of_an_unknown_voter_uses_no_sample():
    estimate = estimate_local(answers_of([[0]], "d"), neighbourhood("abc", [[1, 4, 5]]))
    assert np.isnan(estimate.noise_variance).all()
    assert estimate.weight.tolist() == [1.0]
    assert estimate.samples_used.tolist() == [0]


def test_a_pool_that_tells_others_apart_does_not_help_strangers():
    rows = np.full((2, 15), np.nan)
    rows[0, :3] = [1, 4, 5]
    rows[1, pair_column(3, 4)] = 7
    estimate = estimate_local(answers_of([[0], [1]], "xy"), neighbourhood("abcxyz", rows))
    assert np.isnan(estimate.noise_variance).all()
    assert np.isnan(estimate.margin)
    assert estimate.tied == (0, 1)
    assert estimate.samples_used.tolist() == [2, 2]


def test_answers_that_do_not_fit_their_voters_are_refused():
    strange = Answers(("a", "b"), np.arange(2), np.ones(3, np.float32), np.zeros(2), 0.0)
    with pytest.raises(InvalidArrayError) as caught:
        estimate_alone(strange)
    assert caught.value.field == "answers.pairs"


def test_a_voter_that_only_met_one_other_is_identified_through_it():
    rows = [[1, 4, 5, np.nan, np.nan, np.nan], [np.nan] * 3 + [7, np.nan, np.nan]]
    estimate = estimate_local(answers_of([[0], [1]], "da"), neighbourhood("abcd", rows))
    assert estimate.noise_variance == pytest.approx([4.0, 0.0])


def totals_of(voters, rows):
    rows = rows_of(voters, rows)
    contrasts = np.array([row_contrasts(row, len(voters)) for row in rows]).reshape(rows.shape)
    return Totals(
        tuple(voters),
        len(rows),
        np.full(len(voters), len(rows)),
        np.nansum(rows, axis=0, dtype=np.float64),
        np.count_nonzero(~np.isnan(rows), axis=0),
        np.nansum(contrasts, axis=0),
        np.nansum(contrasts**2, axis=0),
        np.count_nonzero(~np.isnan(contrasts), axis=0),
    )


def test_global_and_local_agree_on_the_same_samples():
    rows = np.random.default_rng(0).uniform(0.5, 2, (9, 6))
    answers = answers_of([[0, 1], [2, 2], [5, 3], [1, 1]], "cadb")
    local = estimate_local(answers, neighbourhood("abcd", rows))
    wide = estimate_global(answers, totals_of("abcd", rows))
    assert wide.noise_variance == pytest.approx(local.noise_variance)
    assert wide.margin == pytest.approx(local.margin)
    assert wide.margin_standard_error == pytest.approx(local.margin_standard_error)
    assert wide.samples_used.tolist() == local.samples_used.tolist() == [10] * 4
    assert wide.neighbours_used == local.neighbours_used == 10


def test_an_empty_pool_is_the_same_as_alone():
    answers = answers_of([[0, 1], [2, 2], [5, 3], [1, 1]])
    wide = estimate_global(answers, totals_of("", []))
    assert wide.noise_variance.tolist() == estimate_alone(answers).noise_variance.tolist()
    assert np.isnan(wide.margin_standard_error)


def test_the_noise_of_a_pool_needs_no_request():
    assert noise_of_totals(totals_of("abc", [[1, 4, 5]])) == pytest.approx([0.0, 1.0, 4.0])
    assert np.isnan(noise_of_totals(totals_of("ab", [[1]]))).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 2)), "give \\(samples, 3\\)"),
        (np.zeros(3), "give \\(samples, 3\\)"),
        ([[1, -1, 1]], "negative number or infinity"),
        ([[1, np.inf, 1]], "negative number or infinity"),
    ],
)
def test_rows_that_are_no_distances_are_refused(rows, message):
    strange = Neighbourhood(("a", "b", "c"), np.array(rows), np.zeros(1, np.float32))
    with pytest.raises(InvalidArrayError, match=message) as caught:
        estimate_local(answers_of([[0], [1], [2]]), strange)
    assert caught.value.field == "neighbourhood.rows"


@pytest.mark.parametrize("sums", [np.zeros(2), np.zeros((1, 3)), np.array([0, np.nan, 0])])
def test_sums_that_do_not_fit_are_refused(sums):
    counts = np.zeros(3, np.int64)
    strange = Totals(tuple("abc"), 1, counts, sums, counts, sums, sums, counts)
    with pytest.raises(InvalidArrayError) as caught:
        estimate_global(answers_of([[0], [1], [2]]), strange)
    assert caught.value.field == "totals.sums"
