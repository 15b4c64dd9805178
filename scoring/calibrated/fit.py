"""Fits voters' qualities, the slopes of features and the trust in agreement together.

Bayesian linear regression in closed form (normal and inverse gamma), averaged over
a few spreads of the voters by how well each explains the outcomes.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from scoring.calibrated.sums import OutcomeSums, checked, sum_outcomes
from scoring.calibrated.values import FEATURES, PRIOR, CalibrationFit, Floats, JudgedAnswers, Prior
from scoring.errors import InvalidArrayError
from scoring.validation import kernel_form

COMMON, TRUST, OWN = 0, 1, 2
"""Places of the coefficients; those of the features follow the voters' own."""
AGREEMENT = FEATURES.index("agreement")

_MOST_AGREEMENT = 3.0
_LEAST_APART = 1e-9
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """The coefficients, for one spread of the voters.

    Attributes:
        log_evidence: Log probability of the outcomes, but for a constant.
        mean: (p,) float64.
        covariance: (p, p) float64.
        prior_variance: (p,) float64, for the same sigma.
        own_variance: Of what is its own in a voter with no outcome.
    """

    log_evidence: float
    mean: Floats
    covariance: Floats
    prior_variance: Floats
    own_variance: float


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """The coefficients, over all spreads of the voters; the names are those of `CalibrationFit`."""

    mean: Floats
    covariance: Floats
    remaining: Floats
    prior_variance: Floats
    own_variance: float


def fit_calibration(
    judged: JudgedAnswers, noise: ArrayLike, prior: Prior = PRIOR
) -> CalibrationFit:
    """Fits a pool's outcomes.

    Args:
        judged: The outcomes; there may be none.
        noise: (V,) noise of the voters over the pool, in the order of
            `judged.voters`; NaN where unknown.
        prior: What is believed before.

    Raises:
        InvalidArrayError: An array has the wrong shape or type, or a value is out
            of range.
    """
    rows = checked(judged)
    noises = _checked_noise(noise, len(judged.voters))
    noise_mean = float(noises[~np.isnan(noises)].mean()) if not np.isnan(noises).all() else np.nan
    agreement = relative_agreement(noises, noise_mean)
    contention = contenders(rows, agreement, prior)
    features = rows.features.copy()
    features[:, AGREEMENT] *= contention[rows.voter]
    sums = sum_outcomes(replace(rows, features=features), prior)
    found = over_spreads(sums, agreement, prior)
    known = (sums.judged > 0) & ~np.isnan(noises)
    return CalibrationFit(
        voters=judged.voters,
        outcomes=sums.outcomes,
        contradiction=_contradiction(found.mean, found.covariance, agreement, known),
        trust=(float(found.mean[TRUST]), float(np.sqrt(found.covariance[TRUST, TRUST]))),
        mean=found.mean,
        covariance=found.covariance,
        remaining=found.remaining,
        prior_variance=found.prior_variance,
        new_voter_variance=found.own_variance,
        noise_mean=noise_mean,
        agreement=agreement,
        slope=sums.slope,
        contention=contention,
        prior=prior,
    )


def relative_agreement(noise: Floats, mean: float) -> Floats:
    """Returns by what share of the mean each noise is under it, from -3 to 3; 0 if unknown."""
    if not mean > 0:
        return np.zeros_like(noise)
    shares = np.where(np.isnan(noise), 0.0, 1.0 - noise / mean)
    return np.clip(shares, -_MOST_AGREEMENT, _MOST_AGREEMENT)


def voter_rows(agreement: Floats) -> Floats:
    """Returns (V, 2 + V) what each voter's quality takes of the coefficients."""
    voters = len(agreement)
    return np.concatenate([np.ones((voters, 1)), agreement[:, None], np.eye(voters)], axis=1)


def contenders(judged: JudgedAnswers, agreement: Floats, prior: Prior) -> Floats:
    """Returns (V,) how far each voter may still be the best, from 0 to 1.

    The odds that it is at least as good as the voter that most surely beats it, by
    the outcomes without any feature; 1 if nobody probably does. It says how much of
    the agreement of single answers counts: a voter known to be worse would otherwise
    be lifted over the best wherever most of the others say the same.
    """
    blind = replace(judged, features=np.zeros_like(judged.features))
    found = over_spreads(sum_outcomes(blind, prior), agreement, prior)
    rows = voter_rows(agreement)
    mean = rows @ found.mean[: rows.shape[1]]
    covariance = rows @ found.covariance[: rows.shape[1], : rows.shape[1]] @ rows.T
    variance = np.diag(covariance)
    apart = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, _LEAST_VARIANCE))
    least = ((mean[:, None] - mean) / apart).min(axis=1, initial=0.0)
    chance = np.array([NormalDist().cdf(each) for each in least.tolist()])
    odds: Floats = chance / (1.0 - chance)
    return odds


def over_spreads(sums: OutcomeSums, agreement: Floats, prior: Prior) -> Averaged:
    """Averages over the spreads of the voters by how well each explains the outcomes."""
    each = [posterior(sums, agreement, spread, prior) for spread in prior.voter]
    share = _shares([one.log_evidence for one in each])
    mean = _average(share, [one.mean for one in each])
    remaining = _average(share, [one.covariance for one in each])
    apart = np.array([one.mean for one in each]) - mean
    return Averaged(
        mean=mean,
        covariance=remaining + (apart * share[:, None]).T @ apart,
        remaining=remaining,
        prior_variance=_average(share, [one.prior_variance for one in each]),
        own_variance=float(share @ [one.own_variance for one in each]),
    )


def posterior(sums: OutcomeSums, agreement: Floats, spread: float, prior: Prior) -> Posterior:
    """Conditions the coefficients on the outcomes, for one spread of the voters.

    With precision P before and data X, y, C the mean is A^-1 (X' C^-1 y + P mean0),
    A = X' C^-1 X + P, and sigma squared is integrated out (Bishop, "Pattern
    Recognition and Machine Learning", 2006, exercise 3.12).
    """
    voters, features = len(agreement), len(FEATURES)
    design = np.zeros((voters + features, OWN + voters + features))
    design[:voters, : OWN + voters] = voter_rows(agreement)
    design[voters:, OWN + voters :] = np.eye(features)
    deviations = [prior.pool, prior.trust_deviation, *[spread] * voters, *prior.features]
    variances = np.square(deviations)
    before = np.zeros(len(variances))
    before[TRUST] = prior.trust
    matrix = design.T @ sums.gram @ design + np.diag(1.0 / variances)
    inverse = np.linalg.inv(matrix)
    inverse = (inverse + inverse.T) / 2
    mean = inverse @ (design.T @ sums.moments + before / variances)
    worth = prior.variance_outcomes + sums.rows
    unexplained = sums.square + float(before @ (before / variances) - mean @ matrix @ mean)
    scatter = prior.variance_outcomes * prior.variance + max(unexplained, 0.0)
    variance = scatter / (worth - 2.0)
    log_determinants = np.log(variances).sum() + np.linalg.slogdet(matrix)[1]
    log_evidence = -(log_determinants + worth * np.log(scatter)) / 2
    return Posterior(
        log_evidence=float(log_evidence),
        mean=mean,
        covariance=variance * inverse,
        prior_variance=variance * variances,
        own_variance=variance * spread**2,
    )


def _checked_noise(noise: ArrayLike, voters: int) -> Floats:
    noises = kernel_form(noise, np.float64, field="noise")
    if noises.shape != (voters,) or np.isinf(noises).any():
        raise InvalidArrayError(
            f"noise has shape {noises.shape} or holds infinity; give ({voters},) finite numbers, "
            "NaN where unknown.",
            field="noise",
        )
    return noises


def _shares(log_evidence: list[float]) -> Floats:
    odds = np.exp(np.array(log_evidence) - max(log_evidence))
    shares: Floats = odds / odds.sum()
    return shares


def _average(shares: Floats, values: list[Floats]) -> Floats:
    average: Floats = np.tensordot(shares, np.array(values), axes=1)
    return average


def _contradiction(
    mean: Floats,
    covariance: Floats,
    agreement: Floats,
    known: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> float:
    """Returns the probability that quality falls with agreement among these voters.

    It is about these very voters: the sign of the least-squares slope of their
    qualities on their agreement, not of the trust that other voters would earn.
    """
    if known.sum() < 2 or np.ptp(agreement[known]) <= _LEAST_APART:
        return np.nan
    contrast = np.where(known, agreement - agreement[known].mean(), 0.0) @ voter_rows(agreement)
    part = slice(0, len(contrast))
    deviation = np.sqrt(contrast @ covariance[part, part] @ contrast)
    return NormalDist().cdf(float(-(contrast @ mean[part]) / deviation))
