import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders import Parallelism, share_cores


@pytest.mark.parametrize(
    ("cores", "threads", "expected"),
    [
        (1, 0, Parallelism(1, 1)),
        (2, 0, Parallelism(2, 1)),
        (4, 0, Parallelism(4, 1)),
        (8, 0, Parallelism(4, 5)),
        (2, 1, Parallelism(1, 2)),
        (2, 8, Parallelism(8, 1)),
    ],
)
def test_the_rule(cores, threads, expected):
    assert share_cores(cores, threads) == expected


@given(st.integers(1, 256), st.integers(0, 256))
def test_every_core_has_work_and_no_batch_waits(cores, threads):
    found = share_cores(cores, threads)
    assert found.batches >= 1
    busy = found.threads + found.batches - 1
    assert busy >= cores
    assert busy <= max(cores, found.threads)
