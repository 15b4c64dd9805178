"""The way that weighs agreement with the judgements of a few other prompts."""

from collections.abc import Sequence

import numpy as np

from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.labelled import Split
from evaluation.judging.ways import Kind, Way
from evaluation.learning_curves import PoolData, calibrated_choice, pool_data
from scoring.calibrated import PRIOR


def judged_pool(embedded: EmbeddedAnswers) -> PoolData:
    """Returns what `calibrated` needs of the prompts of which every voter's answer is judged."""
    texts = embedded.judged.texts
    characters = np.array([[len(text) for text in row] for row in texts], np.float64)
    return pool_data(embedded.judged.wins, embedded.prompts, embedded.answers, np.log1p(characters))


def calibrated_way(
    embedded: EmbeddedAnswers, draws: Sequence[Sequence[Split]], labels: int
) -> Way | None:
    """Chooses as `ScoreGenerations` does with the estimator `calibrated`, labelled prompts told.

    Args:
        embedded: The answers; prompts that are not judged in full have no choice.
        draws: Which prompts are labelled, as of `evaluation.judging.labelled.cross_fitting`.
        labels: Most labelled prompts that a choice rests on.

    Returns:
        The way; None where fewer than two prompts are judged in full.
    """
    wins = embedded.judged.wins
    rows = np.flatnonzero(np.isfinite(wins).all(axis=1))
    if len(rows) < 2:
        return None
    pool = judged_pool(embedded)
    shares = np.zeros(wins.shape)
    for split in (split for splits in draws for split in splits):
        judged = np.isin(rows, split.labelled)[:, None] & np.ones(wins.shape[1], np.bool_)
        choices = calibrated_choice(pool, judged, PRIOR)
        tested = np.isin(rows, split.tested)
        shares[rows[tested], choices[tested]] += 1 / len(draws)
    return Way(f"calibrated, {labels} labelled", Kind.LABELS, shares)
