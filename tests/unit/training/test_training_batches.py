import numpy as np
import pytest

from encoders.training.batches import Batches, by_length, steps_of


def lengths(rows, seed=0):
    return np.random.default_rng(seed).integers(3, 200, rows)


def test_an_epoch_takes_each_row_at_most_once_and_leaves_less_than_a_batch():
    batches = Batches(lengths(1003), ["t"] * 1003, batch=10, seed=0)
    assert batches.per_epoch == 100
    seen = np.concatenate([batches.at(number) for number in range(100)])
    assert len(set(seen.tolist())) == 1000
    following = np.concatenate([batches.at(number) for number in range(100, 200)])
    assert set(following.tolist()) | set(seen.tolist()) == set(range(1003))


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    first = Batches(lengths(100), ["t"] * 100, batch=8, seed=1)
    order = [first.at(number).tolist() for number in range(30)]
    again = Batches(lengths(100), ["t"] * 100, batch=8, seed=1)
    assert [again.at(number).tolist() for number in reversed(range(30))] == order[::-1]
    other = Batches(lengths(100), ["t"] * 100, batch=8, seed=2)
    assert other.at(0).tolist() != order[0]


def test_batches_hold_rows_of_like_length_in_no_order_of_length():
    long = lengths(2000)
    batches = Batches(long, ["t"] * 2000, batch=20, seed=0)
    chosen = [long[batches.at(number)] for number in range(100)]
    padded = sum(len(one) * one.max() for one in chosen)
    assert padded < 1.1 * long.sum()
    means = [one.mean() for one in chosen]
    assert abs(np.corrcoef(means, range(100))[0, 1]) < 0.3


def test_rows_per_task_repeats_small_tasks_and_cuts_large_ones():
    tasks = ["big"] * 90 + ["small"] * 4
    batches = Batches(lengths(94), tasks, batch=10, seed=0, rows_per_task=10)
    assert batches.per_epoch == 2
    seen = np.concatenate([batches.at(0), batches.at(1)])
    assert (seen < 90).sum() == 10
    counts = np.bincount(seen[seen >= 90] - 90)
    assert counts.sum() == 10
    assert counts.min() >= 2


def test_fewer_rows_than_a_batch_are_one_batch():
    batches = Batches(lengths(3), ["t"] * 3, batch=64, seed=0)
    assert sorted(batches.at(5).tolist()) == [0, 1, 2]


def test_by_length_takes_every_row_longest_first():
    long = lengths(25)
    chosen = list(by_length(long, 10))
    assert [len(one) for one in chosen] == [10, 10, 5]
    assert (np.diff(long[np.concatenate(chosen)]) <= 0).all()
    assert sorted(np.concatenate(chosen).tolist()) == list(range(25))


@pytest.mark.parametrize(
    ("epochs", "rows", "batch", "accumulate", "steps"),
    [(2, 100, 10, 1, 20), (2, 100, 10, 4, 5), (1, 5, 10, 1, 1), (0.01, 100, 10, 1, 1)],
)
def test_steps_of_epochs(epochs, rows, batch, accumulate, steps):
    assert steps_of(epochs, rows, batch, accumulate) == steps
