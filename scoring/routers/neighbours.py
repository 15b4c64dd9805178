"""The training prompts that are nearest to a prompt."""

from typing import Any, NamedTuple

import hnswlib
import numpy as np
from numpy.typing import NDArray

from scoring.routers.features import blocks_of_features
from scoring.routers.twins import first_twins

Floats = NDArray[np.float64]

EXACT_ROWS = 8192
"""Up to so many prompts, comparing with each is about as quick as a graph, and exact."""

# Products in float32 find candidates, distances in float64 decide: so many more are looked at.
_SPARE = 16
_GRAPH = {"M": 24, "ef_construction": 100, "random_seed": 1}
_LEAST_REACH = 200
_BATCH = 1024


class Near(NamedTuple):
    """Training prompts, the nearest first; of equally near ones the earlier first.

    Which of many that are as near as the last are left out is not defined, but always
    the same.

    Attributes:
        rows: (k,) int64.
        squared: (k,) float64, squared distances between features, 0 to 4.
    """

    rows: NDArray[np.int64]
    squared: Floats


class Neighbours:
    """Finds the k nearest of n training prompts by the distance of features.

    Above `EXACT_ROWS` by an HNSW graph (Malkov and Yashunin, 2018), which is built
    here, with a fixed seed and one thread, and never changes: any thread may ask.
    Equal prompts are one node of the graph, for they would fill each other's links.
    """

    def __init__(
        self,
        prompts: NDArray[np.float32],
        centre: NDArray[np.float32],
        k: int,
        exact_rows: int = EXACT_ROWS,
    ) -> None:
        """Builds the graph, where there is to be one.

        Args:
            prompts: (n, d) float32, finite.
            centre: (d,) float32.
            k: How many to find; all where there are fewer.
            exact_rows: Most prompts that are compared one by one.
        """
        self.k = min(k, len(prompts))
        self._features: NDArray[np.float32] = np.empty(prompts.shape, np.float32)
        for rows, features in blocks_of_features(prompts, centre):
            self._features[rows] = features
        self._graph: Any = None
        if len(prompts) > exact_rows:
            self._build()

    def _build(self) -> None:
        nodes, group = np.unique(first_twins(self._features), return_inverse=True)
        self._twins = np.bincount(group)
        self._by_node = np.argsort(group, kind="stable")
        self._first = np.cumsum(self._twins) - self._twins
        graph = hnswlib.Index("l2", self._features.shape[1])
        graph.init_index(len(nodes), **_GRAPH)
        # Prompts often come task by task, an order in which graphs grow poorly.
        order = np.random.default_rng(_GRAPH["random_seed"]).permutation(len(nodes))
        for places in np.array_split(order, range(_BATCH, len(order), _BATCH)):
            graph.add_items(self._features[nodes[places]], places, num_threads=1)
        graph.set_ef(max(2 * (self.k + _SPARE), _LEAST_REACH))
        self._graph = graph

    def of(self, features: Floats) -> Near:
        """Returns the nearest to the features (d,) of a prompt."""
        candidates = self._candidates(features.astype(np.float32))
        apart = self._features[candidates].astype(np.float64) - features
        squared = np.vecdot(apart, apart)
        order = np.lexsort((candidates, squared))[: self.k]
        return Near(candidates[order], squared[order])

    def _candidates(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        wanted = self.k + _SPARE
        if self._graph is None:
            if wanted >= len(self._features):
                return np.arange(len(self._features))
            # One thread, where a matrix product would take all and wait for busy ones.
            apart = np.vecdot(self._features, -features)
            return np.argpartition(apart, wanted)[:wanted].astype(np.int64)
        nodes = self._nodes_near(features, min(wanted, len(self._twins)))
        counts = self._twins[nodes]
        # Of each node, the places first, first + 1, ... of its prompts in their order by node.
        skipped = np.repeat(self._first[nodes] - (np.cumsum(counts) - counts), counts)
        return self._by_node[skipped + np.arange(len(skipped))]

    def _nodes_near(self, features: NDArray[np.float32], wanted: int) -> NDArray[np.uint64]:
        """The nearest nodes that the graph leads to, which may be fewer, but never none."""
        while wanted > 1:
            try:
                return self._query(features, wanted)
            except RuntimeError:  # hnswlib gives none where it reaches too few
                wanted //= 2
        return self._query(features, 1)

    def _query(self, features: NDArray[np.float32], wanted: int) -> NDArray[np.uint64]:
        return np.asarray(self._graph.knn_query(features, wanted, num_threads=1)[0][0], np.uint64)
