"""Vectors and numbers that routers are given, checked once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.validation import LARGEST_SQUARED_NORM, as_floats, refuse_vectors


def as_vectors(
    array: ArrayLike, *, field: str, each: str, dimension: int | None = None
) -> NDArray[np.float32]:
    """Returns vectors (n, d) float32, n at least 1.

    Args:
        array: Anything that NumPy reads as numbers.
        field: Its name, for the error.
        each: What one vector is of, for the error.
        dimension: d, where it is given.

    Raises:
        InvalidArrayError: It has another shape, or a vector isn't finite or is so
            long that distances would overflow float32.
    """
    vectors = as_floats(array, field=field, axes=(each, "coordinate"))
    if dimension is not None and vectors.shape[1] != dimension:
        raise InvalidArrayError(
            f"{field} has {vectors.shape[1]} dimensions; give {dimension}.", field=field
        )
    # An infinity or NaN makes the sum one; no square of a float32 overflows float64.
    wide = vectors.ravel().astype(np.float64)
    with np.errstate(invalid="ignore"):
        total = np.dot(wide, wide)
    if not total <= LARGEST_SQUARED_NORM:
        _require_lengths(vectors, field)
    return vectors


def _require_lengths(vectors: NDArray[np.float32], field: str) -> None:
    with np.errstate(invalid="ignore"):
        norms = np.square(vectors, dtype=np.float64).sum(axis=1)
    if not (norms <= LARGEST_SQUARED_NORM).all():
        refuse_vectors(vectors, field=field)


def require_at_least(number: float, least: float, *, field: str) -> None:
    """Refuses a number that is too small, or is none.

    Raises:
        InvalidArrayError: It is.
    """
    if not number >= least:
        raise InvalidArrayError(f"{field} must be {least:g} or more.", field=field)
