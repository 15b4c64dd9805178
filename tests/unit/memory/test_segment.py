from pathlib import Path

import numpy as np
import pytest

from scoring.errors import MemoryStorageError
from scoring.memory.segment import Segment, checksum, few
from scoring.memory.values import HnswParameters

HNSW = HnswParameters(m=8, ef_construction=64, ef_search=64)
DIMENSION = 16


def vectors(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def filled(rows, size=4096, start=0):
    segment = Segment(DIMENSION, size, HNSW)
    for seq, row in enumerate(rows, start):
        if segment.crowded:
            segment.grow()
        segment.insert(seq, row, segment.twin_of(row))
    return segment


def found(segment, query, k):
    (seqs,), (squared,) = segment.search(query[None], k)
    return set(seqs[np.argsort(squared, kind="stable")][:k].tolist())


def test_it_grows_beyond_its_first_room():
    rows = vectors(1100)
    segment = filled(rows)
    assert segment.count == segment.live == 1100
    assert found(segment, rows[1099], 1) == {1099}


def test_it_grows_once_for_all_and_while_it_is_small():
    """Copying a large graph would hold off every reader for as long."""
    rooms = []
    segment = Segment(DIMENSION, 40_000, HNSW)
    for seq, row in enumerate(vectors(1100)):
        if segment.crowded:
            rooms.append(segment.count)
            segment.grow()
        segment.insert(seq, row, None)
    assert rooms == [1024]
    assert segment._graph.get_max_elements() == 40_000


def test_a_graph_from_a_file_has_all_its_room(tmp_path):
    segment = filled(vectors(20))
    segment.save(tmp_path / "graph")
    again = Segment.load(tmp_path / "graph", DIMENSION, 50_000, HNSW, segment.twins())
    assert again._graph.get_max_elements() == 50_000
    smaller = Segment.load(tmp_path / "graph", DIMENSION, 10, HNSW, segment.twins())
    assert smaller.live == 20


def test_the_dead_are_not_found_and_the_last_living_is():
    rows = vectors(40)
    segment = filled(rows, start=100)
    for seq in range(100, 139):
        segment.remove(seq)
        assert not segment.holds(seq)
    assert found(segment, rows[0], 5) == {139}
    assert segment.sparse
    segment.remove(139)
    assert found(segment, rows[0], 5) == set()
    assert segment.twin_of(rows[0]) is None


@pytest.mark.parametrize(
    ("count", "most"), [(1_000, None), (8_192, 4_096), (20_000, 6_400), (100_000, 14_310)]
)
def test_few_are_as_many_as_are_compared_as_quickly(count, most):
    if most is None:
        assert not few(0, count)
    else:
        assert few(most, count)
        assert not few(most + 1, count)


def test_twins_share_a_node_and_outlive_each_other():
    rows = vectors(30)
    doubled = np.concatenate([rows, rows + np.float32(1e-7), rows])
    segment = filled(doubled)
    assert segment._graph.element_count == 30
    assert found(segment, rows[4], 3) == {4, 34, 64}
    segment.remove(4)  # the node bears its name, and stays
    assert found(segment, rows[4], 2) == {34, 64}
    segment.remove(64)
    segment.remove(34)
    assert not found(segment, rows[4], 30) & {4, 34, 64}
    assert segment.live == 87


def test_many_copies_do_not_hide_the_others():
    """Without twins, cliques of equal vectors cut the graph: recall fell to 0.75."""
    rows = vectors(60)
    copies = rows[np.random.default_rng(1).integers(0, 60, 1500)]
    segment = filled(copies)
    for query in vectors(50, seed=2):
        distances = ((copies - query) ** 2).sum(axis=1)
        _, (squared,) = segment.search(query[None], 20)
        nearest = np.sort(squared)[:20]
        np.testing.assert_allclose(nearest, np.sort(distances)[:20], rtol=1e-4)


def test_many_at_once_equal_one_by_one():
    rows = vectors(300)
    rows = np.concatenate([rows, rows[:50], rows[:20]])
    segment = Segment(DIMENSION, 4096, HNSW)
    for start in range(0, len(rows), 100):
        stop = min(start + 100, len(rows))
        segment.insert_many(np.arange(start, stop), rows[start:stop])
    assert segment._graph.element_count == 300
    assert found(segment, rows[7], 3) == {7, 307, 357}


def test_many_at_once_are_appended_where_some_reach_no_node(monkeypatch):
    segment, rows = filled(vectors(20)), vectors(20)
    real = segment._graph

    class Island:
        def __getattr__(self, name):
            return getattr(real, name)

        def knn_query(self, vector, k, num_threads):
            if len(vector) > 1:
                raise RuntimeError("Cannot return the results in a contiguous 2D array.")
            return real.knn_query(vector, k, num_threads=num_threads)

    monkeypatch.setattr(segment, "_graph", Island())
    segment.insert_many(np.arange(20, 40), rows)
    assert real.element_count == 20
    assert found(segment, rows[3], 2) == {3, 23}


def test_twins_within_one_batch_share_a_node():
    rows = vectors(10)
    segment = Segment(DIMENSION, 4096, HNSW)
    segment.insert_many(np.arange(30), np.concatenate([rows, rows, rows]))
    assert segment._graph.element_count == 10
    assert found(segment, rows[3], 3) == {3, 13, 23}


def test_survivors_come_with_their_vectors():
    rows = np.concatenate([vectors(20), vectors(20)[:3]])
    segment = filled(rows)
    for seq in (0, 5, 22):
        segment.remove(seq)
    seqs, survivors = segment.survivors()
    assert seqs.tolist() == [seq for seq in range(23) if seq not in (0, 5, 22)]
    np.testing.assert_array_equal(survivors, rows[seqs])
    for seq in seqs.tolist():
        segment.remove(seq)
    seqs, survivors = segment.survivors()
    assert (seqs.shape, survivors.shape) == ((0,), (0, DIMENSION))


def test_a_file_brings_back_the_living_their_twins_and_takes_more(tmp_path):
    rows = np.concatenate([vectors(60), vectors(60)[:5]])
    segment = filled(rows)
    for seq in (0, 1, 61, 30):
        segment.remove(seq)
    path = tmp_path / "graph"
    assert segment.save(path) == checksum(path)
    again = Segment.load(path, DIMENSION, 4096, HNSW, segment.twins())
    assert (again.first, again.last) == (0, 64)
    for seq in (0, 1, 61, 30):  # a file doesn't know all of the dead: the log does
        if again.holds(seq):
            again.remove(seq)
    assert again.live == segment.live
    for query in vectors(20, seed=3):
        assert found(again, query, 10) == found(segment, query, 10)
    new = vectors(1, seed=4)[0]
    if again.crowded:
        again.grow()
    again.insert(65, new, again.twin_of(new))
    assert found(again, new, 1) == {65}


def test_a_file_cut_short_is_an_error(tmp_path, monkeypatch):
    segment = filled(vectors(5))
    path = tmp_path / "graph"
    real = segment._graph

    class FullDisk:
        index_file_size = staticmethod(real.index_file_size)

        def save_index(self, name):
            Path(name).write_bytes(b"half")

    monkeypatch.setattr(segment, "_graph", FullDisk())
    with pytest.raises(MemoryStorageError, match="cut short"):
        segment.save(path)


def test_fewer_are_given_where_fewer_can_be_reached(monkeypatch):
    rows = vectors(20)
    segment = filled(rows)
    real = segment._graph

    class Island:
        """From which the third vector reaches five nodes."""

        def knn_query(self, queries, k, num_threads):
            if k > 5 and (queries == rows[2]).all(axis=1).any():
                raise RuntimeError("Cannot return the results in a contiguous 2D array.")
            return real.knn_query(queries, k, num_threads=num_threads)

    monkeypatch.setattr(segment, "_graph", Island())
    assert segment.search(rows[2:3], 20)[0].shape == (1, 5)
    seqs, _ = segment.search(rows[:4], 20)
    assert (seqs >= 0).sum(axis=1).tolist() == [20, 20, 5, 20]
    assert seqs[2, 0] == 2
    assert np.sort(seqs[3]).tolist() == list(range(20))


@pytest.mark.parametrize("copies", [1, 3])
def test_many_vectors_find_what_each_finds_by_itself(copies):
    segment = filled(np.repeat(vectors(40), copies, axis=0))
    queries = vectors(9, seed=4)
    together = segment.search(queries, 12)
    for query, seqs, squared in zip(queries, *together, strict=True):
        (own,), (apart,) = segment.search(query[None], 12)
        assert seqs[: len(own)].tolist() == own.tolist()
        assert (seqs[len(own) :] < 0).all()
        assert squared[: len(own)].tolist() == apart.tolist()
