"""A sample is told what its neighbours are, and may not be its own."""

import numpy as np
import pytest

from scoring.memory import Memory

COUNTS = ("voter_samples", "counts", "contrast_counts")
SUMS = ("sums", "contrast_sums", "contrast_squares")


def same(found, wanted):
    assert (found.voters, found.samples) == (wanted.voters, wanted.samples)
    for name in COUNTS:
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name
    for name in SUMS:
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=1e-12, err_msg=name
        )


def distances_are(found, wanted):
    # A sample that moves into a graph meanwhile is measured by another rounding.
    np.testing.assert_allclose(found.squared_distances, wanted, rtol=1e-5)


def others(memory, space, sample, number, k):
    return memory.recall("pool", space, sample(number).prompt, k, without=sample(number).sample_id)


@pytest.fixture(params=["young", "in graphs", "reopened", "rebuilt"])
def memory(request, settings, learn, settle):
    """Forty samples; the pool in every state that it may be in."""
    with Memory.open(settings) as memory:
        learn(memory, range(20), voters="abc")
        learn(memory, range(20, 40), voters="dcb")
        if request.param != "young":
            settle(memory)
        if request.param in ("young", "in graphs"):
            yield memory
            return
    if request.param == "rebuilt":
        for path in (settings.directory / "segments").iterdir():
            path.unlink()
    with Memory.open(settings) as memory:
        yield memory


@pytest.mark.parametrize("number", [0, 19, 20, 39])
@pytest.mark.parametrize("k", [1, 5, 39, 60])
def test_recall_gives_the_nearest_others(memory, space, sample, number, k):
    found = others(memory, space, sample, number, k)
    everybody = memory.recall("pool", space, sample(number).prompt, k + 1)
    assert everybody.squared_distances[0] == 0
    assert len(found.rows) == min(k, 39)
    distances_are(found, everybody.squared_distances[1:])
    np.testing.assert_array_equal(found.rows, everybody.rows[1:])


def test_as_many_are_recalled_where_the_sample_is_far_away(memory, space, sample):
    prompt = sample(3).prompt
    (farthest,) = memory.recall("pool", space, prompt, 40).rows[-1:, 0]
    plain = memory.recall("pool", space, prompt, 5)
    found = memory.recall("pool", space, prompt, 5, without=f"sample-{farthest:.0f}")
    distances_are(found, plain.squared_distances)
    assert memory.recall("pool", space, prompt, 0, without="sample-3").rows.shape[0] == 0


@pytest.mark.parametrize("number", [0, 39])
def test_totals_are_those_of_a_memory_that_never_learned_it(
    memory, settings, tmp_path, space, learn, number
):
    found = memory.totals("pool", space, without=f"sample-{number}")
    with Memory.open(type(settings)(tmp_path / "other")) as other:
        learn(other, [n for n in range(20) if n != number], voters="abc")
        learn(other, [n for n in range(20, 40) if n != number], voters="dcb")
        same(found, other.totals("pool", space))
    assert memory.totals("pool", space).samples == 40  # nothing changed for others


@pytest.mark.parametrize("without", ["", "sample-40", "\ud800"])
def test_a_name_that_the_pool_does_not_hold_has_no_effect(memory, space, sample, without):
    same(memory.totals("pool", space, without=without), memory.totals("pool", space))
    found = memory.recall("pool", space, sample(1).prompt, 5, without=without)
    plain = memory.recall("pool", space, sample(1).prompt, 5)
    distances_are(found, plain.squared_distances)


def test_an_evicted_sample_has_no_effect(memory, space, sample, learn):
    learn(memory, range(40, 70), voters="abc")
    same(memory.totals("pool", space, without="sample-5"), memory.totals("pool", space))
    assert memory.totals("pool", space, without="sample-6").samples == 63
    plain = memory.recall("pool", space, sample(5).prompt, 7)
    found = others(memory, space, sample, 5, 7)
    distances_are(found, plain.squared_distances)


def test_a_pool_of_one_has_no_others(opened, space, sample, learn):
    learn(opened, [1])
    assert others(opened, space, sample, 1, 3).rows.shape == (0, 3)
    totals = opened.totals("pool", space, without="sample-1")
    assert totals.samples == 0
    assert not totals.sums.any()
    assert not totals.contrast_squares.any()


def test_many_twins_are_others(opened, space, sample, learn, settle):
    learn(opened, range(40), prompt=sample(0).prompt)
    settle(opened)
    found = others(opened, space, sample, 0, 39)
    assert sorted(found.rows[:, 0].tolist()) == list(range(1, 40))
