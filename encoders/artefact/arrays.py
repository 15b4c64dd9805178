"""The arrays of an artefact: float32 in a safetensors file, which can hold no code."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from encoders.errors import ArtefactInvalidError

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE)
_LONGEST_NAME = 200
_WITH_GAPS = "qualities"
"""Arrays of this name, or with it behind the last dot, may hold NaN: a score that nobody knows."""


def parse_arrays(data: bytes, path: Path) -> dict[str, NDArray[np.float32]]:
    """Parses the content of arrays.safetensors.

    Args:
        data: The content.
        path: Where it was read, for messages.

    Returns:
        Arrays of their own memory, C-contiguous, by name.

    Raises:
        ArtefactInvalidError: It is no safetensors file, or holds another type.
    """
    try:
        found: dict[str, NDArray[np.float32]] = load(data)
    except Exception as error:  # a type that NumPy lacks raises whatever comes first
        message = f"{path} is not a safetensors file of float32; export the router again"
        raise ArtefactInvalidError(message) from error
    for name, array in found.items():
        if array.dtype != np.float32:
            message = f"{name} in {path} is {array.dtype}; it must be float32"
            raise ArtefactInvalidError(message)
    return {name: np.array(array, order="C") for name, array in sorted(found.items())}


def serialise_arrays(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The content of arrays.safetensors."""
    packed = {name: np.asarray(array, np.float32, order="C") for name, array in arrays.items()}
    data: bytes = save(packed)
    return data


def require_sane(arrays: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Checks what is true of the arrays of every kind of router.

    Which arrays a kind needs, and of what shape, `scoring.routers.build_router` checks.

    Args:
        arrays: By name.
        path: Of their file, for messages.

    Raises:
        ArtefactInvalidError: A name holds other characters than letters, digits, `_`, `-` and
            single dots between them; an array holds infinity, or NaN where it may not.
    """
    for name, array in arrays.items():
        if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
            message = f"{path} names an array {name[:_LONGEST_NAME]!r}, which no router does"
            raise ArtefactInvalidError(f"{message}; export the router again")
        gaps = name.rpartition(".")[2] == _WITH_GAPS
        if not _is_sane(array, gaps=gaps):
            found = "infinity" if gaps else "NaN or infinity"
            raise ArtefactInvalidError(f"{name} in {path} holds {found}; train the router again")


def _is_sane(array: NDArray[np.float32], *, gaps: bool) -> bool:
    return not np.isinf(array).any() if gaps else bool(np.isfinite(array).all())
