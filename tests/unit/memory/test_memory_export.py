from sqlite3 import ProgrammingError

import numpy as np
import pytest

from scoring.memory.schema import connect


def test_what_comes_out_is_what_went_in(opened, sample, learn):
    orders = [("a", "b", "c"), ("c", "z", "a"), ("q",), ("z", "a")]
    for number, voters in enumerate(orders):
        learn(opened, [number], voters=voters)
    for number, stored in enumerate(opened.samples("pool")):
        wanted = sample(number, voters=orders[number])
        assert stored.sample_id == wanted.sample_id
        assert stored.voters == wanted.voters
        assert stored.learned_at == wanted.learned_at
        np.testing.assert_array_equal(stored.pairs, wanted.pairs)
        np.testing.assert_array_equal(stored.prompt, wanted.prompt)
        assert stored.features is None
        assert stored.prompt.dtype == stored.pairs.dtype == np.float32


def test_features_come_out_as_they_went_in(opened, learn):
    features = np.array([[0.5, np.nan], [-0.25, 3.0], [np.nan, np.nan]], np.float32)
    learn(opened, [1], features=features)
    learn(opened, [2], voters=("z",), features=features[:1].astype(np.float64))
    one, two = opened.samples("pool")
    np.testing.assert_array_equal(one.features, features)
    np.testing.assert_array_equal(two.features, features[:1])
    assert one.features.dtype == two.features.dtype == np.float32
    learn(opened, [3], pool="copy", features=one.features)
    np.testing.assert_array_equal(next(opened.samples("copy")).features, features)


def test_an_export_sees_one_moment_while_learning_goes_on(opened, learn, monkeypatch):
    monkeypatch.setattr("scoring.memory.export._CHUNK", 4)
    learn(opened, range(60))
    stream = opened.samples("pool")
    seen = [next(stream).sample_id]
    learn(opened, range(60, 200), voters=("new", "a"))
    seen += [stored.sample_id for stored in stream]
    assert seen == [f"sample-{number}" for number in range(60)]


def test_an_export_outlives_the_deletion_of_its_pool(opened, learn, monkeypatch):
    monkeypatch.setattr("scoring.memory.export._CHUNK", 4)
    learn(opened, range(10))
    stream = opened.samples("pool")
    next(stream)
    assert opened.delete("pool").result(30) == 10
    assert len(list(stream)) == 9


def test_an_export_that_is_given_up_lets_go_of_the_log(opened, learn, monkeypatch):
    connections = []

    def spy(path):
        connections.append(connect(path))
        return connections[-1]

    monkeypatch.setattr("scoring.memory.export.connect", spy)
    learn(opened, range(10))
    stream = opened.samples("pool")
    next(stream)
    (connection,) = connections
    assert connection.in_transaction
    stream.close()
    with pytest.raises(ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_neither_prompts_nor_answers_have_a_place_in_the_log(opened, settings, learn):
    learn(opened, [1])
    connection = connect(settings.directory / "memory.sqlite3")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(samples)")]
    connection.close()
    assert columns == [
        "pool_id", "seq", "sample_id", "learned_at", "voters", "pairs", "prompt", "features",
    ]  # fmt: skip
