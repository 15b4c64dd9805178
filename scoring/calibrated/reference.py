"""The fit by its definition: every outcome, and the covariance of each two, written out.

Slow, in float64, and obviously right; `scoring.calibrated.fit` is held to it by the
tests. Only the checking of arrays is shared.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from scoring.calibrated.values import Floats, JudgedAnswers, Prior


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceFit:
    """The coefficients, as in `CalibrationFit`: mean and covariances."""

    mean: Floats
    covariance: Floats
    remaining: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Conditioned:
    log_evidence: float
    mean: Floats
    covariance: Floats


def reference_fit(judged: JudgedAnswers, noise: Floats, prior: Prior) -> ReferenceFit:
    """Fits outcomes by the joint normal distribution of them and the coefficients.

    Args:
        judged: m outcomes; memory and time are of the order of m squared and cubed.
        noise: (V,) of the voters, NaN where unknown.
        prior: What is believed before.
    """
    contention = np.array(reference_contention(judged, noise, prior))
    features = np.nan_to_num(judged.features)
    features[:, 0] *= contention[judged.voter]
    return _fit(replace(judged, features=features), noise, prior)


def reference_contention(judged: JudgedAnswers, noise: Floats, prior: Prior) -> list[float]:
    """Returns of each voter the least odds, 1 at most, that it is as good as another or better.

    By a fit of the outcomes that knows no feature.
    """
    blind = _fit(replace(judged, features=np.zeros((len(judged.quality), 3))), noise, prior)
    voters, agreement = len(judged.voters), _agreement(noise)
    contention = []
    for one in range(voters):
        odds = [1.0]
        for other in range(voters):
            contrast = np.zeros(2 + voters + 3)
            contrast[1] = agreement[one] - agreement[other]
            contrast[2 + one] += 1
            contrast[2 + other] -= 1
            if other != one:
                deviation = np.sqrt(contrast @ blind.covariance @ contrast)
                chance = NormalDist().cdf(float(contrast @ blind.mean / deviation))
                odds.append(chance / (1 - chance) if chance < 1 else np.inf)
        contention.append(min(odds))
    return contention


def _fit(judged: JudgedAnswers, noise: Floats, prior: Prior) -> ReferenceFit:
    slope = reference_slopes(judged, prior)
    agreement = _agreement(noise)
    fits = [_condition(judged, slope, agreement, spread, prior) for spread in prior.voter]
    odds = [np.exp(fit.log_evidence - fits[0].log_evidence) for fit in fits]
    shares = [each / sum(odds) for each in odds]
    mean = sum((s * fit.mean for s, fit in zip(shares, fits, strict=True)), np.zeros(1))
    remaining = sum((s * fit.covariance for s, fit in zip(shares, fits, strict=True)), np.zeros(1))
    apart = [s * np.outer(f.mean - mean, f.mean - mean) for s, f in zip(shares, fits, strict=True)]
    return ReferenceFit(mean, remaining + sum(apart, np.zeros(1)), remaining)


def reference_slopes(judged: JudgedAnswers, prior: Prior) -> list[float]:
    """Returns 4 m (1 - m) of each voter, m its mean quality with some outcomes of the prior's."""
    slopes = []
    for voter in range(len(judged.voters)):
        total, worth = prior.slope_outcomes * prior.quality, prior.slope_outcomes
        for row in np.flatnonzero(judged.voter == voter):
            total += _worth(judged.count[row]) * judged.quality[row]
            worth += _worth(judged.count[row])
        mean = total / worth
        slopes.append(max(4 * mean * (1 - mean), prior.least_slope))
    return slopes


def _worth(count: int) -> float:
    """Returns n / (1 + (n - 1) / 2): n outcomes that are correlated by one half."""
    return float(count / (1 + (count - 1) / 2))


def _agreement(noise: Floats) -> list[float]:
    known = [each for each in noise if not np.isnan(each)]
    mean = sum(known) / len(known) if known else 0.0
    if mean <= 0:
        return [0.0 for _ in noise]
    shares = [0.0 if np.isnan(each) else (mean - each) / mean for each in noise]
    return [min(max(each, -3.0), 3.0) for each in shares]


def _condition(
    judged: JudgedAnswers,
    slope: list[float],
    agreement: list[float],
    spread: float,
    prior: Prior,
) -> _Conditioned:
    """Conditions jointly normal coefficients on the outcomes, in units of sigma."""
    voters, rows = len(judged.voters), len(judged.quality)
    design = np.zeros((rows, 2 + voters + 3))
    noise = np.zeros((rows, rows))
    for row, voter in enumerate(judged.voter):
        features = np.nan_to_num(judged.features[row])
        design[row, 0], design[row, 1], design[row, 2 + voter] = 1, agreement[voter], 1
        design[row, 2 + voters :] = slope[voter] * features
        noise[row, row] = slope[voter] / _worth(judged.count[row])
        for other in range(rows):
            if judged.subject[row] == judged.subject[other]:
                both = slope[voter] * slope[judged.voter[other]]
                noise[row, other] += prior.prompt**2 * both
    deviations = [prior.pool, prior.trust_deviation, *[spread] * voters, *prior.features]
    before = np.diag(np.square(deviations))
    expected = np.zeros(len(deviations))
    expected[1] = prior.trust
    y = judged.quality - prior.quality - design @ expected
    covariance = design @ before @ design.T + noise
    solved = np.linalg.solve(covariance, np.column_stack([y, design @ before]))
    degrees = prior.variance_outcomes + rows
    scatter = prior.variance_outcomes * prior.variance + y @ solved[:, 0]
    log_evidence = -(np.linalg.slogdet(covariance)[1] + degrees * np.log(scatter)) / 2
    left = before - before @ design.T @ solved[:, 1:]
    mean = expected + before @ design.T @ solved[:, 0]
    return _Conditioned(float(log_evidence), mean, scatter / (degrees - 2) * left)
