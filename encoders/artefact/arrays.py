"""The arrays of an artefact: float32 in a safetensors file, which can hold no code."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from encoders.artefact.manifest import LLM_EMBEDDINGS, REQUIRED_ARRAYS
from encoders.errors import ArtefactInvalidError


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
    packed = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    data: bytes = save(packed)
    return data


def require_fitting(
    arrays: Mapping[str, NDArray[np.float32]],
    *,
    kind: str,
    models: int,
    dimension: int,
    path: Path,
) -> None:
    """Checks that arrays are those of a router.

    Args:
        arrays: By name.
        kind: Of the router; one of `REQUIRED_ARRAYS`.
        models: K.
        dimension: d of the encoder.
        path: Of their file, for messages.

    Raises:
        ArtefactInvalidError: One is missing or too many, holds NaN or infinity, or is not (K, d).
    """
    for name in sorted(set(REQUIRED_ARRAYS[kind]) - set(arrays)):
        raise ArtefactInvalidError(f"{path} lacks {name}; export the router again")
    for name in sorted(set(arrays) - set(REQUIRED_ARRAYS[kind])):
        message = f"{path} holds {name}, which no router of the kind {kind} reads; leave it out"
        raise ArtefactInvalidError(message)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            message = f"{name} in {path} holds NaN or infinity; train the router again"
            raise ArtefactInvalidError(message)
    embeddings = arrays[LLM_EMBEDDINGS]
    if embeddings.shape != (models, dimension):
        message = (
            f"{LLM_EMBEDDINGS} in {path} is {list(embeddings.shape)}, but {models} models and an "
            f"encoder of {dimension} dimensions need {[models, dimension]}; export the router again"
        )
        raise ArtefactInvalidError(message)
