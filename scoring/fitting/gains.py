"""What settings gain on rows that were held out, and how much of that to believe."""

import numpy as np
from numpy.typing import NDArray

from scoring.fitting.means import sums_by_group

Floats = NDArray[np.float64]


def gains_of(scores: NDArray[np.floating], qualities: Floats) -> Floats:
    """Returns (..., n): the quality of the model with the best score (..., n, K).

    NaN where that model's quality is unknown. Of equal scores the first counts.
    """
    best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=-1)[..., None]
    table = np.broadcast_to(qualities, scores.shape)
    return np.asarray(np.take_along_axis(table, best, axis=-1)[..., 0])


def task_gains(gains: Floats, tasks: NDArray[np.int64], number: int) -> Floats:
    """Returns (S, T) means over what is known of gains (S, n); NaN where nothing is."""
    known = ~np.isnan(gains)
    sums = _by_task(np.where(known, gains, 0.0), tasks, number)
    counts = _by_task(known.astype(np.float64), tasks, number)
    return np.asarray(np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0))


def trusted_averages(gains: Floats, tasks: NDArray[np.int64], number: int) -> Floats:
    """Returns (S,) averages over tasks from which the noise of small tasks is taken.

    A task of a hundred rows moves the average of a setting by whole points though
    nothing but luck tells settings apart there. So within each task a setting's
    lead over the mean setting is shrunk by the share of its variance over settings
    that isn't sampling noise, by empirical Bayes (Efron and Morris, 1975):

        lead_st max(0, 1 - noise_t / spread_t)

    noise_t being the squared standard error of such a lead, mean over settings, and
    spread_t the mean square of the leads. The plain average of the mean setting is added.
    Tasks of one row, which can't tell what noise they have, are taken together.

    Args:
        gains: (S, n), NaN where unknown.
        tasks: (n,).
        number: T.
    """
    tasks, shares = _singles_together(tasks, number)
    means = task_gains(gains, tasks, len(shares))
    kept = ~np.isnan(means).any(axis=0)
    if not kept.any():
        return np.zeros(len(gains))
    totals = np.zeros(len(gains))
    for task in np.flatnonzero(kept):
        leads = means[:, task] - means[:, task].mean()
        trusted = leads * _trust(gains[:, tasks == task], leads)
        totals += shares[task] * (means[:, task].mean() + trusted)
    return np.asarray(totals / shares[kept].sum())


def _singles_together(tasks: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], Floats]:
    """Makes one task of those with one row: the new ones (n,), and how many each stands for."""
    single = np.bincount(tasks, minlength=number) == 1
    joined = np.where(single[tasks], number, tasks)
    names, places = np.unique(joined, return_inverse=True)
    return places, np.where(names == number, np.count_nonzero(single), 1.0)


def _trust(gains: Floats, leads: Floats) -> float:
    spread = float(np.mean(leads**2))
    known = ~np.isnan(gains)
    counts = known.sum(axis=1)
    if spread == 0 or counts.max() == 1:
        return 0.0
    row_means = np.where(known, gains, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    apart = np.where(known, gains - row_means - leads[:, None], 0.0)
    several = counts > 1
    noise = (apart**2).sum(axis=1)[several] / (counts[several] - 1) / counts[several]
    return max(0.0, 1.0 - float(noise.mean()) / spread)


def standard_error(gains: Floats, others: Floats, tasks: NDArray[np.int64], number: int) -> float:
    """Returns that of the difference of two averages over tasks, by pairs of gains (n,).

    Tasks of one row are taken together, as they can't tell how far apart gains lie.
    """
    tasks, shares = _singles_together(tasks, number)
    apart = (gains - others)[None]
    known = ~np.isnan(apart)
    counts = _by_task(known.astype(np.float64), tasks, len(shares))[0]
    means = task_gains(apart, tasks, len(shares))[0]
    squares = np.where(known, (apart - means[tasks]) ** 2, 0.0)
    several = counts > 1
    variances = _by_task(squares, tasks, len(shares))[0][several] / (counts[several] - 1)
    errors = shares[several] * np.sqrt(variances / counts[several])
    return float(np.sqrt((errors**2).sum()) / max(shares[counts > 0].sum(), 1))


def _by_task(values: Floats, tasks: NDArray[np.int64], number: int) -> Floats:
    return sums_by_group(values.T, tasks, number).T
