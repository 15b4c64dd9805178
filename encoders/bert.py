"""What the files of a BERT encoder say: its sizes and its weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from encoders.errors import EncoderInvalidError, EncoderNotFoundError
from encoders.files import read_object, whole_number

ASSEMBLER_VERSION = "2"
"""Changes whenever `encoders.assembly` makes another file of the same weights."""

_FLOATS = ("F32", "F16")
_REQUIRED = {"model_type": "bert", "hidden_act": "gelu"}
# An absent one means the same.
_REQUIRED_IF_PRESENT = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}


@dataclass(frozen=True, slots=True)
class BertShape:
    """The sizes of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    segments: int
    epsilon: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads config.json.

        Raises:
            EncoderNotFoundError: The file is missing.
            EncoderInvalidError: The architecture is another, or a size is missing.
        """
        config = read_object(path)
        _require_bert(config, path)
        shape = cls(
            hidden=_size(config, "hidden_size", path),
            layers=_size(config, "num_hidden_layers", path),
            heads=_size(config, "num_attention_heads", path),
            intermediate=_size(config, "intermediate_size", path),
            vocabulary=_size(config, "vocab_size", path),
            positions=_size(config, "max_position_embeddings", path),
            segments=_size(config, "type_vocab_size", path),
            epsilon=_epsilon(config, path),
        )
        if shape.hidden % shape.heads:
            message = f"hidden_size in {path} is not a multiple of num_attention_heads"
            raise EncoderInvalidError(message)
        return shape


def _require_bert(config: dict[str, object], path: Path) -> None:
    for key, wanted in (_REQUIRED | _REQUIRED_IF_PRESENT).items():
        value = config.get(key, _REQUIRED_IF_PRESENT.get(key))
        if value != wanted:
            message = f"{key} in {path} is {value!r}; only {wanted!r} can be assembled"
            raise EncoderInvalidError(message)


def _size(config: dict[str, object], key: str, path: Path) -> int:
    value = whole_number(config, key, path)
    if value is None:
        raise EncoderInvalidError(f"{path} lacks {key}; fetch the encoder again")
    return value


def _epsilon(config: dict[str, object], path: Path) -> float:
    value = config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float) or not 0 < value < 1:
        raise EncoderInvalidError(f"layer_norm_eps in {path} is {value!r}; fetch it again")
    return value


class _Slice(Protocol):
    def get_dtype(self) -> str: ...
    def get_shape(self) -> list[int]: ...


class _File(Protocol):
    """What is used of an open safetensors file, which brings no types."""

    def keys(self) -> list[str]: ...
    def get_slice(self, name: str) -> _Slice: ...
    def get_tensor(self, name: str) -> NDArray[np.floating]: ...


class BertWeights:
    """Tensors of a safetensors file, by their name in `BertModel`."""

    def __init__(self, path: Path, file: _File) -> None:
        self._path, self._file = path, file
        self._names = frozenset(file.keys())

    def get(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A tensor as float32.

        Raises:
            EncoderInvalidError: It is missing, or of another shape or type.
        """
        full = name if name in self._names else f"bert.{name}"
        if full not in self._names:
            raise EncoderInvalidError(f"{self._path} lacks {name}; it is no BERT encoder")
        entry = self._file.get_slice(full)
        if entry.get_dtype() not in _FLOATS or tuple(entry.get_shape()) != shape:
            message = (
                f"{name} in {self._path} is {entry.get_dtype()} {list(entry.get_shape())}; "
                f"config.json asks for floats {list(shape)}"
            )
            raise EncoderInvalidError(message)
        array: NDArray[np.float32] = np.asarray(self._file.get_tensor(full), dtype=np.float32)
        return array


@contextmanager
def open_weights(path: Path) -> Iterator[BertWeights]:
    """Opens a safetensors file.

    Raises:
        EncoderNotFoundError: The file is missing.
        EncoderInvalidError: It is not a safetensors file.
    """
    if not path.is_file():
        raise EncoderNotFoundError(f"{path} is missing; give a directory with the weights")
    try:
        opened = safe_open(str(path), framework="numpy")
    except SafetensorError as error:
        raise EncoderInvalidError(f"{path} is not a safetensors file; fetch it again") from error
    with opened as file:
        yield BertWeights(path, file)
