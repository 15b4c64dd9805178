"""What goes into a calibration, and what comes out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.estimator import Estimate

Floats = NDArray[np.float64]

FEATURES = ("agreement", "relevance", "length")
"""What is known of an answer without labels; columns of every array of features."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedAnswers:
    """The outcomes of a pool, one row for each answer that was judged.

    Attributes:
        voters: Names of the V voters.
        subject: (m,) int64, equal numbers mean the same prompt.
        voter: (m,) int64, index into `voters`.
        quality: (m,) float64, mean quality of the answer's outcomes, in [0, 1].
        count: (m,) int64, how many outcomes that is, at least 1.
        features: (m, 3) float64, columns as in `FEATURES`, as from
            `relative_features` when the answer was scored; NaN where unknown.
    """

    voters: tuple[str, ...]
    subject: NDArray[np.int64]
    voter: NDArray[np.int64]
    quality: Floats
    count: NDArray[np.int64]
    features: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed before any outcome; `docs/calibrated.md` has the equations.

    Standard deviations are in units of sigma, the spread of one answer's quality.
    """

    quality: float = 0.5
    """Expected quality of a voter."""
    pool: float = 1.0
    """Standard deviation of what is common to all voters of a pool."""
    voter: tuple[float, ...] = (0.35, 0.7, 1.4, 2.8)
    """Standard deviations of a voter within its pool, equally likely; outcomes tell which."""
    prompt: float = 0.5
    """Standard deviation of what is common to all answers to a prompt."""
    trust: float = 0.01
    """Expected gain in quality of a voter without noise over one of mean noise."""
    trust_deviation: float = 0.3
    """Its standard deviation."""
    features: tuple[float, float, float] = (0.2, 0.5, 0.7)
    """Standard deviations of the slopes of `FEATURES`; their means are 0."""
    variance: float = 0.2
    """Expected sigma squared; an outcome of 0 or 1 has at most 0.25."""
    variance_outcomes: float = 20.0
    """Outcomes that this expectation is worth."""
    slope_outcomes: float = 4.0
    """Outcomes that it is worth that a voter's quality is as `quality` says."""
    least_slope: float = 0.08
    """Least spread of a voter's quality, as a share of that of a voter of quality 0.5."""


PRIOR = Prior()
"""The prior that serves."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationFit:
    """What the outcomes of a pool say of its voters, and of agreement.

    The p = 2 + V + 3 coefficients are: what is common to the pool, the trust in
    agreement, what is each voter's own, and the slope of each feature.

    Attributes:
        voters: Names of the V voters.
        outcomes: How many outcomes it rests on.
        contradiction: Probability that voters of this pool that agree more are
            worse; NaN where fewer than two voters have both noise and outcomes.
        trust: Expected trust in agreement, and its standard deviation.
        mean: (p,) float64, expected coefficients.
        covariance: (p, p) float64, of the coefficients.
        remaining: (p, p) float64, the same for a known spread of the voters.
        prior_variance: (p,) float64, of the coefficients, before any outcome.
        new_voter_variance: Of what is its own in a voter with no outcome.
        noise_mean: Mean noise of the voters; NaN where none is known.
        agreement: (V,) float64, of each voter: by what share its noise is under
            the mean; 0 where it isn't known.
        slope: (V,) float64, spread of each voter's quality, as a share of that of
            a voter of quality 0.5.
        contention: (V,) float64, how far each voter may still be the best, in [0, 1]:
            the share of the slope of agreement that its answers take.
        prior: What was believed before.
    """

    voters: tuple[str, ...]
    outcomes: int
    contradiction: float
    trust: tuple[float, float]
    mean: Floats
    covariance: Floats
    remaining: Floats
    prior_variance: Floats
    new_voter_variance: float
    noise_mean: float
    agreement: Floats
    slope: Floats
    contention: Floats
    prior: Prior

    @property
    def contradicted(self) -> bool:
        """Whether outcomes contradict agreement, with a probability of 95 % or more."""
        return self.contradiction >= CONTRADICTED


CONTRADICTED = 0.95
"""Probability from which outcomes are said to contradict agreement."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedEstimate:
    """How good the answers to one prompt are expected to be.

    Attributes:
        estimate: What agreement says, with `order`, `weight` and `tied` replaced:
            voters by expected quality, and the probability that each is the best.
            With no outcome it is unchanged. Its noise and margin are agreement's.
        quality: (K,) float64, expected quality of each voter's answer, in [0, 1];
            NaN with no outcome.
        quality_standard_error: (K,) float64, of it; NaN with no outcome.
        lead: Expected quality of the best less that of the second; NaN with no
            outcome, and for one voter.
        lead_low: Lower end of its 95 % credible interval.
        lead_high: Upper end.
        agreement_weight: Share of the lead's prior variance that the outcomes
            left, in [0, 1]: what the prior, whose order is agreement's, still
            weighs. 1 with no outcome.
        outcomes: How many outcomes it rests on.
        contradiction: As of the fit.
        contradicted: As of the fit.
    """

    estimate: Estimate
    quality: Floats
    quality_standard_error: Floats
    lead: float
    lead_low: float
    lead_high: float
    agreement_weight: float
    outcomes: int
    contradiction: float
    contradicted: bool
