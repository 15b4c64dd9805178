"""Runs on a card, as far as a CPU shows them: the same bindings, on ONNX Runtime's CPU provider."""

import ctypes
import gc
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders import Provider, SentenceEncoder, device
from encoders.assembly import assemble_bert
from encoders.device import DeviceRuns, pinned
from tests.unit.encoding.tiny_bert import write_source


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    directory = write_source(tmp_path_factory.mktemp("tiny"))
    assemble_bert(directory, directory / "model.onnx")
    return SentenceEncoder.load(directory, provider=Provider.CPU, threads=1).network


@pytest.fixture(autouse=True)
def a_cpu_for_a_card(monkeypatch):
    monkeypatch.setattr(device, "DEVICE", "cpu")


def batch(rows, tokens, seed=0):
    random = np.random.default_rng(seed)
    ids = random.integers(4, 20, (rows, tokens))
    mask = (np.arange(tokens) < random.integers(1, tokens + 1, (rows, 1))).astype(np.int64)
    return ids, mask


def run(runs, network, ids, mask):
    return runs.run({"input_ids": ids, "attention_mask": mask}, network.inputs)


def test_bound_runs_are_plain_ones(network):
    runs = DeviceRuns(network.session, network.output)
    for rows, tokens in ((1, 3), (9, 12), (2, 12), (1, 3)):
        ids, mask = batch(rows, tokens, seed=rows)
        np.testing.assert_array_equal(run(runs, network, ids, mask), network.run(ids, mask))


def test_a_result_is_not_overwritten_by_the_next_run(network):
    runs = DeviceRuns(network.session, network.output)
    first = run(runs, network, *batch(2, 5, seed=1))
    kept = np.array(first)
    run(runs, network, *batch(2, 5, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_threads_may_share_them(network):
    runs = DeviceRuns(network.session, network.output)
    batches = [batch(1 + seed % 4, 2 + seed % 7, seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda each: run(runs, network, *each), batches))
    for each, vectors in zip(batches, found, strict=True):
        np.testing.assert_allclose(vectors, network.run(*each), atol=1e-6)


def test_buffers_are_used_again_and_grow(network, monkeypatch):
    sizes = []
    monkeypatch.setattr(device, "pinned", lambda size: sizes.append(size) or pinned(size))
    runs = DeviceRuns(network.session, network.output)
    for rows, tokens in ((1, 3), (4, 12), (600, 16), (2, 2), (600, 16)):
        run(runs, network, *batch(rows, tokens))
    assert sizes == [65_536, 65_536, 131_072, 131_072]


def test_a_run_that_fails_spoils_no_other(network):
    runs = DeviceRuns(network.session, network.output)
    ids, mask = batch(2, 5)
    with pytest.raises(Exception, match="index out of range"):
        run(runs, network, *batch(1, 40))  # more than its positions
    np.testing.assert_array_equal(run(runs, network, ids, mask), network.run(ids, mask))


class FakeRuntime:
    """CUDA's runtime, which pins where it says so."""

    def __init__(self, status):
        self.status = status
        self.registered = []
        self.released = []

    def cudaHostRegister(self, address, size, flags):
        self.registered.append((address.value, size.value, flags))
        return self.status

    def cudaHostUnregister(self, address):
        self.released.append(address.value)
        return 0


@pytest.mark.parametrize("status", [0, 2])
def test_memory_is_pinned_where_cuda_does_it_and_let_go_with_the_array(monkeypatch, status):
    runtime = FakeRuntime(status)
    monkeypatch.setattr(device, "_cuda_runtime", lambda: runtime)
    buffer = pinned(8192)
    view = buffer[:16].view(np.int64)
    view[...] = 7
    address = buffer.ctypes.data
    assert runtime.registered == [(address, 8192, 0)]
    assert address % os.sysconf("SC_PAGE_SIZE") == 0
    del buffer
    gc.collect()
    assert not runtime.released, "a view still reads it"
    del view
    gc.collect()
    assert runtime.released == ([address] if status == 0 else [])


def test_only_a_runtime_that_is_loaded_already_is_used(monkeypatch):
    asked = []

    def load(name, mode):
        asked.append((name, mode & os.RTLD_NOLOAD))
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert pinned(4096).nbytes == 4096
    assert [name for name, _ in asked] == ["libcudart.so.13", "libcudart.so.12"]
    assert all(not_loaded for _, not_loaded in asked)
