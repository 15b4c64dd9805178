"""Ranks the answers to one prompt by what outcomes taught."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.calibrated.best import probability_of_best
from scoring.calibrated.features import known_features
from scoring.calibrated.fit import AGREEMENT, COMMON, OWN, TRUST, relative_agreement
from scoring.calibrated.products import product
from scoring.calibrated.values import FEATURES, CalibratedEstimate, CalibrationFit, Floats
from scoring.errors import InvalidArrayError
from scoring.estimator import Estimate
from scoring.validation import kernel_form

_TIE = 1e-9
_NORMAL_95 = 1.959964
_NEW_SLOPE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """The qualities of K answers to one prompt.

    Attributes:
        mean: (K,) float64.
        covariance: (K, K) float64.
        remaining: (K, K) float64, for a known spread of the voters.
        before: (K, K) float64, the same before any outcome.
    """

    mean: Floats
    covariance: Floats
    remaining: Floats
    before: Floats


def calibrate(estimate: Estimate, features: ArrayLike, fit: CalibrationFit) -> CalibratedEstimate:
    """Ranks the answers to one prompt by expected quality.

    Args:
        estimate: What agreement says of the request's K voters, by any estimator.
        features: (K, 3) as from `relative_features`, in the order of its voters;
            NaN where unknown.
        fit: Of the request's pool. Voters that it doesn't know get what is common
            to the pool, and what their noise and features say.

    Raises:
        InvalidArrayError: The features have another shape, or hold infinity.
    """
    known = known_features(features, field="features", rows=len(estimate.voters))
    if fit.outcomes == 0:
        return _without_outcomes(estimate, fit)
    expected = expect(estimate, known, fit)
    order, tied = _order(expected.mean, estimate.order)
    weight = np.empty(len(order))
    # The best come first, so that the order in which voters are named changes nothing.
    ranked = expected.covariance[np.ix_(order, order)]
    weight[order] = probability_of_best(expected.mean[order], ranked)
    (lead, low, high), left = _lead(expected, order)
    return CalibratedEstimate(
        estimate=estimate._replace(order=order, weight=weight, tied=tied),
        quality=np.clip(expected.mean, 0.0, 1.0),
        quality_standard_error=np.sqrt(np.diag(expected.covariance)),
        lead=lead,
        lead_low=low,
        lead_high=high,
        agreement_weight=left,
        outcomes=fit.outcomes,
        contradiction=fit.contradiction,
        contradicted=fit.contradicted,
    )


def expected_quality(
    voters: Sequence[str], noise: Floats, features: ArrayLike, fit: CalibrationFit
) -> Floats:
    """Returns the expected quality of the answers to many prompts, as `calibrate` does of one.

    Args:
        voters: Names of the K voters.
        noise: (K,) of those voters that the fit doesn't know; NaN where unknown.
        features: (n, K, 3) as from `relative_features`.
        fit: Of the pool.

    Returns:
        (n, K) float64, not cut off at 0 and 1.

    Raises:
        InvalidArrayError: The features have another shape, or hold infinity.
    """
    given = kernel_form(features, np.float64, field="features")
    if given.ndim != len(("prompts", "voters", "features")):
        raise InvalidArrayError(
            f"features has {given.ndim} axes; give (prompts, voters, {len(FEATURES)}).",
            field="features",
        )
    prompts, answers = given.shape[:2]
    known = known_features(
        given.reshape(-1, len(FEATURES)), field="features", rows=prompts * len(voters)
    )
    rows, _ = _rows(voters, noise, known.reshape(prompts, answers, len(FEATURES)), fit)
    quality: Floats = fit.prior.quality + rows @ fit.mean
    return quality


def expect(estimate: Estimate, features: Floats, fit: CalibrationFit) -> Expected:
    """Returns the expected qualities of the answers to one prompt, and how sure they are.

    Args:
        estimate: Names the K voters, and has the noise of those that are new.
        features: (K, 3), none of them NaN.
        fit: Of the pool.
    """
    rows, new = _rows(estimate.voters, estimate.noise_variance, features, fit)
    own = np.diag(np.where(new, fit.new_voter_variance, 0.0))
    return Expected(
        mean=fit.prior.quality + rows @ fit.mean,
        covariance=product(product(rows, fit.covariance), rows.T) + own,
        remaining=product(product(rows, fit.remaining), rows.T) + own,
        before=product(rows * fit.prior_variance, rows.T) + own,
    )


def _rows(
    voters: Sequence[str], noise: Floats, features: Floats, fit: CalibrationFit
) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns (..., K, p) what each answer takes of the coefficients, and (K,) who is new."""
    places = {voter: place for place, voter in enumerate(fit.voters)}
    place = np.array([places.get(voter, -1) for voter in voters], np.int64)
    known, new = np.flatnonzero(place >= 0), place < 0
    agreement, slope = relative_agreement(noise, fit.noise_mean), np.full(len(place), _NEW_SLOPE)
    agreement[known], slope[known] = fit.agreement[place[known]], fit.slope[place[known]]
    rows = np.zeros((*features.shape[:-1], len(fit.mean)))
    rows[..., COMMON] = 1.0
    rows[..., TRUST] = agreement
    rows[..., known, OWN + place[known]] = 1.0
    rows[..., OWN + len(fit.voters) :] = features * slope[:, None]
    rows[..., known, OWN + len(fit.voters) + AGREEMENT] *= fit.contention[place[known]]
    return rows, new


def _order(
    quality: Floats, otherwise: NDArray[np.int64]
) -> tuple[NDArray[np.int64], tuple[int, ...]]:
    """Orders voters by quality, equals as agreement has them; names those equal to the best."""
    best = quality >= quality.max() - _TIE
    place = np.empty(len(quality), np.int64)
    place[otherwise] = np.arange(len(quality))
    order = np.lexsort((place, -np.where(best, quality.max(), quality))).astype(np.int64)
    ties = int(best.sum())
    return order, tuple(order[:ties].tolist()) if ties > 1 else ()


def _lead(expected: Expected, order: NDArray[np.int64]) -> tuple[tuple[float, float, float], float]:
    """Returns the best's lead with its interval, and the share of its variance that is left.

    Qualities are from 0 to 1, so that no lead is beyond 1, however wide the fit's interval.
    """
    if len(order) < 2:
        left = _left(float(expected.remaining[0, 0]), float(expected.before[0, 0]))
        return (np.nan, np.nan, np.nan), left
    contrast = np.zeros(len(order))
    contrast[order[0]], contrast[order[1]] = 1.0, -1.0
    lead = max(float(contrast @ expected.mean), 0.0)
    half = _NORMAL_95 * math.sqrt(_variance(contrast, expected.covariance))
    left = _left(_variance(contrast, expected.remaining), _variance(contrast, expected.before))
    return (_of_qualities(lead), _of_qualities(lead - half), _of_qualities(lead + half)), left


def _of_qualities(difference: float) -> float:
    return min(max(difference, -1.0), 1.0)


def _variance(contrast: Floats, covariance: Floats) -> float:
    return max(float(contrast @ covariance @ contrast), 0.0)


def _left(remaining: float, before: float) -> float:
    return min(remaining / before, 1.0)


def _without_outcomes(estimate: Estimate, fit: CalibrationFit) -> CalibratedEstimate:
    unknown = np.full(len(estimate.voters), np.nan)
    return CalibratedEstimate(
        estimate=estimate,
        quality=unknown,
        quality_standard_error=unknown.copy(),
        lead=np.nan,
        lead_low=np.nan,
        lead_high=np.nan,
        agreement_weight=1.0,
        outcomes=0,
        contradiction=fit.contradiction,
        contradicted=False,
    )
