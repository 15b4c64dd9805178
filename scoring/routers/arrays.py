"""The arrays of a trained router, checked against what its kind is made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.validation import LARGEST_SQUARED_NORM

Arrays = dict[str, NDArray[np.float32]]
Shapes = Mapping[str, tuple[str, ...]]
"""Axes of each array by name; axes of one name have one length."""

MAY_BE_UNKNOWN = "qualities"
"""The array in which NaN stands for what nobody knows."""


def take(
    arrays: Mapping[str, NDArray[np.float32]],
    shapes: Shapes,
    models: Sequence[str],
    within: str = "",
) -> Arrays:
    """Returns copies of the arrays, in order in memory.

    Args:
        arrays: By name.
        shapes: What must be there, and nothing beside it. The axis "models" is as
            long as `models`; no axis has length 0.
        models: K names.
        within: What stands before each name in errors: that of a stack's member.

    Raises:
        InvalidArrayError: An array is missing or unknown, has another type or shape,
            or holds a number that it may not hold.
    """
    _check_names(arrays, shapes, within)
    lengths = {"models": len(models)}
    taken = {}
    for name, axes in shapes.items():
        array = np.asarray(arrays[name])
        if array.dtype != np.float32:
            raise _refusal(within + name, f"holds {array.dtype}; give float32")
        _check_shape(array, within + name, axes, lengths)
        _check_numbers(array, name, within)
        taken[name] = np.array(array, np.float32, order="C")
    return taken


def _check_names(arrays: Mapping[str, NDArray[np.float32]], shapes: Shapes, within: str) -> None:
    if set(arrays) == set(shapes):
        return
    given = ", ".join(within + name for name in sorted(arrays)) or "none"
    missing = sorted(set(shapes) - set(arrays))
    at_fault = within + (missing or sorted(set(arrays) - set(shapes)))[0]
    wanted = ", ".join(within + name for name in sorted(shapes)) or "no array"
    raise InvalidArrayError(
        f"The array {at_fault} is {'missing' if missing else 'unknown'}: this kind of router is "
        f"made of {wanted}; {given} was given.",
        field=f"arrays.{at_fault}",
    )


def _check_shape(
    array: NDArray[np.float32], name: str, axes: tuple[str, ...], lengths: dict[str, int]
) -> None:
    wanted = ", ".join(str(lengths.get(axis, axis)) for axis in axes)
    if array.ndim != len(axes) or 0 in array.shape:
        raise _refusal(name, f"has shape {array.shape}; give ({wanted})")
    for axis, length in zip(axes, array.shape, strict=True):
        if lengths.setdefault(axis, length) != length:
            raise _refusal(name, f"has shape {array.shape}; give ({wanted})")


def _check_numbers(array: NDArray[np.float32], name: str, within: str) -> None:
    known = array
    if name == MAY_BE_UNKNOWN:
        known = np.where(np.isnan(array), np.float32(0), array)
    if not np.isfinite(known).all():
        raise _refusal(within + name, "holds NaN or infinity; give finite numbers")
    largest = float(np.abs(known).max())
    if largest * largest * known.shape[-1] > LARGEST_SQUARED_NORM:
        raise _refusal(within + name, "holds numbers so large that float32 overflows; scale them")


def _refusal(name: str, fault: str) -> InvalidArrayError:
    return InvalidArrayError(f"The array {name} {fault}.", field=f"arrays.{name}")
