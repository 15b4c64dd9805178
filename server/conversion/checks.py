"""Checks of single fields, which gather what is wrong instead of stopping at the first."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from pointsman.v1 import types_pb2
from scoring.validation import LARGEST_SQUARED_NORM
from server.errors import InvalidRequestError, Violation
from server.settings import LimitSettings

_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,127}")
NAME_BYTES = 256
_FLOAT32 = np.dtype("<f4")


class Checks:
    """Gathers the violations of one request.

    Args:
        limits: What is refused.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self.limits = limits
        self._violations: list[Violation] = []

    def refuse(self, field: str, description: str) -> None:
        """Adds a violation."""
        self._violations.append(Violation(field, description))

    def raise_if_any(self) -> None:
        """Ends the gathering.

        Raises:
            InvalidRequestError: There were violations.
        """
        if self._violations:
            raise InvalidRequestError(self._violations)

    def pool(self, name: str, field: str = "pool") -> None:
        """A pool's name: letters, digits and . _ / @ : - , starting with a letter or digit."""
        if not _POOL_NAME.fullmatch(name):
            self.refuse(
                field,
                "must be 1 to 128 letters, digits and . _ / @ : - after a letter or digit",
            )

    def name(self, name: str, field: str, *, required: bool = True, most: int = NAME_BYTES) -> None:
        """A free name, such as a voter's: up to `most` bytes, without control characters."""
        if not name and required:
            self.refuse(field, "is empty; name it")
        elif len(name.encode()) > most:
            self.refuse(field, f"is longer than {most} bytes; shorten it")
        elif any(unicodedata.category(each) == "Cc" for each in name):
            self.refuse(field, "has control characters; leave them out")

    def text(self, text: str, field: str) -> None:
        """A text within its limit of bytes."""
        size = len(text.encode())
        if size > self.limits.text_bytes:
            self.refuse(
                field,
                f"has {size} bytes, more than the {self.limits.text_bytes} that one text may have "
                "(limits.text_bytes); shorten it",
            )

    def vector(self, vector: types_pb2.Vector, field: str) -> NDArray[np.float32] | None:
        """Reads a vector without copying its bytes; None where it is invalid.

        Returns:
            Shape (d,), float32, finite; read-only where it came as bytes.
        """
        problem = _form_problem(vector)
        if problem is None:
            problem = self._size_problem(len(vector.values) or len(vector.float32_le) // 4)
        if problem is None:
            coordinates = (
                np.frombuffer(vector.float32_le, _FLOAT32)
                if vector.float32_le
                else np.array(vector.values, _FLOAT32)
            )
            problem = _content_problem(coordinates)
            if problem is None:
                return coordinates
        self.refuse(field, problem)
        return None

    def _size_problem(self, size: int) -> str | None:
        most = self.limits.dimension
        if not size:
            return "is empty; send values or float32_le"
        if size > most:
            return (
                f"has {size} coordinates, more than the {most} that a vector may have "
                "(limits.dimension)"
            )
        return None


def _content_problem(coordinates: NDArray[np.float32]) -> str | None:
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass that NaN, infinity and overflow all fail.
        if np.dot(coordinates, coordinates) <= LARGEST_SQUARED_NORM:
            return None
    if np.isfinite(coordinates).all():
        return "is so long that squared distances overflow float32; normalise it"
    return "holds NaN or infinity; send finite numbers"


def _form_problem(vector: types_pb2.Vector) -> str | None:
    if vector.values and vector.float32_le:
        return "has both values and float32_le; send one"
    if len(vector.float32_le) % _FLOAT32.itemsize:
        return (
            f"has {len(vector.float32_le)} bytes in float32_le, not a multiple of 4; pack float32 "
            "values"
        )
    return None
