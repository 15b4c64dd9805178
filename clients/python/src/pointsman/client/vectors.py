"""Vectors of any kind to the wire's packed little-endian float32, and back."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from numbers import Real
from typing import Protocol, TypeAlias

from pointsman.v1 import types_pb2

_HOST_IS_BIG_ENDIAN = sys.byteorder == "big"
_BIG_ENDIAN_MARKS = (">", "!")


class FloatArray(Protocol):
    """A float32 or float64 array with the buffer protocol: NumPy's, `array`, `memoryview`."""

    @property
    def itemsize(self) -> int:
        """Bytes of one coordinate."""

    def tobytes(self) -> bytes:
        """Returns the coordinates in order."""


Vector: TypeAlias = Sequence[float] | FloatArray
"""Coordinates, (d,): a sequence of numbers, or a float32 or float64 array."""


def is_vector(value: object) -> bool:
    """Tells whether a value is one vector, and not text or a collection of answers."""
    view = _buffer(value)
    if view is not None:
        return view.ndim == 1
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], Real)


def to_message(vector: Vector) -> types_pb2.Vector:
    """Packs a vector.

    A float32 array is copied as it lies; anything else is converted first.

    Args:
        vector: (d,) numbers, float32 or float64.

    Raises:
        TypeError: It holds something else than floating-point numbers.
        ValueError: It has not one dimension.
    """
    view = _buffer(vector)
    values = _numbers(vector) if view is None else _unpacked(view)
    return types_pb2.Vector(float32_le=_swapped_on_big_endian(values).tobytes())


def from_message(vector: types_pb2.Vector) -> memoryview[float]:
    """Returns the coordinates of a vector, (d,) float32, read-only."""
    if vector.values:
        return _view(array("f", vector.values))
    return from_bytes(vector.float32_le)


def from_bytes(float32_le: bytes) -> memoryview[float]:
    """Returns packed little-endian float32 as (d,) float32, read-only, without a copy."""
    if _HOST_IS_BIG_ENDIAN:
        values = array("f", float32_le)
        values.byteswap()
        return _view(values)
    return memoryview(float32_le).cast("f")


def to_bytes(vector: Vector) -> bytes:
    """Packs a vector as little-endian float32."""
    return to_message(vector).float32_le


def _buffer(value: object) -> memoryview | None:
    try:
        return memoryview(value)  # type: ignore[arg-type]  # to see whether it is a buffer
    except TypeError:
        return None


def _unpacked(view: memoryview) -> array[float]:
    if view.ndim != 1:
        raise ValueError(f"A vector must have one dimension, not {view.ndim}; pass it flattened.")
    kind = view.format[-1]
    if kind not in ("f", "d"):
        raise TypeError(
            f"A vector must be float32 or float64, not of buffer format {view.format!r}; "
            "convert it first."
        )
    values: array[float] = array("f" if kind == "f" else "d", view.tobytes())
    if _is_foreign(view.format):
        values.byteswap()
    return values if kind == "f" else array("f", values)


def _numbers(vector: object) -> array[float]:
    try:
        return array("f", vector)  # type: ignore[call-overload,no-any-return]  # to see whether it holds numbers
    except TypeError as error:
        raise TypeError(f"A vector must hold numbers alone: {error}.") from error


def _is_foreign(buffer_format: str) -> bool:
    if _HOST_IS_BIG_ENDIAN:
        return buffer_format.startswith("<")
    return buffer_format.startswith(_BIG_ENDIAN_MARKS)


def _swapped_on_big_endian(values: array[float]) -> array[float]:
    if _HOST_IS_BIG_ENDIAN:
        values.byteswap()
    return values


def _view(values: array[float]) -> memoryview[float]:
    return memoryview(values.tobytes()).cast("f")
