"""Runs of a model on a CUDA card: pinned buffers that are used again, and one copy back."""

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike, NDArray

DEVICE = "cuda"
# ONNX Runtime's provider has one of them loaded.
_RUNTIMES = ("libcudart.so.13", "libcudart.so.12")
_OK = 0
_LEAST_BYTES = 64 * 1024


class DeviceRuns:
    """Runs a session whose provider is CUDA; threads may share it.

    Each run that is under way has buffers of its own in the host's memory, which stay when it
    ends, for the next one of whatever shape. They are pinned, so that the card reads them
    itself. The output stays on the card until it is copied to the host, once.

    Args:
        session: On CUDA.
        output: Name of the output.
    """

    def __init__(self, session: onnxruntime.InferenceSession, output: str) -> None:
        self._session = session
        self._output = output
        self._idle: list[_Lane] = []  # append and pop are atomic

    def run(self, feed: Mapping[str, NDArray[np.int64]], types: Mapping[str, DTypeLike]) -> object:
        """Runs the model once.

        Args:
            feed: What could be fed, by name.
            types: Of each input of the model.

        Returns:
            The output, as an array in the host's memory that nobody else has.
        """
        try:
            lane = self._idle.pop()
        except IndexError:
            lane = _Lane(self._session, self._output)
        try:
            return lane.run(feed, types)
        finally:
            self._idle.append(lane)


class _Lane:
    """What one run at a time needs."""

    def __init__(self, session: onnxruntime.InferenceSession, output: str) -> None:
        self._session = session
        self._output = output
        self._binding = session.io_binding()
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def run(self, feed: Mapping[str, NDArray[np.int64]], types: Mapping[str, DTypeLike]) -> object:
        for name, integer in types.items():
            placed = self._view(name, feed[name].shape, np.dtype(integer))
            placed[...] = feed[name]
            self._binding.bind_cpu_input(name, placed)
        self._binding.bind_output(self._output, DEVICE)
        try:
            self._binding.synchronize_inputs()
            self._session.run_with_iobinding(self._binding)
            return self._binding.copy_outputs_to_cpu()[0]
        finally:
            # What it held on the card goes back to the arena.
            self._binding.clear_binding_outputs()

    def _view(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> NDArray[np.generic]:
        """Room in the buffer of an input, which grows to the next power of two."""
        size = math.prod(shape) * dtype.itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < size:
            buffer = pinned(max(_LEAST_BYTES, 1 << (size - 1).bit_length()))
            self._buffers[name] = buffer
        return buffer[:size].view(dtype).reshape(shape)


def pinned(size: int) -> NDArray[np.uint8]:
    """Allocates bytes that the card can read by itself; plain ones where CUDA won't pin them.

    ONNX Runtime's Python has no pinned memory for this provider, so CUDA's own runtime pins pages
    of the operating system, and lets go of them with the array.
    """
    buffer = np.frombuffer(mmap.mmap(-1, size), np.uint8)
    runtime = _cuda_runtime()
    if runtime is not None:
        address = ctypes.c_void_p(buffer.ctypes.data)
        if runtime.cudaHostRegister(address, ctypes.c_size_t(size), 0) == _OK:
            release = weakref.finalize(buffer, runtime.cudaHostUnregister, address)
            release.atexit = False  # the driver may have gone before
    return buffer


def _cuda_runtime() -> ctypes.CDLL | None:
    """The CUDA runtime that this process has loaded already, if any."""
    for name in _RUNTIMES:
        try:
            return ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        except OSError:
            continue
    return None
