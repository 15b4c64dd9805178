"""From the outcomes that a memory holds to a calibration, and from a request to its features."""

import numpy as np
from numpy.typing import NDArray

from scoring.answers import Answers
from scoring.calibrated import (
    FEATURES,
    CalibrationFit,
    JudgedAnswers,
    fit_calibration,
    relative_features,
)
from scoring.estimator import noise_of_totals
from scoring.features import mean_distances
from scoring.memory import JudgedSubjects, Memory


def fit_pool(memory: Memory, pool: str) -> CalibrationFit:
    """Fits the calibration of a pool to its live outcomes.

    Raises:
        PoolNotFoundError: There is none of this name.
    """
    judged = judged_answers(memory.judged(pool))
    totals = memory.totals(pool, memory.space(pool))
    known = dict(zip(totals.voters, noise_of_totals(totals).tolist(), strict=True))
    noise = np.array([known.get(voter, np.nan) for voter in judged.voters], np.float64)
    return fit_calibration(judged, noise)


def nothing_judged() -> CalibrationFit:
    """The fit of no outcome: what it calibrates stays as it is."""
    none = np.zeros(0, np.int64)
    empty = JudgedAnswers((), none, none, np.zeros(0), none, np.zeros((0, len(FEATURES))))
    return fit_calibration(empty, np.zeros(0))


def judged_answers(subjects: JudgedSubjects) -> JudgedAnswers:
    """Lists every judged answer of a pool, and how it lay among the answers to its prompt.

    Voters come first as the pool has them, then models that have outcomes only.
    """
    voters = tuple(dict.fromkeys((*subjects.voters, *subjects.models)))
    place = np.array([voters.index(model) for model in subjects.models], np.int64)
    rows, models = np.nonzero(subjects.counts)
    counts = subjects.counts[rows, models]
    found = np.full((len(rows), len(FEATURES)), np.nan)
    answered = place[models] < len(subjects.voters)
    if answered.any():
        distance, *features = np.moveaxis(subjects.measured.astype(np.float64), 2, 0)
        relative = relative_features(distance, *features)
        found[answered] = relative[rows[answered], place[models[answered]]]
    return JudgedAnswers(
        voters=voters,
        subject=rows.astype(np.int64),
        voter=place[models],
        quality=subjects.quality_sums[rows, models] / counts,
        count=counts,
        features=found,
    )


def features_of_request(answers: Answers, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compares the answers of a request with each other, as the fit compared those of the past.

    Args:
        answers: Of the request's K voters.
        features: (K, F) float32, of `scoring.features.measure_features`.

    Returns:
        (K, 3) float64, columns as in `scoring.calibrated.FEATURES`.
    """
    distance = mean_distances(answers.pairs[None], len(answers.voters))[0]
    return relative_features(distance.astype(np.float64), *features.T.astype(np.float64))
