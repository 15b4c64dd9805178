"""How the answers that outcomes are of lay: kept with their prompt, and forgotten with it."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import InvalidArrayError, MemoryStorageError, TooManyVotersError
from scoring.features import mean_distances
from scoring.memory import MeasuredAnswers, Memory
from scoring.memory.outcomes.judged import JudgedLog
from scoring.memory.outcomes.ledger import Ledger

VOTERS = ("a", "b", "c")


def features_of(number, voters=3):
    table = np.random.default_rng([number, 1]).normal(size=(voters, 2)).astype(np.float32)
    table[number % voters, 1] = np.nan
    return table


def measured_of(sample, number):
    wanted = sample(number)
    features = features_of(number) if wanted.features is None else wanted.features
    distances = mean_distances(wanted.pairs[None], len(wanted.voters))[0]
    return np.column_stack([distances, features])


@pytest.fixture
def judge(outcome):
    """Records an outcome of a sample by its name."""

    def _judge(memory, number, model="a", pool="pool", **fields):
        named = outcome(number, model, sample_id=f"sample-{number}", **fields)
        return memory.record(pool, None, named).result(30)

    return _judge


@pytest.fixture
def learned(opened, learn):
    for number in range(10):
        learn(opened, [number], features=features_of(number))
    return opened


def test_a_subject_keeps_how_the_answers_of_its_sample_lay(learned, sample, judge):
    for number, model in [(3, "b"), (7, "unseen"), (3, "a")]:
        judge(learned, number, model)
    found = learned.judged("pool")
    assert (found.models, found.voters) == (("b", "unseen", "a"), VOTERS)
    assert found.counts.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert found.quality_sums.tolist() == [[0.375, 0, 0.375], [0, 0.875, 0]]
    assert (found.measured.shape, found.measured.dtype) == ((2, 3, 3), np.float32)
    for row, number in enumerate((3, 7)):
        np.testing.assert_array_equal(found.measured[row], measured_of(sample, number))


def test_what_is_not_known_is_nan(opened, learn, record, judge):
    learn(opened, [0], pool="without")
    assert opened.judged_revision("without")[1] == 0
    record(opened, [1])
    assert opened.judged("pool").measured.shape == (1, 0, 3)
    learn(opened, [2], voters=("z",))
    learn(opened, [3], voters=("y", "z"))
    judge(opened, 2)
    judge(opened, 3)
    found = opened.judged("pool")
    assert found.voters == ("z", "y")
    assert np.isnan(found.measured[:2]).all()
    assert found.measured[2, :, 0].tolist() == [3.0, 3.0]
    assert np.isnan(found.measured[2, :, 1:]).all()


def test_voters_may_come_in_any_order(opened, learn, judge):
    learn(opened, [1])
    features = np.arange(6, dtype=np.float32).reshape(3, 2)
    learn(opened, [2], voters=("d", "c", "a"), features=features, pairs=np.float32([4, 2, 8]))
    judge(opened, 2)
    found = opened.judged("pool")
    assert found.voters == ("a", "b", "c", "d")
    rows = found.measured[0]
    assert rows[[3, 2, 0]].tolist() == [[3, 0, 1], [6, 2, 3], [5, 4, 5]]
    assert np.isnan(rows[1]).all()


def test_they_outlive_the_sample_and_a_restart(settings, sample, learn, judge):
    with Memory.open(settings) as memory:
        for number in range(4):
            learn(memory, [number], features=features_of(number))
        for number in (2, 0):
            judge(memory, number)
        learn(memory, range(100, 180))  # the capacity is 64
        before = memory.judged("pool")
    with Memory.open(settings) as memory:
        after = memory.judged("pool")
        assert memory.judged_revision("pool")[1] > 0
        assert after.measured.tobytes() == before.measured.tobytes()
        assert after.quality_sums.tolist() == before.quality_sums.tolist()
        np.testing.assert_array_equal(after.measured[0], measured_of(sample, 2))
        judge(memory, 2, "b")
        assert memory.judged("pool").counts.tolist() == [[1, 1], [1, 0]]


def test_they_go_with_their_prompt(learned, record, judge):
    judge(learned, 3)
    before = learned.judged_revision("pool")
    record(learned, range(100, 163))
    assert not np.isnan(learned.judged("pool").measured[0]).all()
    record(learned, [200])  # takes the place of the first
    found = learned.judged("pool")
    assert found.counts.sum() == len(found.counts) == 64
    assert np.isnan(found.measured).all()
    assert learned.judged_revision("pool")[1] >= before[1] + 65
    assert all(each.answers is None for each in learned.outcomes("pool"))


def test_they_expire_with_their_prompt(settings, learn, judge, until, monkeypatch):
    monkeypatch.setattr("scoring.memory.writer.SWEEP_SECONDS", 0.005)
    now = [1000.0]
    timed = replace(settings, time_to_live=50)
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        for number in (1, 2):
            learn(memory, [number], features=features_of(number))
            judge(memory, number, recorded_at=1000.0 + 40 * (number == 2))
        before = memory.judged_revision("pool")
        now[0] = 1060.0
        until(lambda: len(memory.judged("pool").counts) == 1)
        assert memory.judged_revision("pool") > before
        left = memory.judged("pool").measured
    with Memory.open(timed, clock=lambda: now[0]) as memory:
        assert memory.judged("pool").measured.tobytes() == left.tobytes()
    with Memory.open(timed, clock=lambda: 2000.0) as memory:
        assert memory.judged("pool").measured.shape == (0, 3, 3)


def test_a_sample_that_comes_after_its_outcome_tells_it(
    opened, settings, space, sample, outcome, learn
):
    early = outcome(4, sample_id="sample-4", prompt=sample(4).prompt)
    opened.record("pool", space, early).result(30)
    assert opened.judged("pool").measured.size == 0
    learn(opened, [4], features=features_of(4))
    np.testing.assert_array_equal(opened.judged("pool").measured[0], measured_of(sample, 4))
    opened.close()
    with Memory.open(settings) as memory:
        np.testing.assert_array_equal(memory.judged("pool").measured[0], measured_of(sample, 4))


def test_what_is_known_first_stays(opened, sample, learn, judge):
    learn(opened, [1], features=features_of(1))
    judge(opened, 1)
    learn(opened, range(100, 170))
    learn(opened, [1], features=features_of(9))  # its name is free again
    np.testing.assert_array_equal(opened.judged("pool").measured[0], measured_of(sample, 1))


def test_one_commit_may_hold_a_sample_and_its_outcome_either_way(
    opened, space, sample, outcome, learn, until
):
    learn(opened, [0], pool="gate")
    with opened._pools["gate"].lock.read():  # the writer waits here with the next sample
        opened.learn("gate", space, sample(1))
        until(lambda: not len(opened._writer.inbox))
        opened.learn("pool", space, sample(5, features=features_of(5)))
        opened.record("pool", None, outcome(5, sample_id="sample-5"))
        opened.record("pool", space, outcome(6, sample_id="sample-6", prompt=sample(6).prompt))
        last = opened.learn("pool", space, sample(6, features=features_of(6)))
    last.result(30)
    found = opened.judged("pool").measured
    for row, number in enumerate((5, 6)):
        np.testing.assert_array_equal(found[row], measured_of(sample, number))


def test_outcomes_take_them_elsewhere_without_their_sample(learned, space, learn, judge):
    for number, model in [(3, "a"), (3, "b"), (7, "c")]:
        judge(learned, number, model)
    stored = list(learned.outcomes("pool"))
    assert stored[0].answers.voters == VOTERS
    np.testing.assert_array_equal(stored[0].answers.features, features_of(3))
    for each in stored:
        learned.record("copy", space, each).result(30)
    one, two = learned.judged("pool"), learned.judged("copy")
    assert one.measured.tobytes() == two.measured.tobytes()
    assert two.voters == VOTERS
    assert learned.describe("copy").samples == 0
    learn(learned, [50], pool="copy", voters=("c", "new"))
    assert learned.judged("copy").voters == (*VOTERS, "new")
    assert learned.totals("copy", space).voter_samples.tolist() == [0, 0, 1, 1]


def test_a_sample_counts_for_more_than_what_an_outcome_brings(learned, space, sample, outcome):
    other = MeasuredAnswers(("x",), np.zeros(0, np.float32), np.ones((1, 2), np.float32))
    told = outcome(3, sample_id="sample-3", prompt=sample(3).prompt, answers=other)
    learned.record("pool", space, told).result(30)
    np.testing.assert_array_equal(learned.judged("pool").measured[0, :3], measured_of(sample, 3))


def test_an_outcome_may_tell_it_of_a_subject_that_is_there(opened, space, sample, outcome, record):
    record(opened, [3])
    (stored,) = opened.outcomes("pool")
    answers = MeasuredAnswers(VOTERS, sample(3).pairs, features_of(3))
    opened.record("pool", space, outcome(3, "b", answers=answers)).result(30)
    np.testing.assert_array_equal(opened.judged("pool").measured[0], measured_of(sample, 3))
    assert [each.sample_id for each in opened.outcomes("pool")] == [stored.sample_id] * 2


def test_a_revision_tells_a_pool_from_its_successor(learned, learn, judge):
    judge(learned, 1)
    before = learned.judged_revision("pool")
    learned.delete("pool").result(30)
    learn(learned, [1])
    judge(learned, 1)
    assert learned.judged_revision("pool")[0] != before[0]


def test_answers_of_too_many_voters_are_refused_with_their_outcome(settings, space, outcome, learn):
    with Memory.open(replace(settings, max_voters=4)) as memory:
        learn(memory, [1])
        answers = MeasuredAnswers(("x", "y"), np.ones(1, np.float32))
        future = memory.record("pool", space, outcome(2, answers=answers))
        assert isinstance(future.exception(30), TooManyVotersError)
        assert memory.describe("pool").outcomes == 0
        assert list(memory.outcomes("pool")) == []
        assert memory.totals("pool", space).voters == VOTERS


def test_answers_of_more_voters_than_any_pool_may_know_are_refused_at_once(
    settings, space, outcome
):
    with Memory.open(replace(settings, max_voters=2)) as memory:
        answers = MeasuredAnswers(VOTERS, np.ones(3, np.float32))
        with pytest.raises(TooManyVotersError, match="max_voters"):
            memory.record("pool", space, outcome(1, answers=answers))
        assert not memory.has("pool")


def test_answers_that_are_not_kept_need_no_room(settings, sample, learn, judge):
    with Memory.open(replace(settings, max_voters=4)) as memory:
        learn(memory, [1, 2], features=features_of(1))
        judge(memory, 1)
        answers = MeasuredAnswers(("x", "y"), np.ones(1, np.float32))
        for number, model in [(1, "b"), (2, "b")]:  # one is a subject, one becomes it now
            judge(memory, number, model, answers=answers)
        assert memory.judged("pool").counts.sum() == 3
        assert memory.judged("pool").voters == VOTERS
        learn(memory, [3], voters="ad")  # there is room for it still
    with Memory.open(settings) as memory:
        found = memory.judged("pool").measured[0, :3]
        expected = np.column_stack([mean_distances(sample(1).pairs[None], 3)[0], features_of(1)])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.zeros((2, 2)), "give \\(3, 2\\)"),
        (np.zeros(6), "give \\(3, 2\\)"),
        (np.full((3, 2), np.inf), "infinity"),
    ],
)
def test_features_of_another_form_are_refused(opened, space, sample, outcome, features, said):
    with pytest.raises(InvalidArrayError, match=said) as caught:
        opened.learn("pool", space, sample(1, features=features))
    assert caught.value.field == "features"
    answers = MeasuredAnswers(VOTERS, sample(1).pairs, features)
    with pytest.raises(InvalidArrayError, match=said):
        opened.record("pool", space, outcome(1, answers=answers))


@pytest.mark.parametrize(
    "answers",
    [
        MeasuredAnswers((), np.zeros(0, np.float32)),
        MeasuredAnswers(("a", "a"), np.zeros(1, np.float32)),
        MeasuredAnswers(("a", "\ud800"), np.zeros(1, np.float32)),
        MeasuredAnswers(("a", "b"), np.zeros(2, np.float32)),
        MeasuredAnswers(("a", "b"), np.float32([-1])),
    ],
)
def test_malformed_answers_of_an_outcome_are_refused(opened, space, outcome, answers):
    with pytest.raises(InvalidArrayError):
        opened.record("pool", space, outcome(1, answers=answers))


def test_a_commit_that_fails_leaves_no_trace(learned, sample, outcome, judge, monkeypatch):
    before = learned.judged_revision("pool")
    with monkeypatch.context() as broken:
        broken.setattr(JudgedLog, "add", _disk_error)
        future = learned.record("pool", None, outcome(3, sample_id="sample-3"))
        assert isinstance(future.exception(30), MemoryStorageError)
    assert learned.judged_revision("pool") == before
    assert len(learned.judged("pool").counts) == 0
    judge(learned, 3)
    np.testing.assert_array_equal(learned.judged("pool").measured[0], measured_of(sample, 3))


def _disk_error(*_):
    raise sqlite3.OperationalError("disk I/O error")


def test_the_writer_goes_in_between_the_parts(learned, sample, record, judge, monkeypatch):
    monkeypatch.setattr("scoring.memory.outcomes.ledger._PART", 2)
    for number in range(6):
        judge(learned, number)
    real, parts = Ledger._judged, []

    def judged(self, *asked):
        part = real(self, *asked)
        parts.append(len(part[1]))
        if len(parts) == 1:  # forgets subjects 0 to 3, and brings a new model and new voters
            record(learned, range(100, 162), model="new")
            future = learned.learn("pool", learned.space("pool"), sample(700, voters=("z",)))
            future.result(30)
        return part

    with monkeypatch.context() as watched:
        watched.setattr(Ledger, "_judged", judged)
        found = learned.judged("pool")
    assert parts == [2, 0, 2]
    assert found.models == ("a",)
    assert found.voters == VOTERS
    assert found.counts.tolist() == [[1]] * 4
    assert found.quality_sums[:, 0].tolist() == [0.0, 1 / 8, 4 / 8, 5 / 8]
    assert not np.isnan(found.measured[:, :, 0]).any()
    assert len(learned.judged("pool").counts) == 64


def test_rows_are_in_the_order_of_first_outcomes_when_slots_are_used_again(
    opened, record, learn, judge
):
    record(opened, range(70))  # the capacity is 64
    learn(opened, [500], features=features_of(500))
    judge(opened, 500, "late")
    found = opened.judged("pool")
    assert found.counts[-1].tolist() == [0, 1]
    assert found.quality_sums[0, 0] == 7 % 8 / 8
    assert not np.isnan(found.measured[-1, 0]).any()
    assert np.isnan(found.measured[:-1]).all()
