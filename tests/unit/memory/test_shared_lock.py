import threading
import time

import pytest

from scoring.memory.locks import SharedLock


def run(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_readers_share():
    lock, together = SharedLock(), threading.Barrier(2, timeout=30)

    def read():
        with lock.read():
            together.wait()

    threads = [run(read), run(read)]
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not together.broken


def test_a_waiting_reader_comes_before_the_next_write(until):
    lock, order = SharedLock(), []

    def read():
        with lock.read():
            order.append("read")

    with lock.write():
        reader = run(read)
        until(lambda: lock._waiting)
        order.append("first write")
    with lock.write():  # asked for at once, before the reader can have woken up
        order.append("second write")
    reader.join(30)
    assert order == ["first write", "read", "second write"]


def test_the_writer_comes_before_readers_that_arrive_after_it(until):
    lock, order, leave = SharedLock(), [], threading.Event()

    def early():
        with lock.read():
            order.append("early")
            leave.wait(30)

    def write():
        with lock.write():
            order.append("write")

    def late():
        with lock.read():
            order.append("late")

    threads = [run(early)]
    until(lambda: lock._readers)
    threads.append(run(write))
    until(lambda: lock._writer)
    threads.append(run(late))
    until(lambda: lock._waiting)
    leave.set()
    for thread in threads:
        thread.join(30)
    assert order == ["early", "write", "late"]


def test_it_knows_when_a_reader_last_came():
    lock = SharedLock()
    with lock.write():
        assert lock.read_at == float("-inf")
    before = time.monotonic()
    with lock.read():
        assert before <= lock.read_at <= time.monotonic()


def test_an_error_inside_gives_the_lock_back():
    lock = SharedLock()
    for side in (lock.read, lock.write, lock.read):
        with pytest.raises(KeyError), side():
            {}["missing"]
    with lock.write():
        assert lock._readers == 0
