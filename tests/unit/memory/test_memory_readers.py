import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from scoring.memory import Memory
from scoring.memory.exact import ExactBuffer
from scoring.memory.neighbours import NeighbourIndex
from scoring.memory.segment import Segment


def test_a_read_comes_between_two_insertions_of_a_long_merge(
    settings, space, sample, learn, until, monkeypatch
):
    """Structure, not time: the read that arrives during one insertion precedes the next."""
    inserted, seen, merging = [], [], threading.Event()
    real_insert, real_search = Segment.insert, NeighbourIndex.search

    def insert(self, seq, vector, twin):
        if not inserted:
            merging.set()
            until(lambda: memory._pools["pool"].lock._waiting)
        inserted.append(seq)
        real_insert(self, seq, vector, twin)

    def search(self, vector, k):
        seen.append(len(inserted))
        return real_search(self, vector, k)

    with Memory.open(replace(settings, exact=30)) as memory:
        learn(memory, range(30))
        monkeypatch.setattr(Segment, "insert", insert)
        monkeypatch.setattr(NeighbourIndex, "search", search)
        futures = [memory.learn("pool", space, sample(n)) for n in range(30, 60)]
        assert merging.wait(30)
        memory.recall("pool", space, sample(0).prompt, 3)
        for future in futures:
            future.result(30)
        until(lambda: len(inserted) == 60)
    assert seen == [1]


def test_readers_are_not_held_off_while_buffers_are_copied(settings, learn, settle, monkeypatch):
    """A graph is dissolved, and a full buffer replaced, beside the readers."""
    copied, added = [], []
    real_joined, real_add = ExactBuffer.joined, ExactBuffer.add

    def joined(self, seqs, vectors):
        copied.append((len(seqs), memory._pools["pool"].lock._writer))
        return real_joined(self, seqs, vectors)

    def add(self, seq, vector):
        added.append(seq)
        real_add(self, seq, vector)

    with Memory.open(replace(settings, segment_samples=32)) as memory:
        learn(memory, range(36))
        settle(memory)
        monkeypatch.setattr(ExactBuffer, "joined", joined)
        monkeypatch.setattr(ExactBuffer, "add", add)
        for number in range(36, 200):  # a commit for each, and so a chance to dissolve
            learn(memory, [number])
    assert (4, False) in copied  # dissolved at an eighth
    assert (0, False) in copied  # made roomier
    assert not any(held for _, held in copied)
    assert added == list(range(36, 200))  # no survivor one by one


def consistent_recall(memory, space, rng, prompts):
    wanted = rng.integers(len(prompts))
    found = memory.recall("pool", space, prompts[wanted], 8)
    numbers = found.rows[:, 0].astype(int)
    assert len(set(numbers.tolist())) == len(numbers) == 8
    expected = ((prompts[numbers] - prompts[wanted]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found.squared_distances, expected, rtol=1e-4, atol=1e-6)
    assert (np.diff(found.squared_distances) >= 0).all()
    assert numbers.max() - numbers.min() < 64


def consistent_totals(memory, space):
    totals = memory.totals("pool", space)
    assert 63 <= totals.samples <= 64
    assert totals.counts.tolist() == [totals.samples] * 3
    assert totals.voter_samples.tolist() == [totals.samples] * 3
    # Numbers without a gap: a sample half added or half gone would show.
    first = (totals.sums[0] - sum(range(totals.samples))) / totals.samples
    assert first == int(first)


def test_readers_see_whole_samples_while_others_come_and_go(settings, space, sample, learn):
    count = 1200
    prompts = np.stack([sample(number).prompt for number in range(count)])
    finished = threading.Event()

    def read(seed):
        rng, reads = np.random.default_rng(seed), 0
        while not finished.is_set() or not reads:
            consistent_recall(memory, space, rng, prompts)
            consistent_totals(memory, space)
            reads += 1
        return reads

    with Memory.open(settings) as memory, ThreadPoolExecutor() as threads:
        learn(memory, range(64))
        readers = [threads.submit(read, seed) for seed in range(2)]
        try:
            for start in range(64, count, 16):
                learn(memory, range(start, min(start + 16, count)))
        finally:
            finished.set()
        assert all(reader.result(60) for reader in readers)


def test_many_threads_learn_at_once(opened, space, sample):
    def learn(number):
        return opened.learn("pool", space, sample(number)).result(30).revision

    with ThreadPoolExecutor(8) as threads:
        revisions = list(threads.map(learn, range(60)))
    assert sorted(revisions) == list(range(1, 61))
    assert opened.totals("pool", space).sums[0] == sum(range(60))


def files(settings):
    return list((settings.directory / "segments").iterdir())


def test_a_graph_is_saved_once_nobody_reads(settings, space, sample, learn, settle, until):
    """Without another request: the writer comes back for it."""
    with Memory.open(settings) as memory:
        learn(memory, range(60))
        settle(memory)
        memory.recall("pool", space, sample(0).prompt, 1)
        learn(memory, range(60, 68))
        settle(memory)
        until(lambda: settings.directory / "segments" / "1-samples-48-63.hnsw" in files(settings))


def test_a_graph_that_has_waited_for_long_is_saved_anyhow(
    settings, space, sample, learn, settle, monkeypatch
):
    monkeypatch.setattr("scoring.memory.writer.QUIET_SECONDS", 3600.0)
    with Memory.open(settings) as memory:
        learn(memory, [0])
        memory.recall("pool", space, sample(0).prompt, 1)
        monkeypatch.setattr("scoring.memory.writer.OVERDUE_SECONDS", 0.0)
        learn(memory, range(1, 60))
        settle(memory)
        assert len(files(settings)) == 4


def test_all_that_is_due_is_saved_when_one_has_waited_for_long(
    settings, space, sample, learn, settle, monkeypatch
):
    """Else the last of many pools would be saved days later."""
    monkeypatch.setattr("scoring.memory.writer.QUIET_SECONDS", 7200.0)
    with Memory.open(settings) as memory:
        for pool in ("pool", "other"):
            learn(memory, [0], pool)
            memory.recall(pool, space, sample(0).prompt, 1)
            learn(memory, range(1, 60), pool)
        settle(memory)
        assert files(settings) == []
        memory._writer._saved_at -= 3600.0
        learn(memory, [60])
        settle(memory)
        assert len(files(settings)) == 8


def test_no_graph_is_saved_while_somebody_reads_until_the_memory_is_closed(
    settings, space, sample, learn, settle, monkeypatch
):
    """hnswlib keeps the interpreter while it saves a graph, and nobody could read."""
    monkeypatch.setattr("scoring.memory.writer.QUIET_SECONDS", 3600.0)
    with Memory.open(settings) as memory:
        learn(memory, [0])
        memory.recall("pool", space, sample(0).prompt, 1)
        learn(memory, range(1, 60))
        settle(memory)
        assert files(settings) == []
    assert len(files(settings)) == 4
