"""Several routers weighed by how well their held-out scores explain qualities."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]


def stack_weights(
    scores: Floats, qualities: Floats, tasks: NDArray[np.int64], number: int
) -> Floats:
    """Finds weights of 0 or more that explain how qualities differ among models.

    Minimises the squared error of q_im - mean_m q_im by sum_j w_j (s_jim - mean_m s_jim),
    every task with the same weight: which model is better matters, not how hard a prompt
    is (non-negative weights: Breiman, "Stacked Regressions", 1996). They are brought to
    a sum of 1, which moves no rank, and are equal where nothing is explained.

    Args:
        scores: (J, n, K) by members that had not seen the row.
        qualities: (n, K), NaN where unknown.
        tasks: (n,) from 0 to `number` - 1.
        number: Of the tasks.

    Returns:
        (J,) weights.
    """
    known = ~np.isnan(qualities)
    wanted = centred(np.where(known, qualities, 0.0), known)
    members = np.stack([centred(each, known) for each in scores])
    rows = np.bincount(tasks, minlength=number)
    share = np.sqrt(1.0 / np.maximum(rows[tasks], 1))[:, None]
    table = (members * share).reshape(len(members), -1).T
    weights, _ = nnls(table, (wanted * share).ravel())
    total = float(weights.sum())
    return np.asarray(weights / total if total > 0 else np.full(len(members), 1 / len(members)))


def centred(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Returns values (n, K) less their mean over what is known of the row, and 0 elsewhere."""
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    means = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / counts
    return np.asarray(np.where(known, values - means, 0.0))
