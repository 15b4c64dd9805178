"""Where the published weights fail, and what is answered here instead."""

import numpy as np
import pytest

from scoring import estimate_alone, fit_global, measure_answers
from scoring.reference import reference_weights, triplet_noise

BEST_RANKED_LAST = np.array([[0, 0], [2, 2], [2, -3], [-2, 3]], np.float32)


def test_the_authors_rank_the_best_voter_last_where_its_noise_is_negative():
    noise = triplet_noise(BEST_RANKED_LAST[None])
    theirs = reference_weights(noise, dimension=2)
    assert noise.argmin() == 0
    assert theirs.argmin() == 0
    assert theirs[0] < 0

    ours = estimate_alone(measure_answers(list("abcd"), BEST_RANKED_LAST))
    assert ours.order.tolist() == np.argsort(noise).tolist()
    assert ours.weight.argmax() == 0
    assert (ours.weight >= 0).all()


def test_the_authors_answer_nan_to_identical_answers():
    same = np.ones((5, 3, 4), np.float32)
    assert np.isnan(reference_weights(triplet_noise(same), dimension=4)).all()
    assert fit_global(same).weight == pytest.approx(np.full(3, 1 / 3))


def test_where_theirs_is_defined_the_order_is_the_same():
    embeddings = np.random.default_rng(3).normal(size=(50, 5, 8)) * [[[1], [2], [3], [4], [5]]]
    noise = triplet_noise(embeddings)
    assert (noise > 0).all()
    theirs = np.argsort(-reference_weights(noise, dimension=8))
    assert fit_global(embeddings).order.tolist() == theirs.tolist()
