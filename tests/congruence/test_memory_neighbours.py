"""Recall equals brute force: exactly where it is exact, nearly where graphs are asked."""

import time

import numpy as np
import pytest

from benchmarks.memory_recall import clustered
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewSample

VOTERS = ("a", "b")


def fill(memory, space, vectors, learned_at=0.0):
    futures = []
    for number, vector in enumerate(vectors):
        pairs = np.array([number], np.float32)
        sample = NewSample(str(number), vector, VOTERS, pairs, learned_at)
        futures.append(memory.learn("pool", space, sample))
        if len(futures) == 500:
            futures.pop(0).result(60)
    for future in futures:
        future.result(60)


def settle(memory):
    deadline = time.monotonic() + 120
    while memory._pools["pool"].neighbours.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def brute_force(vectors, numbers, query, k):
    distances = ((vectors[numbers].astype(np.float64) - query) ** 2).sum(axis=1)
    order = np.argsort(distances, kind="stable")[:k]
    return numbers[order], distances[order]


def recalled_numbers(found):
    return found.rows[:, 0].astype(int)


@pytest.mark.parametrize("k", [1, 7, 20, 300])
def test_a_young_pool_is_searched_exactly(tmp_path, k):
    rng = np.random.default_rng(k)
    vectors = rng.normal(size=(260, 24)).astype(np.float32)
    space = EmbeddingSpace("congruence", 24)
    with Memory.open(MemorySettings(tmp_path, capacity=200)) as memory:
        fill(memory, space, vectors)
        for query in rng.normal(size=(20, 24)).astype(np.float32):
            found = memory.recall("pool", space, query, k)
            numbers, distances = brute_force(vectors, np.arange(60, 260), query, k)
            assert recalled_numbers(found).tolist() == numbers.tolist()
            np.testing.assert_allclose(found.squared_distances, distances, rtol=1e-5)


def test_graphs_recall_what_brute_force_finds(tmp_path):
    """Recall@20 of at least 0.98, also after a restart and with a third forgotten."""
    dimension, count, capacity = 48, 6000, 5000
    vectors = clustered(count + 100, dimension, np.random.default_rng(0))
    vectors, queries = vectors[:count], vectors[count:]
    space = EmbeddingSpace("congruence", dimension)
    settings = MemorySettings(tmp_path, capacity=capacity, exact=256, segment_samples=1500)
    live = np.arange(count - capacity, count)
    with Memory.open(settings) as memory:
        fill(memory, space, vectors)
        settle(memory)
        assert len(memory._pools["pool"].neighbours.segments) >= 4
        before = [memory.recall("pool", space, query, 20) for query in queries]
        assert mean_recall(before, vectors, live, queries) >= 0.98
    with Memory.open(settings) as memory:
        after = [memory.recall("pool", space, query, 20) for query in queries]
        assert mean_recall(after, vectors, live, queries) >= 0.98


@pytest.mark.parametrize("count", [0, 3, 200, 900])
def test_many_prompts_together_recall_what_each_does_by_itself(tmp_path, count):
    """With graphs and without, with prompts that coincide and names left out."""
    rng = np.random.default_rng(count)
    vectors = rng.normal(size=(count, 16)).astype(np.float32)
    vectors[count // 2 :: 7] = vectors[: len(vectors[count // 2 :: 7])]
    space = EmbeddingSpace("congruence", 16)
    with Memory.open(MemorySettings(tmp_path, capacity=700, segment_samples=300)) as memory:
        fill(memory, space, np.concatenate([vectors, vectors[:1]] if count else [np.eye(1, 16)]))
        settle(memory)
        queries = np.concatenate([vectors[-20:], rng.normal(size=(5, 16)).astype(np.float32)])
        names = ["" if place % 3 else str(count - place) for place in range(len(queries))]
        for k in (0, 1, 20, 1000):
            together = memory.recall_each("pool", space, list(queries), k, names)
            for found, query, name in zip(together, queries, names, strict=True):
                own = memory.recall("pool", space, query, k, without=name)
                np.testing.assert_array_equal(found.rows, own.rows)
                np.testing.assert_array_equal(found.squared_distances, own.squared_distances)


def mean_recall(found, vectors, live, queries):
    hits = 0
    for each, query in zip(found, queries, strict=True):
        numbers, _ = brute_force(vectors, live, query, 20)
        recalled = recalled_numbers(each)
        assert len(recalled) == 20
        assert set(recalled.tolist()) <= set(live.tolist())
        hits += len(set(recalled.tolist()) & set(numbers.tolist()))
        expected = ((vectors[recalled] - query) ** 2).sum(axis=1)
        np.testing.assert_allclose(each.squared_distances, expected, rtol=1e-4, atol=1e-6)
    return hits / (20 * len(queries))
