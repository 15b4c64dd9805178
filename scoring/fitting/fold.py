"""Training rows and the prompts to score, with what many settings share."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.fitting.means import model_means
from scoring.fitting.tasks import Classifier, fit_classifier, fit_clusters
from scoring.fitting.values import TrainingRows
from scoring.routers.features import features_of

Floats = NDArray[np.float64]

NAMELESS_TASKS = 8
"""Clusters that stand in for tasks where rows name fewer than two."""

_CHUNK = 512


class Study:
    """What is learned of training rows whatever the setting, each thing once.

    A setting asks for what it needs; settings that need the same share it.
    """

    def __init__(self, rows: TrainingRows, seed: int) -> None:
        """Takes the rows and the seed of every draw."""
        self.rows = rows
        self.seed = seed
        self._classifiers: dict[float, Classifier] = {}
        self._clusters: dict[int, tuple[Floats, NDArray[np.int64]]] = {}

    @cached_property
    def centre(self) -> NDArray[np.float32]:
        """The mean vector (d,)."""
        return np.asarray(self.rows.vectors.mean(axis=0, dtype=np.float64), np.float32)

    @cached_property
    def features(self) -> Floats:
        """(n, d)."""
        return features_of(self.rows.vectors, self.centre)

    @cached_property
    def tasks(self) -> NDArray[np.int64]:
        """The task of each row (n,), or its cluster where fewer than two have names."""
        if len(self.rows.task_names()) > 1:
            return self.rows.task_numbers()
        return self.clusters(NAMELESS_TASKS)[1]

    @property
    def task_count(self) -> int:
        """T, the number of those."""
        return int(self.tasks.max()) + 1

    @cached_property
    def means(self) -> Floats:
        """Each model's mean over named tasks, of equal weight (K,)."""
        rows = self.rows
        return model_means(rows.qualities, rows.task_numbers(), len(rows.task_names()))

    @cached_property
    def squares(self) -> Floats:
        """|phi|^2 (n,): 1, or 0 of a row that is the centre."""
        return np.asarray(np.vecdot(self.features, self.features))

    def clusters(self, number: int) -> tuple[Floats, NDArray[np.int64]]:
        """Centroids (C, d) and the cluster of each row (n,)."""
        if number not in self._clusters:
            self._clusters[number] = fit_clusters(self.features, number, self.seed)
        return self._clusters[number]

    def classifier(self, inverse: float) -> Classifier:
        """The classifier of tasks."""
        if inverse not in self._classifiers:
            self._classifiers[inverse] = fit_classifier(self.features, self.tasks, inverse)
        return self._classifiers[inverse]


class Fold:
    """A study, and prompts that it has not seen."""

    def __init__(self, study: Study, vectors: NDArray[np.float32], most_neighbours: int) -> None:
        """Takes the vectors (m, d), and the most neighbours that any setting asks for."""
        self.study = study
        self.vectors = vectors
        self._most = min(most_neighbours, len(study.rows))

    @cached_property
    def features(self) -> Floats:
        """(m, d)."""
        return features_of(self.vectors, self.study.centre)

    @cached_property
    def _nearest(self) -> tuple[NDArray[np.int64], Floats]:
        known = self.study.features
        rows = np.empty((len(self.vectors), self._most), np.int64)
        squared = np.empty(rows.shape)
        for first in range(0, len(rows), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            cosines = self.features[chunk] @ known.T
            near = np.argpartition(-cosines, self._most - 1, axis=1)[:, : self._most]
            found = np.maximum(self._squared(chunk, np.take_along_axis(cosines, near, 1), near), 0)
            order = np.lexsort((near, found), axis=-1)
            rows[chunk] = np.take_along_axis(near, order, 1)
            squared[chunk] = np.take_along_axis(found, order, 1)
        return rows, squared

    def _squared(self, chunk: slice, cosines: Floats, near: NDArray[np.int64]) -> Floats:
        """|a - b|^2 of features."""
        own = np.vecdot(self.features[chunk], self.features[chunk])[:, None]
        return np.asarray(own + self.study.squares[near] - 2 * cosines)

    def nearest(self, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Rows (m, k) of the nearest, the nearest first, and squared distances (m, k)."""
        rows, squared = self._nearest
        return rows[:, :k], squared[:, :k]
