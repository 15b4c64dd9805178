"""How sure a mean over tasks is: the bootstrap, within each task.

Of the n rows of a task n - 1 are drawn with replacement, for then the variance of a drawn mean
is s^2 / n with s^2 unbiased; n draws make intervals too narrow where tasks are small (McCarthy
and Snowden, "The Bootstrap and Finite Population Sampling", 1985; Rao and Wu, "Resampling
Inference with Complex Survey Data", JASA 1988). A task of a single row says nothing of how rows
differ: all such tasks are drawn from their rows together, a lone one with those of the smallest
other task, which is too wide rather than too narrow (collapsed strata; Cochran, "Sampling
Techniques", 1977, section 5A.12).
"""

from collections.abc import Iterator, Sequence
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
    """Draws rows of each stratum anew, one fewer than it has, and averages what was drawn.

    Every column sees the same draws, so that differences of columns are paired.

    Args:
        outcomes: (n, W) float64, NaN where a row is not known and not counted.
        strata: The rows of each of T strata.
        seed: Makes the draws repeatable.
        resamples: How often rows are drawn, R.

    Returns:
        (R, T, W) means; NaN where no known row was drawn, or there is but one row in all.
    """
    generator = np.random.default_rng(seed)
    means = [
        _means(outcomes[rows], draws, generator, resamples) for rows, draws in _sources(strata)
    ]
    return np.stack(means, axis=1) if means else np.empty((resamples, 0, outcomes.shape[1]))


def simultaneous(
    means: NDArray[np.float64],
    drawn: NDArray[np.float64],
    counted: Sequence[bool],
    level: float = 0.95,
) -> list[Interval]:
    """Returns intervals of which all hold at once with the given probability.

    With them one may look at many figures, pick the best, and still be right. Each is the mean
    plus or minus c standard errors, with c the quantile of the greatest deviation of all, in
    standard errors, over the draws (Romano and Wolf, "Stepwise Multiple Testing as Formalized
    Data Snooping", Econometrica 2005, section 4.2, its first step).

    Args:
        means: (W,) what was measured.
        drawn: (R, W) what resampling gave, the same draw across a row.
        counted: Which of the W are among those that must hold at once.
        level: The probability.

    Returns:
        W intervals; those that aren't counted have the same c. NaN ends where nothing was drawn.
    """
    known = ~np.isnan(drawn)
    errors = np.sqrt(_mean_known(np.square(drawn - _mean_known(drawn, known)), known))
    usable = np.asarray(counted) & (errors > 0) & np.isfinite(means)
    reach = 0.0
    if usable.any():
        apart = np.abs(drawn[:, usable] - means[usable]) / errors[usable]
        reach = float(np.quantile(np.where(np.isnan(apart), 0.0, apart).max(axis=1), level))
    return [
        Interval(float(mean), float(mean - reach * error), float(mean + reach * error))
        for mean, error in zip(means, errors, strict=True)
    ]


def _mean_known(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _sources(strata: Sequence[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yields for each stratum the rows that are drawn from, and how many draws there are."""
    lone = [rows for rows in strata if len(rows) == 1]
    if len(lone) == 1:
        lone += sorted((rows for rows in strata if len(rows) > 1), key=len)[:1]
    for rows in strata:
        yield (rows, len(rows) - 1) if len(rows) != 1 else (np.concatenate(lone), 1)


def _means(
    outcomes: NDArray[np.float64], draws: int, generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    size = len(outcomes)
    if size < 2:
        return np.full((resamples, outcomes.shape[1]), np.nan)
    known = ~np.isnan(outcomes)
    filled, counted = np.where(known, outcomes, 0.0), known.astype(np.float64)
    step = max(1, _MOST_DRAWN // size)
    blocks = [min(step, resamples - start) for start in range(0, resamples, step)]
    drawn = (_times_drawn(generator, rows, size, draws) for rows in blocks)
    return np.concatenate([ratio(times @ filled, times @ counted) for times in drawn])


def _times_drawn(
    generator: np.random.Generator, resamples: int, size: int, draws: int
) -> NDArray[np.float64]:
    """Returns (resamples, size) how often each row was drawn, `draws` in all."""
    drawn = generator.integers(size, size=(resamples, draws))
    drawn += size * np.arange(resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * size)
    return times.reshape(resamples, size).astype(np.float64)


def ratio(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns sums over counts, NaN where a count is 0."""
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
