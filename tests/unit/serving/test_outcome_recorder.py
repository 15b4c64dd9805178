"""Recording outcomes, where the memory is slow or does not take them."""

import asyncio
from concurrent.futures import Future

import numpy as np
import pytest

from scoring.errors import MemoryBusyError, PoolNotFoundError
from scoring.memory import Durability, Memory, MemorySettings, OutcomeReceipt
from server.encoding import EncoderIdentity, ServedEncoder
from server.outcomes import OutcomeRecorder
from server.requests import OutcomeRequest, PromptVector

PROMPT = PromptVector(np.ones(2, np.float32), "mine")


@pytest.fixture
def memory(tmp_path):
    with Memory.open(MemorySettings(directory=tmp_path)) as memory:
        yield memory


def recorder(memory, *, create_pools=True) -> OutcomeRecorder:
    served = ServedEncoder(None, EncoderIdentity("rev", 2, 8))
    return OutcomeRecorder(served, memory, create_pools=create_pools)


def request(**fields) -> OutcomeRequest:
    defaults = {"pool": "p", "sample_id": "", "prompt": PROMPT, "model": "m", "quality": 0.5}
    return OutcomeRequest(**{**defaults, "outcome_id": "o", **fields})


async def test_an_outcome_reaches_the_memory_whole(memory):
    reply = await recorder(memory).record(request())
    assert (reply.outcome_id, reply.recorded.durability) == ("o", Durability.PROCESS)
    assert memory.space("p").id == "vectors/mine"
    totals = memory.outcome_totals("p")
    assert (totals.models, totals.quality_sums.tolist(), totals.counts.tolist()) == (
        ("m",), [0.5], [1]
    )  # fmt: skip


async def test_an_unknown_pool_is_refused_where_none_is_created(memory):
    with pytest.raises(PoolNotFoundError):
        await recorder(memory, create_pools=False).record(request())
    assert not memory.has("p")


async def test_an_outcome_that_came_too_late_says_so(memory, monkeypatch):
    receipt = OutcomeReceipt("o", "s", Durability.PROCESS, existed=False, expired=True)
    done: Future = Future()
    done.set_result(receipt)
    monkeypatch.setattr(memory, "record", lambda *_, **__: done)
    written = (await recorder(memory).record(request())).recorded
    assert (written.durability, written.reason) == (None, "OUTCOME_EXPIRED")


async def test_a_full_queue_is_an_error_and_not_a_receipt(memory, monkeypatch):
    def record(*_, **__):
        raise MemoryBusyError("Full.")

    monkeypatch.setattr(memory, "record", record)
    with pytest.raises(MemoryBusyError):
        await recorder(memory).record(request())


async def test_a_caller_who_gives_up_does_not_stop_the_writer(memory, monkeypatch):
    writing: Future = Future()
    monkeypatch.setattr(memory, "record", lambda *_, **__: writing)
    call = asyncio.create_task(recorder(memory).record(request()))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not writing.cancelled()
    assert writing.set_running_or_notify_cancel()
