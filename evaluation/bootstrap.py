"""How sure a mean over tasks is: the bootstrap, within each task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_DRAWN = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and what it may as well have been.

    Attributes:
        mean: NaN where nothing is known.
        low: Lower end of the interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float, resampled: NDArray[np.float64], level: float = 0.95) -> "Interval":
        """Makes a percentile interval of (R,) resampled means."""
        known = resampled[~np.isnan(resampled)]
        if np.isnan(mean) or not known.size:
            return cls(mean, np.nan, np.nan)
        low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
        return cls(mean, float(low), float(high))


def resampled_means(
    outcomes: NDArray[np.float64],
    strata: Sequence[NDArray[np.int64]],
    *,
    seed: int = 0,
    resamples: int = 2000,
) -> NDArray[np.float64]:
    """Draws the rows of each stratum anew, as many as it has, and averages what was drawn.

    Every column sees the same draws, so that differences of columns are paired.

    Args:
        outcomes: (n, W) float64, NaN where a row is not known and not counted.
        strata: The rows of each of T strata.
        seed: Makes the draws repeatable.
        resamples: How often rows are drawn, R.

    Returns:
        (R, T, W) means; NaN where no known row was drawn.
    """
    generator = np.random.default_rng(seed)
    means = [_means(outcomes[rows], generator, resamples) for rows in strata]
    return np.stack(means, axis=1) if means else np.empty((resamples, 0, outcomes.shape[1]))


def _means(
    outcomes: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    known = ~np.isnan(outcomes)
    filled, counted = np.where(known, outcomes, 0.0), known.astype(np.float64)
    size = len(outcomes)
    step = max(1, _MOST_DRAWN // max(1, size))
    blocks = [min(step, resamples - start) for start in range(0, resamples, step)]
    drawn = (_times_drawn(generator, rows, size) for rows in blocks)
    return np.concatenate([ratio(times @ filled, times @ counted) for times in drawn])


def _times_drawn(generator: np.random.Generator, resamples: int, size: int) -> NDArray[np.float64]:
    """Returns (resamples, size) how often each row was drawn, `size` draws in all."""
    drawn = generator.integers(size, size=(resamples, size))
    drawn += size * np.arange(resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * size)
    return times.reshape(resamples, size).astype(np.float64)


def ratio(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns sums over counts, NaN where a count is 0."""
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
