import os
from pathlib import Path

import numpy as np
import pytest

from evaluation import learning_curves as curves
from evaluation.learning_curves import (
    AGREEMENT,
    BEST_VOTER,
    CALIBRATED,
    LABELS_ONLY,
    LONGEST,
    RANDOM,
    calibrated_choice,
    draw_outcomes,
    draw_pools,
    judged_answers,
    labels_only,
    pool_data,
)
from evaluation.preferences import read_judged
from scoring.calibrated import PRIOR, relative_features

REPOSITORY = Path(__file__).parents[3]


def made_pool(prompts=80, level=(0.2, 0.4, 0.7), slope=0.0, seed=0):
    rng = np.random.default_rng(seed)
    voters = len(level)
    lengths = rng.normal(6, 0.5, (prompts, voters))
    wins = np.array(level) + slope * (lengths - lengths.mean(axis=1, keepdims=True))
    wins = np.clip(wins + rng.normal(0, 0.1, wins.shape), 0, 1)
    answers = rng.normal(size=(prompts, voters, 4)).astype(np.float32)
    return pool_data(wins, rng.normal(size=(prompts, 4)).astype(np.float32), answers, lengths)


def letters(texts):
    """How often each letter occurs: no encoder, but quick."""
    counted = [np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256) for text in texts]
    rows = np.array(counted, np.float32) + 1e-3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_pool_is_measured_as_a_request_is():
    rng = np.random.default_rng(1)
    wins = rng.random((4, 3))
    wins[2, 1] = np.nan
    prompts, answers = rng.normal(size=(4, 5)), rng.normal(size=(4, 3, 5))
    lengths = rng.random((4, 3))
    pool = pool_data(wins, prompts.astype(np.float32), answers.astype(np.float32), lengths)
    assert pool.wins.tolist() == wins[[0, 1, 3]].tolist()
    apart = [[np.square(a - b).sum() for b in answers[3]] for a in answers[3]]
    cosine = answers[3] @ prompts[3] / np.linalg.norm(answers[3], axis=1)
    expected = relative_features(
        np.sum(apart, axis=1) / 2, cosine / np.linalg.norm(prompts[3]), lengths[3]
    )
    np.testing.assert_allclose(pool.features[2], expected, atol=1e-6)
    assert pool.longest.tolist() == lengths[[0, 1, 3]].argmax(axis=1).tolist()


def test_unknown_lengths_have_no_longest_answer():
    lengths = np.ones((3, 2))
    lengths[1, 0] = np.nan
    pool = pool_data(np.ones((3, 2)), np.ones((3, 2), np.float32), np.ones((3, 2, 2)), lengths)
    assert pool.longest.tolist() == [0, -1, 0]


def test_a_pool_of_one_voter_has_features():
    ones = np.ones((2, 1))
    pool = pool_data(ones, np.ones((2, 3), np.float32), np.ones((2, 1, 3)), ones)
    assert np.isnan(pool.features[:, :, 0]).all()
    assert (pool.features[:, :, 1:] == 0).all()


def test_pools_differ_and_are_all_there_are_where_they_are_few():
    drawn = draw_pools(8, 3, 20, seed=0)
    assert len({tuple(each) for each in drawn}) == 20
    assert all(len(set(each)) == 3 for each in drawn)
    assert len(draw_pools(5, 2, 100, seed=0)) == 10
    assert draw_pools(4, 4, 1, seed=0)[0].tolist() == [0, 1, 2, 3]


def test_outcomes_are_of_whole_prompts_or_of_one_answer_each():
    pool, generator = made_pool(), np.random.default_rng(0)
    whole = draw_outcomes(pool, "whole", 7, generator)
    single = draw_outcomes(pool, "single", 7, generator)
    assert sorted(whole.sum(axis=1)) == [0] * 73 + [3] * 7
    assert sorted(single.sum(axis=1)) == [0] * 73 + [1] * 7


def test_outcomes_are_handed_over_as_they_are():
    pool = made_pool(prompts=3)
    judged = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], bool)
    given = judged_answers(pool, judged)
    assert given.subject.tolist() == [0, 0, 2]
    assert given.voter.tolist() == [1, 2, 0]
    assert given.quality.tolist() == [pool.wins[0, 1], pool.wins[0, 2], pool.wins[2, 0]]
    np.testing.assert_array_equal(given.features[2], pool.features[2, 0])


@pytest.mark.parametrize(
    ("judged", "shares"),
    [
        ([[0, 0, 0], [0, 0, 0]], [1 / 3, 1 / 3, 1 / 3]),
        ([[1, 1, 0], [0, 0, 0]], [0, 1, 0]),
        ([[1, 0, 0], [1, 0, 0]], [1 / 3, 1 / 3, 1 / 3]),
        ([[1, 0, 0], [0, 1, 0]], [1, 0, 0]),
        ([[1, 0, 0], [0, 0, 1]], [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_labels_alone_choose_the_best_mean_and_share_ties(judged, shares):
    wins = np.array([[0.5, 0.6, 0.0], [0.3, 0.1, 0.5]])
    assert labels_only(wins, np.array(judged, bool)).tolist() == pytest.approx(shares)


def test_calibrated_chooses_by_agreement_first_and_by_outcomes_then():
    pool = made_pool()
    nothing = np.zeros(pool.wins.shape, bool)
    assert set(calibrated_choice(pool, nothing, PRIOR)) == {pool.noise.argmin()}
    everything = ~nothing
    assert (calibrated_choice(pool, everything, PRIOR) == 2).mean() > 0.95


def test_a_curve_says_what_every_way_is_worth():
    pools = [made_pool(seed=seed, slope=0.3, level=(0.4, 0.5, 0.5)) for seed in range(6)]
    told = []
    points = curves.learning_curves(
        pools, counts=(0, 10, 40, 500), repeats=2, progress=lambda *done: told.append(done)
    )
    assert [(point.form, point.outcomes) for point in points] == [
        (form, count) for form in ("whole", "single") for count in (0, 10, 40)
    ]
    assert told[-1] == (8, 8)
    first, last = points[0].rates, points[2].rates
    assert first[LABELS_ONLY].mean == pytest.approx(first[RANDOM].mean)
    assert first[CALIBRATED].mean == pytest.approx(first[AGREEMENT].mean)
    assert last[CALIBRATED].mean > last[BEST_VOTER].mean >= last[LABELS_ONLY].mean
    assert last[LONGEST].mean > last[RANDOM].mean
    gain = points[2].gain
    assert 0 < gain.low < gain.mean < gain.high
    assert gain.mean == pytest.approx(last[CALIBRATED].mean - last[LABELS_ONLY].mean)
    assert points[0].pools == 6


def test_a_curve_is_the_same_again_and_another_with_another_seed():
    pools = [made_pool()]
    one, same, other = (
        curves.learning_curves(pools, counts=(5,), repeats=1, seed=seed) for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_outcomes_teach_on_real_answers():
    given = os.environ.get("POINTSMAN_TEST_DATA")
    folder = (Path(given) if given else REPOSITORY / "../shared/data") / "alpaca_eval"
    if not folder.is_dir():
        pytest.skip("the research data folder is absent; set POINTSMAN_TEST_DATA to it")
    judged = read_judged(folder)
    lengths = np.log1p([[len(text) for text in texts] for texts in judged.texts])
    prompts = letters(judged.prompts)
    answers = np.stack([letters(texts) for texts in judged.texts])
    pools = [
        pool_data(judged.wins[:, each], prompts, answers[:, each], lengths[:, each])
        for each in draw_pools(len(judged.voters), 5, 40, seed=0)
    ]
    for point in curves.learning_curves(pools, counts=(20, 200), repeats=2):
        assert point.gain.mean > 0, point
        assert point.rates[CALIBRATED].mean > point.rates[RANDOM].mean + 0.1
