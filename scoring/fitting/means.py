"""Mean qualities, where not every model answered every prompt."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sums_and_counts(
    qualities: Floats, groups: NDArray[np.int64], number: int
) -> tuple[Floats, Floats]:
    """Adds up what is known in each group of rows.

    Args:
        qualities: (n, K), NaN where unknown.
        groups: (n,) from 0 to `number` - 1.
        number: G, of the groups.

    Returns:
        Sums (G, K) and counts (G, K).
    """
    known = ~np.isnan(qualities)
    filled = np.where(known, qualities, 0.0)
    return sums_by_group(filled, groups, number), sums_by_group(known, groups, number)


def sums_by_group(
    values: NDArray[np.floating | np.bool_], groups: NDArray[np.int64], number: int
) -> Floats:
    """Returns (G, K) sums of values (n, K)."""
    return np.stack([np.bincount(groups, column, number) for column in values.T], axis=1)


def group_means(
    qualities: Floats, groups: NDArray[np.int64], number: int, pseudo_count: float
) -> Floats:
    """Returns (G, K) means, (sum + n0 mean of the model) / (count + n0).

    The mean of the model is over the groups that know it; where none does, it is
    the mean of all qualities. A group that knows nothing of the model has that mean.
    """
    sums, counts = sums_and_counts(qualities, groups, number)
    overall = model_means(qualities, groups, number)
    total = counts + pseudo_count
    shrunk = (sums + pseudo_count * overall) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, shrunk, overall))


def model_means(qualities: Floats, groups: NDArray[np.int64], number: int) -> Floats:
    """Returns (K,): each model's mean over groups, of equal weight, of its mean in the group.

    A model that nobody knows has the mean of the others, and 0.5 where there are none.
    """
    sums, counts = sums_and_counts(qualities, groups, number)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    present = (counts > 0).sum(axis=0)
    average = np.divide(means.sum(axis=0), present, out=np.zeros(sums.shape[1]), where=present > 0)
    others = float(average[present > 0].mean()) if present.any() else 0.5
    return np.asarray(np.where(present > 0, average, others))
