"""Routers learned from vectors equal their definitions, computed slowly; HNSW is brute force."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.routers import build_router
from scoring.routers.features import features_of
from scoring.routers.neighbours import Neighbours
from scoring.routers.reference import (
    cluster_scores,
    feature_rows,
    logistic_score,
    mixture,
    neighbour_weights,
    network_score,
    shrunk_mean,
)

SEEDS = st.integers(0, 2**32 - 1)
PROPERTY = settings(max_examples=40)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
# Features of training prompts are kept in float32.
NEAR = {"rtol": 1e-4, "atol": 3e-6}
WEIGHTINGS = st.sampled_from(["uniform", "kernel", "adaptive", "similarity"])


class Drawn:
    """Arrays of any kind, of float32 numbers in no order."""

    def __init__(self, seed, models=3, dimension=4, rows=9):
        self.rng = np.random.default_rng(seed)
        self.models = tuple(f"model-{place}" for place in range(models))
        self.centre = self.normal(dimension)
        self.prompts = self.normal(rows, dimension)
        self.queries = np.concatenate([self.normal(3, dimension), self.prompts[:1], [self.centre]])
        self.qualities = self.rng.integers(0, 5, (rows, models)).astype(np.float32) / 4
        self.qualities[self.rng.random(self.qualities.shape) < 0.2] = np.nan

    def normal(self, *shape):
        return self.rng.normal(size=shape).astype(np.float32)

    def scores(self, kind, arrays, method=None):
        arrays = {"centre": self.centre, **arrays}
        return build_router(kind, self.models, arrays, method).score(self.queries).scores

    def without_ties(self):
        """Leaves out the centre, from which all prompts are equally far, up to rounding."""
        self.queries = self.queries[:-1]
        return self

    def features(self, vectors):
        return feature_rows(vectors.tolist(), self.centre.tolist())


@st.composite
def localities(draw):
    return {
        "k": draw(st.integers(1, 12)),
        "weighting": draw(WEIGHTINGS),
        "bandwidth": draw(st.sampled_from([0.1, 0.5, 3.0])),
        "pseudo_count": draw(st.sampled_from([0.0, 0.5, 30.0])),
    }


@given(SEEDS)
@PROPERTY
def test_features_equal_their_definition(seed):
    drawn = Drawn(seed)
    found = features_of(drawn.queries, drawn.centre)
    np.testing.assert_allclose(found, drawn.features(drawn.queries), atol=1e-15)
    for vector, row in zip(drawn.queries, found, strict=True):
        assert np.array_equal(features_of(vector, drawn.centre), row)


@given(SEEDS, localities())
@PROPERTY
def test_labelled_neighbours_equal_their_definition(seed, method):
    drawn = Drawn(seed).without_ties()
    means = drawn.normal(3)
    arrays = {"prompts": drawn.prompts, "qualities": drawn.qualities, "means": means}
    found = drawn.scores("labelled-knn", arrays, method)
    known = drawn.features(drawn.prompts)
    for features, row in zip(drawn.features(drawn.queries), found, strict=True):
        weights = neighbour_weights(
            features, known, method["k"], method["weighting"], method["bandwidth"]
        )
        expected = [
            shrunk_mean(
                drawn.qualities[list(weights), model].tolist(),
                list(weights.values()),
                float(means[model]),
                method["pseudo_count"],
            )
            for model in range(3)
        ]
        np.testing.assert_allclose(row, expected, **NEAR)


@given(SEEDS, localities(), st.integers(1, 4))
@PROPERTY
def test_shrinkage_equals_its_definition(seed, method, tasks):
    drawn = Drawn(seed).without_ties()
    arrays = {
        "prompts": drawn.prompts,
        "qualities": drawn.qualities,
        "task_weights": drawn.normal(tasks, 4),
        "task_biases": drawn.normal(tasks),
        "task_means": drawn.normal(tasks, 3),
    }
    found = drawn.scores("shrinkage", arrays, method)

    def prior(features):
        names = ("task_weights", "task_biases", "task_means")
        return mixture(features, *(arrays[name].tolist() for name in names))

    known = drawn.features(drawn.prompts)
    departures = drawn.qualities.astype(np.float64) - [prior(features) for features in known]
    for features, row in zip(drawn.features(drawn.queries), found, strict=True):
        weights = neighbour_weights(
            features, known, method["k"], method["weighting"], method["bandwidth"]
        )
        local = [
            shrunk_mean(
                departures[list(weights), model].tolist(),
                list(weights.values()),
                0.0,
                method["pseudo_count"],
            )
            for model in range(3)
        ]
        np.testing.assert_allclose(row, np.add(prior(features), local), **NEAR)


@given(SEEDS, st.integers(1, 7), st.sampled_from([0.01, 0.1, 2.0]))
@PROPERTY
def test_clusters_equal_their_definition(seed, nearest, temperature):
    drawn = Drawn(seed)
    arrays = {"centroids": drawn.normal(5, 4), "means": drawn.normal(5, 3)}
    method = {"nearest": nearest, "temperature": temperature}
    found = drawn.scores("clusters", arrays, method)
    tables = [arrays[name].tolist() for name in ("centroids", "means")]
    expected = [
        cluster_scores(features, *tables, nearest, temperature)
        for features in drawn.features(drawn.queries)
    ]
    np.testing.assert_allclose(found, expected, **CLOSE)


@given(SEEDS, st.sampled_from([1.0, 300.0]))
@PROPERTY
def test_logistic_classifiers_equal_their_definition(seed, scale):
    drawn = Drawn(seed)
    weights, biases = drawn.normal(3, 4) * np.float32(scale), drawn.normal(3)
    found = drawn.scores("logistic", {"weights": weights, "biases": biases})
    expected = [
        [logistic_score(features, weights[m].tolist(), float(biases[m])) for m in range(3)]
        for features in drawn.features(drawn.queries)
    ]
    np.testing.assert_allclose(found, expected, **CLOSE)


@given(SEEDS, st.booleans())
@PROPERTY
def test_networks_equal_their_definition(seed, shared):
    drawn = Drawn(seed)
    own = () if shared else (3,)
    hidden, hidden_biases = drawn.normal(*own, 5, 4), drawn.normal(*own, 5)
    weights, biases = drawn.normal(3, 5), drawn.normal(3)
    arrays = {"hidden_weights": hidden, "hidden_biases": hidden_biases}
    kind = "network" if shared else "separate-networks"
    found = drawn.scores(kind, {**arrays, "weights": weights, "biases": biases})
    layers = [
        (hidden if shared else hidden[m], hidden_biases if shared else hidden_biases[m])
        for m in range(3)
    ]
    expected = [
        [
            network_score(
                features, rows.tolist(), own.tolist(), weights[m].tolist(), float(biases[m])
            )
            for m, (rows, own) in enumerate(layers)
        ]
        for features in drawn.features(drawn.queries)
    ]
    np.testing.assert_allclose(found, expected, **CLOSE)


@given(SEEDS)
@PROPERTY
def test_a_stack_is_the_weighted_sum_of_its_members(seed):
    drawn = Drawn(seed)
    logistic = {"weights": drawn.normal(3, 4), "biases": drawn.normal(3)}
    embeddings = drawn.normal(3, 4)
    weights = drawn.normal(3)
    arrays = {
        "weights": weights,
        "0.centre": drawn.centre,
        **{f"0.{name}": array for name, array in logistic.items()},
        "1.llm_embeddings": embeddings,
    }
    members = [
        {"kind": "logistic"},
        {"kind": "routerdc"},
        {"kind": "random", "method": {"seed": 4}},
    ]
    router = build_router("stack", drawn.models, arrays, {"members": members})
    found = router.score(drawn.queries).scores
    alone = [
        drawn.scores("logistic", logistic),
        build_router("routerdc", drawn.models, {"llm_embeddings": embeddings}),
        build_router("random", drawn.models, {}, {"seed": 4}),
    ]
    tables = [alone[0], *(each.score(drawn.queries).scores for each in alone[1:])]
    expected = sum(float(w) * table for w, table in zip(weights, tables, strict=True))
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("copies", [1, 20])
def test_the_graph_finds_what_brute_force_finds(copies):
    rng = np.random.default_rng(5)
    rows = np.repeat(rng.normal(size=(2000 // copies, 24)).astype(np.float32), copies, axis=0)
    queries = np.concatenate([rng.normal(size=(40, 24)), rows[:10]]).astype(np.float32)
    centre = rows.mean(axis=0)
    graph, exact = (Neighbours(rows, centre, 30, exact_rows=most) for most in (0, 2000))
    shared = []
    for features in features_of(queries, centre):
        found, wanted = graph.of(features), exact.of(features)
        assert (np.diff(found.squared) >= 0).all()
        assert len(set(found.rows.tolist())) == 30
        shared.append(len(set(found.rows.tolist()) & set(wanted.rows.tolist())))
        if shared[-1] == 30:
            np.testing.assert_array_equal(found.rows, wanted.rows)
            np.testing.assert_array_equal(found.squared, wanted.squared)
    assert np.mean(shared) >= 0.99 * 30


def test_exact_neighbours_are_the_nearest_and_of_equals_the_first():
    rng = np.random.default_rng(6)
    rows = np.repeat(rng.normal(size=(60, 8)).astype(np.float32), 3, axis=0)
    centre = np.zeros(8, np.float32)
    known = features_of(rows, centre)
    for features in features_of(rng.normal(size=(20, 8)).astype(np.float32), centre):
        squared = np.square(known - features).sum(axis=1)
        near = Neighbours(rows, centre, 10).of(features)
        expected = np.lexsort((np.arange(len(rows)), squared.round(12)))[:10]
        assert near.rows.tolist() == expected.tolist()
        np.testing.assert_allclose(near.squared, squared[expected], atol=1e-12)


def test_a_graph_of_equal_prompts_gives_them_all():
    rows = np.ones((50, 4), np.float32)
    near = Neighbours(rows, np.zeros(4, np.float32), 20, exact_rows=0).of(np.full(4, 0.5))
    assert near.rows.tolist() == list(range(20))


def test_graphs_of_the_same_prompts_are_the_same():
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(1500, 16)).astype(np.float32)
    centre = rows.mean(axis=0)
    one, other = (Neighbours(rows, centre, 50, exact_rows=0) for _ in range(2))
    for features in features_of(rows[:30] + np.float32(0.1), centre):
        assert np.array_equal(one.of(features).rows, other.of(features).rows)


def test_threads_that_ask_at_once_get_what_one_gets():
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(3000, 16)).astype(np.float32)
    near = Neighbours(rows, rows.mean(axis=0), 40, exact_rows=0)
    queries = list(features_of(rng.normal(size=(400, 16)).astype(np.float32), rows[0]))
    alone = [near.of(features) for features in queries]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(near.of, queries), strict=True):
            assert np.array_equal(one.rows, other.rows)
            assert np.array_equal(one.squared, other.squared)


def test_a_graph_that_reaches_too_few_gives_fewer():
    class Torn:
        def knn_query(self, features, wanted, num_threads):
            if wanted > 5:
                raise RuntimeError("Cannot return the results in a contiguous 2D array.")
            return np.arange(wanted, dtype=np.uint64)[None], np.zeros((1, wanted), np.float32)

    rows = np.random.default_rng(9).normal(size=(60, 4)).astype(np.float32)
    near = Neighbours(rows, np.zeros(4, np.float32), 10, exact_rows=0)
    near._graph = Torn()
    found = near.of(np.zeros(4))
    assert 1 <= len(found.rows) <= 5
    assert (np.diff(found.squared) >= 0).all()
