"""Requests of the V2 inference protocol, as bytes.

Written by hand, for MLServer's stubs and ours want different versions of protobuf.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

MODEL = "pointsman"
Form: TypeAlias = Literal["bytes", "contents", "raw"]
"""How vectors travel: the bytes of an array as one element of a BYTES tensor, or an FP32 tensor,
in `fp32_contents` or in `raw_input_contents`."""


def text_request(name: str, texts: Sequence[str]) -> bytes:
    """Makes a ModelInferRequest with one BYTES tensor of shape (1, n).

    Args:
        name: Of the input.
        texts: n texts.
    """
    contents = b"".join(field(8, text.encode()) for text in texts)
    return _request(_tensor(name, b"BYTES", (1, len(texts))) + field(5, contents))


def vector_request(name: str, vectors: NDArray[np.float32], form: Form) -> bytes:
    """Makes a ModelInferRequest with one tensor that holds vectors.

    Args:
        name: Of the input.
        vectors: (n, d).
        form: How they travel; as FP32 the tensor has the shape (1, n, d), as BYTES (1, 1).
    """
    numbers = vectors.astype("<f4").tobytes()
    if form == "bytes":
        tensor = _tensor(name, b"BYTES", (1, 1))
        return _request(tensor + field(5, field(8, numbers)))
    tensor = _tensor(name, b"FP32", (1, *vectors.shape))
    if form == "contents":
        return _request(tensor + field(5, field(6, numbers)))
    return _request(tensor) + field(7, numbers)


def field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited field of a protobuf message."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _request(tensor: bytes) -> bytes:
    return field(1, MODEL.encode()) + field(5, tensor)


def _tensor(name: str, datatype: bytes, shape: Sequence[int]) -> bytes:
    sizes = b"".join(map(_varint, shape))
    return field(1, name.encode()) + field(2, datatype) + field(3, sizes)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value))
