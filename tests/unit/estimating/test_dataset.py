import numpy as np
import pytest

from scoring import (
    InvalidArrayError,
    fit_global,
    fit_local,
    fit_samples,
    nearest_prompts,
)


def test_two_voters_and_one_are_unknown():
    for voters in (1, 2):
        fit = fit_global(np.random.default_rng(0).normal(size=(4, voters, 3)))
        assert np.isnan(fit.noise_variance).all()
        assert fit.weight == pytest.approx(np.full(voters, 1 / voters))
        assert fit.order.tolist() == list(range(voters))


def test_identical_answers_tie_in_every_fit():
    same = np.broadcast_to(np.float32(0.1) * np.arange(1, 6, dtype=np.float32), (3, 4, 5))
    themselves = np.arange(3)[:, None]
    for fit in (fit_global(same), fit_local(same, themselves), fit_samples(same[:, :, None])):
        assert (fit.noise_variance == 0).all()
        assert (fit.weight == 0.25).all()


def test_absent_voters_are_not_read():
    embeddings = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
    present = np.ones((6, 4), np.bool_)
    present[2, 1] = present[4, 3] = False
    before = fit_global(embeddings, present).noise_variance
    embeddings[~present] = np.nan
    assert fit_global(embeddings, present).noise_variance.tolist() == before.tolist()
    local = fit_local(embeddings, nearest_prompts(np.eye(6), 3), present)
    assert np.isfinite(local.noise_variance).all()


def test_a_voter_that_never_answered_is_unknown():
    present = np.ones((5, 4), np.bool_)
    present[:, 2] = False
    fit = fit_global(np.random.default_rng(0).normal(size=(5, 4, 3)), present)
    assert np.isnan(fit.noise_variance).tolist() == [False, False, True, False]
    assert fit.weight[2] == 0.0
    assert fit.order[3] == 2


def test_the_prompt_itself_is_nearest_even_among_duplicates():
    vectors = np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 100, axis=0)
    nearest = nearest_prompts(vectors, 5)
    assert nearest[:, 0].tolist() == list(range(300))
    assert (nearest // 100 == np.arange(300)[:, None] // 100).all()


def test_more_neighbours_than_prompts_gives_all():
    assert nearest_prompts(np.array([[0.0], [3.0], [1.0]]), 10).tolist() == [
        [0, 2, 1],
        [1, 2, 0],
        [2, 0, 1],
    ]


def fit_neighbours(neighbours):
    return fit_local(np.ones((4, 3, 2)), neighbours)


@pytest.mark.parametrize(
    ("call", "field", "message"),
    [
        (lambda: fit_global(np.ones((4, 3))), "embeddings", "2 axes"),
        (lambda: fit_global(np.ones((0, 3, 2))), "embeddings", "no samples"),
        (lambda: fit_global(np.ones((4, 0, 2))), "embeddings", "no voters"),
        (lambda: fit_global(np.ones((4, 3, 0))), "embeddings", "no dimensions"),
        (lambda: fit_global(np.ones((4, 3, 2)), np.ones((3, 4), bool)), "present", "shape"),
        (lambda: fit_global(np.ones((4, 3, 2)), np.ones((4, 3))), "present", "bool"),
        (lambda: fit_samples(np.ones((4, 3, 2))), "embeddings", "3 axes"),
        (lambda: fit_samples(np.ones((4, 3, 0, 2))), "embeddings", "no samples"),
        (lambda: fit_neighbours(np.zeros((3, 1), int)), "neighbours", "shape"),
        (lambda: fit_neighbours(np.zeros((4, 0), int)), "neighbours", "at least 1"),
        (lambda: fit_neighbours(np.zeros((4, 1))), "neighbours", "float64; give int64"),
        (lambda: fit_neighbours(np.full((4, 1), 4)), "neighbours", "from 0 to 3"),
        (lambda: fit_neighbours(np.full((4, 1), -1)), "neighbours", "from 0 to 3"),
        (lambda: nearest_prompts(np.ones((4, 3)), 0), "k", "at least 1"),
        (lambda: nearest_prompts(np.full((4, 3), np.nan), 1), "vectors[0]", "NaN"),
    ],
)
def test_wrong_arrays_are_refused(call, field, message):
    with pytest.raises(InvalidArrayError, match=message) as caught:
        call()
    assert caught.value.field == field


@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN"), (np.inf, "NaN"), (1e30, "norm")])
def test_a_vector_that_cannot_be_used_is_named(value, message):
    embeddings = np.ones((70, 3, 2), np.float32)
    embeddings[66, 0, 1] = value
    present = np.ones((70, 3), np.bool_)
    present[1, 1] = False
    themselves = np.arange(70)[:, None]
    fits = {
        "embeddings[66, 0]": [
            lambda: fit_global(embeddings),
            lambda: fit_global(embeddings, present),
            lambda: fit_local(embeddings, themselves),
        ],
        "embeddings[66, 0, 0]": [lambda: fit_samples(embeddings[:, :, None])],
    }
    for field, calls in fits.items():
        for call in calls:
            with pytest.raises(InvalidArrayError, match=message) as caught:
                call()
            assert caught.value.field == field
