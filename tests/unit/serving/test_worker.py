"""Small work runs at once where nobody is held up, and all other work in its thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.worker import EstimateWorker


def thread_of(*, name: str) -> tuple[str, int]:
    return name, threading.get_ident()


def fail() -> None:
    raise ValueError("no")


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.mark.parametrize(
    ("small", "alone", "at_once"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
async def test_only_small_work_that_is_alone_runs_at_once(threads, small, alone, at_once):
    worker = EstimateWorker(threads, lambda: alone)
    run = worker.run_small if small else worker.run
    name, thread = await run(thread_of, name="x")
    assert name == "x"
    assert (thread == threading.get_ident()) is at_once


@pytest.mark.parametrize("alone", [True, False])
async def test_errors_come_back(threads, alone):
    with pytest.raises(ValueError, match="no"):
        await EstimateWorker(threads, lambda: alone).run_small(fail)
