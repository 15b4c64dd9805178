"""Imports: patient with a busy writer, and never in the way of live traffic."""

import asyncio
import time
from concurrent.futures import Future

import numpy as np
import pytest

from scoring.errors import SpaceMismatchError, TooManyVotersError
from scoring.memory import Durability, EmbeddingSpace, Memory, MemorySettings, NewOutcome, NewSample
from server.calibration import Calibrations
from server.errors import InvalidRequestError, Violation
from server.pools import Counts, Pools

SPACE = EmbeddingSpace("vectors/test", 2)


@pytest.fixture
def memory(tmp_path):
    settings = MemorySettings(directory=tmp_path, queue=2, max_voters=3, time_to_live=3600.0)
    with Memory.open(settings) as memory:
        yield memory


def sample(index: int, *, age: float = 0.0, voters: tuple[str, ...] = ("a", "b")) -> NewSample:
    return NewSample(
        sample_id=f"s{index}",
        prompt=np.array([index, 1], np.float32),
        voters=voters,
        pairs=np.ones(len(voters) * (len(voters) - 1) // 2, np.float32),
        learned_at=time.time() - age,
    )


async def each(*items: NewSample | NewOutcome):
    for one in items:
        yield one


async def test_an_import_larger_than_the_queue_waits_for_the_writer(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=50)
    imported = await pools.import_samples("p", SPACE, each(*map(sample, range(200))))
    assert imported.samples == Counts(imported=200)
    assert memory.describe("p").samples == 200


async def test_what_is_there_or_too_old_is_counted_as_such(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=1)
    await pools.import_samples("p", SPACE, each(sample(1)))
    imported = await pools.import_samples("p", SPACE, each(sample(1), sample(2, age=1e6)))
    assert imported.samples == Counts(skipped=1, expired=1)
    assert imported.durability is None
    again = await pools.import_samples("p", SPACE, each(sample(3)))
    assert again.durability is Durability.PROCESS


async def test_an_import_that_fails_keeps_what_it_acknowledged_and_frees_the_next(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=1)
    crowd = sample(2, voters=("a", "b", "c", "d"))
    with pytest.raises(TooManyVotersError):
        await pools.import_samples("p", SPACE, each(sample(1), crowd))
    with pytest.raises(SpaceMismatchError):
        await pools.import_samples("p", EmbeddingSpace("other", 2), each(sample(3)))
    assert (await pools.import_samples("p", SPACE, each(sample(4)))).samples.imported == 1
    assert memory.describe("p").samples == 2


async def test_an_import_whose_caller_is_slow_holds_up_no_other(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=2)
    go_on = asyncio.Event()

    async def slow():
        yield sample(1)
        await go_on.wait()
        yield sample(2)

    first = asyncio.create_task(pools.import_samples("p", SPACE, slow()))
    async with asyncio.timeout(10):
        other = await pools.import_samples("q", SPACE, each(*map(sample, range(50))))
    assert other.samples == Counts(imported=50)
    go_on.set()
    assert (await first).samples == Counts(imported=2)


async def test_what_came_before_an_invalid_item_is_written_or_its_refusal_told(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=9)

    async def ending_badly(*items):
        for one in items:
            yield one
        raise InvalidRequestError([Violation("items[2]", "is bad")])

    with pytest.raises(InvalidRequestError):
        await pools.import_samples("p", SPACE, ending_badly(sample(1), sample(2)))
    assert memory.describe("p").samples == 2
    crowd = sample(3, voters=("b", "c", "d"))
    with pytest.raises(TooManyVotersError):
        await pools.import_samples("p", SPACE, ending_badly(crowd, sample(4)))
    assert memory.describe("p").samples == 3


async def test_imports_share_what_may_be_in_flight(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=3)
    waiting, learn = [], memory.learn

    def learn_later(pool, space, new):
        writing = Future()
        waiting.append((writing, pool, space, new))
        return writing

    memory.learn = learn_later
    imports = [
        asyncio.create_task(pools.import_samples(name, SPACE, each(*map(sample, range(9)))))
        for name in "pq"
    ]
    most = 0
    while not all(each.done() for each in imports):
        await asyncio.sleep(0.001)
        most = max(most, len(waiting))
        for writing, *asked in waiting[:1]:
            del waiting[0]
            writing.set_result(learn(*asked).result(30))
    assert most == 3
    assert [task.result().samples.imported for task in imports] == [9, 9]


async def test_a_pool_that_is_removed_meanwhile_is_not_among_the_reports(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=3)
    for name in ("p", "q"):
        await pools.import_samples(name, SPACE, each(sample(1)))
    totals = memory.totals

    def remove_first(pool, space, **options):
        if memory.has("p"):
            memory.delete("p").result(30)
        return totals(pool, space, **options)

    memory.totals = remove_first
    assert [report.description.name for report in pools.reports()] == ["q"]


async def test_samples_come_back_in_order(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=2)
    await pools.import_samples("p", SPACE, each(*map(sample, range(600))))
    assert [one.sample_id async for one in pools.samples("p")] == [f"s{i}" for i in range(600)]


def outcome(index: int, *, age: float = 0.0) -> NewOutcome:
    return NewOutcome(
        outcome_id=f"o{index}",
        model="a",
        quality=0.5,
        recorded_at=time.time() - age,
        sample_id=f"s{index}",
        prompt=np.array([index, 1], np.float32),
    )


async def test_outcomes_are_imported_beside_samples_and_counted_apart(memory):
    pools = Pools(memory, Calibrations(memory, None), writes_in_flight=3)
    items = [made(index) for index in range(100) for made in (sample, outcome)]
    imported = await pools.import_samples("p", SPACE, each(*items))
    assert (imported.samples, imported.outcomes) == (Counts(imported=100), Counts(imported=100))
    again = await pools.import_samples("p", SPACE, each(outcome(1), outcome(200, age=1e6)))
    assert again.outcomes == Counts(skipped=1, expired=1)
    assert [one.outcome_id async for one in pools.outcomes("p")] == [f"o{i}" for i in range(100)]
