"""Logistic regression whose targets are degrees, some of them unknown."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scoring.fitting.threads import one_thread
from scoring.routers.linear import sigmoid

Floats = NDArray[np.float64]

# Steps that gain less than this share of the loss move no choice.
_LEAST_GAIN = 1e-7
_MOST_STEPS = 300


def fit_logistic(
    features: Floats, targets: Floats, regularisation: Floats
) -> tuple[Floats, Floats]:
    """Minimises cross-entropy to the targets plus half of lambda |w|^2, by L-BFGS.

        sum over known (i, m) of log(1 + exp z_im) - q_im z_im,   z = W phi + b

    It is convex, and the models don't share anything: each one's minimum is its own.
    The biases aren't regularised, but kept to a chance within 0.1 % and 99.9 % at
    the start.

    Args:
        features: (n, d).
        targets: (n, K) from 0 to 1, NaN where unknown.
        regularisation: (K,) lambda, above 0.

    Returns:
        Weights (K, d) and biases (K,).
    """
    known = ~np.isnan(targets)
    wanted = np.where(known, targets, 0.0)
    shape = (targets.shape[1], features.shape[1] + 1)
    start = np.zeros(shape)
    start[:, -1] = _log_odds(wanted.sum(axis=0) / np.maximum(known.sum(axis=0), 1))

    def loss(flat: Floats) -> tuple[float, Floats]:
        parameters = flat.reshape(shape)
        weights = parameters[:, :-1]
        logits = features @ weights.T + parameters[:, -1]
        value = float((known * np.logaddexp(0.0, logits) - wanted * logits).sum())
        apart = known * sigmoid(logits) - wanted
        slope = np.empty(shape)
        slope[:, :-1] = apart.T @ features + regularisation[:, None] * weights
        slope[:, -1] = apart.sum(axis=0)
        penalty = float((regularisation * np.vecdot(weights, weights)).sum() / 2)
        return value + penalty, slope.ravel()

    options = {"maxiter": _MOST_STEPS, "ftol": _LEAST_GAIN}
    with one_thread():
        found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    parameters = np.asarray(found.x, np.float64).reshape(shape)
    return parameters[:, :-1], parameters[:, -1]


def _log_odds(shares: Floats) -> Floats:
    kept = np.clip(shares, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(kept / (1 - kept)))
