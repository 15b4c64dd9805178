"""Arrays are brought into the one form that kernels are compiled for, or refused."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError

# No squared distance between vectors of at most this squared norm overflows float32.
LARGEST_SQUARED_NORM = float(np.finfo(np.float32).max) / 4

N = TypeVar("N", bound=np.generic)


def kernel_form(array: ArrayLike, dtype: type[N], *, field: str) -> NDArray[N]:
    """Returns the array as kernels want it, copied only where it is not so already.

    Raises:
        InvalidArrayError: It can't be read as numbers of this type.
    """
    if type(array) is np.ndarray and array.flags.carray and array.dtype == dtype:
        return array
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise InvalidArrayError(f"{field} is no array: its rows differ.", field=field) from error
    if not np.can_cast(given.dtype, dtype, "same_kind"):
        raise InvalidArrayError(
            f"{field} holds {given.dtype}; give {np.dtype(dtype)}.", field=field
        )
    with np.errstate(over="ignore"):
        return np.require(given, dtype, ["C", "A", "W"])


def as_floats(array: ArrayLike, *, field: str, axes: Sequence[str]) -> NDArray[np.float32]:
    """Returns an array of float32 in the form that kernels are compiled for.

    Args:
        array: Anything that NumPy reads as an array of real numbers.
        field: Its name, for the error.
        axes: What each axis counts, for the error.

    Raises:
        InvalidArrayError: It isn't an array of real numbers with these axes, or
            one of them has length 0.
    """
    floats = kernel_form(array, np.float32, field=field)
    if floats.ndim != len(axes):
        raise InvalidArrayError(
            f"{field} has {floats.ndim} axes; give {len(axes)}: ({', '.join(axes)}).", field=field
        )
    for axis, length in zip(axes, floats.shape, strict=True):
        if length == 0:
            raise InvalidArrayError(f"{field} has no {axis}; give at least one.", field=field)
    return floats


def as_neighbours(array: ArrayLike, *, field: str, samples: int) -> NDArray[np.int64]:
    """Returns the neighbours of each sample, (samples, k) int64.

    Raises:
        InvalidArrayError: It has another shape, no neighbour, or holds anything
            but indexes of samples.
    """
    given = np.asarray(array)
    if given.ndim != 2 or given.shape[0] != samples or given.size == 0:
        raise InvalidArrayError(
            f"{field} has shape {given.shape}; give ({samples}, k), k at least 1.", field=field
        )
    indices = kernel_form(given, np.int64, field=field)
    if indices.min() < 0 or indices.max() >= samples:
        raise InvalidArrayError(
            f"{field} must hold indexes of samples, from 0 to {samples - 1}.", field=field
        )
    return indices


def as_flags(array: ArrayLike, *, field: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Returns an array of truth values of a given shape.

    Raises:
        InvalidArrayError: It has another shape or type.
    """
    given = np.asarray(array)
    if given.shape != shape:
        raise InvalidArrayError(f"{field} has shape {given.shape}; give {shape}.", field=field)
    return kernel_form(given, np.bool_, field=field)


def as_distances(array: ArrayLike, *, field: str, pairs: int) -> NDArray[np.float32]:
    """Returns rows of squared distances, (k, pairs) float32; k may be 0.

    Raises:
        InvalidArrayError: It has another shape, or holds a negative number or infinity.
    """
    rows = as_rows(array, field=field, pairs=pairs)
    if (rows < 0).any() or np.isinf(rows).any():
        raise InvalidArrayError(
            f"{field} holds a negative number or infinity; give squared distances, "
            "NaN where one is missing.",
            field=field,
        )
    return rows


def as_rows(array: ArrayLike, *, field: str, pairs: int) -> NDArray[np.float32]:
    """Returns rows of numbers, (k, pairs) float32; k may be 0. Looks at none of them.

    Raises:
        InvalidArrayError: It has another shape.
    """
    rows = kernel_form(array, np.float32, field=field)
    if rows.ndim != len(("samples", "pairs")) or rows.shape[1] != pairs:
        raise InvalidArrayError(
            f"{field} has shape {rows.shape}; give (samples, {pairs}).", field=field
        )
    return rows


def as_vector(array: ArrayLike, dtype: type[N], *, field: str, length: int) -> NDArray[N]:
    """Returns an array of one axis, of a given length. Looks at none of its numbers.

    Raises:
        InvalidArrayError: It has another shape.
    """
    numbers = kernel_form(array, dtype, field=field)
    if numbers.shape != (length,):
        raise InvalidArrayError(
            f"{field} has shape {numbers.shape}; give ({length},).", field=field
        )
    return numbers


def as_list(array: ArrayLike, dtype: type[N], *, field: str, length: int) -> NDArray[N]:
    """Returns an array of one axis, of a given length, of finite numbers.

    Raises:
        InvalidArrayError: It has another shape, or holds NaN or infinity.
    """
    numbers = as_vector(array, dtype, field=field, length=length)
    if not np.isfinite(numbers).all():
        raise InvalidArrayError(f"{field} holds NaN or infinity; give finite sums.", field=field)
    return numbers


def refuse_vectors(vectors: NDArray[np.float32], *, field: str) -> None:
    """Raises the error that says which vector can't be used, and why.

    Args:
        vectors: (..., d), of which at least one has a squared norm that is NaN or
            more than `LARGEST_SQUARED_NORM`.
        field: Name of the array.

    Raises:
        InvalidArrayError: Always.
    """
    with np.errstate(invalid="ignore"):
        norms = np.square(vectors, dtype=np.float64).sum(axis=-1)
        place = np.argwhere(~(norms <= LARGEST_SQUARED_NORM))[0].tolist()
    where = f"{field}[{', '.join(map(str, place))}]"
    if not np.isfinite(vectors[tuple(place)]).all():
        raise InvalidArrayError(f"{where} holds NaN or infinity; give finite numbers.", field=where)
    raise InvalidArrayError(
        f"{where} is so long that distances overflow float32; normalise the vectors.", field=where
    )
