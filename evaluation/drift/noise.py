"""Noise over some samples of a pool, and how sure it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.estimator import noise_of_totals
from scoring.evidence import Totals
from scoring.pairs import pair_column

GROUPS = 20
"""Groups that the samples of a window are dealt into, in turn, for the jackknife."""

LEAST_GROUPS = 5
"""With fewer that hold a sample, an error would itself be too uncertain to use."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Sums over samples, group by group.

    Attributes:
        voters: V.
        sums: (G, V(V-1)/2) float64 of each pair's squared distances.
        counts: (G, V(V-1)/2) int64, samples that have the pair.
    """

    voters: int
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(self.voters, self.sums + other.sums, self.counts + other.counts)


@dataclass(frozen=True, slots=True, eq=False)
class NoiseEstimate:
    """Noise of V voters over some samples.

    Attributes:
        variance: (V,) float64, NaN where it isn't identified.
        error: (V,) float64, its standard error; NaN where there are too few samples.
        freedom: (V,) int64, degrees of freedom of the error.
    """

    variance: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.int64]


def estimate_noise(evidence: Evidence, weights: NDArray[np.int64] | None = None) -> NoiseEstimate:
    """Solves for noise as serving does, and jackknifes it.

    The delete-a-group jackknife: noise is estimated anew without each of the g groups in
    which the voter has a pair, and the variance is (g - 1) / g times the sum of squared
    deviations (Shao and Tu, "The Jackknife and Bootstrap", 1995, section 2.3). It holds for
    incomplete samples too, where noise is no mean over samples.

    Args:
        evidence: The sums.
        weights: (V(V-1)/2,) int64, how much the mean of each pair counts, 0 for not at all;
            as many samples as have the pair if None.

    Returns:
        The noise with its errors.
    """
    sums, counts = evidence.sums.sum(axis=0), evidence.counts.sum(axis=0)
    variance = _solve(evidence.voters, sums, counts, weights)
    error = np.full(evidence.voters, np.nan)
    taken = _groups_of_voters(evidence)
    used = np.flatnonzero(evidence.counts.any(axis=1))
    without = np.array(
        [
            _solve(
                evidence.voters,
                sums - evidence.sums[group],
                counts - evidence.counts[group],
                weights,
            )
            for group in used
        ]
    ).reshape(len(used), evidence.voters)
    for voter in range(evidence.voters):
        known = without[taken[used, voter], voter]
        if len(known) >= LEAST_GROUPS and not np.isnan(known).any():
            error[voter] = np.sqrt((len(known) - 1) * known.var())
    return NoiseEstimate(variance, error, taken.sum(axis=0) - 1)


def _groups_of_voters(evidence: Evidence) -> NDArray[np.bool_]:
    """Returns (G, V) bool, in which groups a voter has a pair."""
    taken = np.zeros((len(evidence.counts), evidence.voters), np.bool_)
    for high in range(evidence.voters):
        for low in range(high):
            has = evidence.counts[:, pair_column(low, high)] > 0
            taken[:, low] |= has
            taken[:, high] |= has
    return taken


def _solve(
    voters: int,
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    weights: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    none, nobody = np.zeros_like(sums), np.zeros(voters, np.int64)
    names = tuple(str(voter) for voter in range(voters))
    # What was subtracted may leave a rounding error where no sample is left.
    left = np.where(counts > 0, np.maximum(sums, 0.0), 0.0)
    if weights is not None:
        left = left / np.maximum(counts, 1) * weights
        counts = np.where(counts > 0, weights, 0)
    return noise_of_totals(
        Totals(names, 0, nobody, left, counts, none, none, np.zeros_like(counts))
    )
