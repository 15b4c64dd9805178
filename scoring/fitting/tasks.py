"""A soft classifier of tasks, or of clusters where tasks have no names."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from scoring.fitting.threads import one_thread
from scoring.routers.twins import first_twins

Floats = NDArray[np.float64]

_MOST_STEPS = 500


class Classifier(NamedTuple):
    """p(t | x) = softmax(weights phi(x) + biases)."""

    weights: Floats
    """(T, d)."""
    biases: Floats
    """(T,)."""


def fit_classifier(features: Floats, tasks: NDArray[np.int64], inverse: float) -> Classifier:
    """Learns multinomial logistic regression.

    Args:
        features: (n, d).
        tasks: (n,) from 0 to T - 1, each of which occurs.
        inverse: C, of the regularisation, above 0: the more, the surer.
    """
    number = int(tasks.max()) + 1
    if number == 1:
        return Classifier(np.zeros((1, features.shape[1])), np.zeros(1))
    learner = LogisticRegression(C=inverse, max_iter=_MOST_STEPS, tol=1e-6)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(features, tasks)
    weights, biases = np.asarray(learner.coef_), np.asarray(learner.intercept_)
    if number == 2:  # of two, sklearn gives the second against the first
        weights, biases = np.vstack([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
    return Classifier(weights, biases)


def fit_clusters(features: Floats, number: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Finds clusters by k-means (Lloyd, two starts by k-means++).

    Returns:
        Centroids (C, d), and the cluster of each row (n,); no cluster is empty, and there
        are fewer than `number` where the rows don't differ in so many ways.
    """
    number = min(number, len(np.unique(first_twins(features))))
    learner = KMeans(number, n_init=2, random_state=seed)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = learner.fit_predict(features)
    kept, places = np.unique(labels, return_inverse=True)
    return np.asarray(learner.cluster_centers_, np.float64)[kept], places.astype(np.int64)
