"""Checks of single fields, which gather what is wrong instead of stopping at the first."""

import math
import re
from collections.abc import Callable, Sequence, Sized
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pointsman.v1 import types_pb2
from pointsman.v1.admin_service_pb2 import Outcome
from pointsman.v1.routing_service_pb2 import RecordOutcomeRequest
from scoring.kernels.recall import squared_norm
from scoring.validation import LARGEST_SQUARED_NORM
from server.errors import InvalidRequestError, Violation
from server.names import NAME_RULE, is_name
from server.requests import PromptVector
from server.settings import LimitSettings

NAME_BYTES = 256
# A pool's space bears a prefix before the name, and is a name too when it is imported.
_SPACE_BYTES = NAME_BYTES - len("vectors/")
# Control characters, the separators of lines and paragraphs, and what turns the order of letters.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FLOAT32 = np.dtype("<f4")


@lru_cache(maxsize=4096)
def _problem_of(name: str) -> str:
    """What is wrong with the letters of a name; a server is sent the same few again and again."""
    if _UNSEEN.search(name):
        return "has control characters; leave them out"
    return "" if name == name.strip() else "begins or ends with a blank; leave it out"


@lru_cache(maxsize=256)
def _are_names(names: tuple[str, ...]) -> bool:
    """Whether each of some names is fine; those of one router or pool come again and again."""
    return all(
        name and len(name.encode()) <= NAME_BYTES and not _problem_of(name) for name in names
    )


class Checks:
    """Gathers the violations of one request.

    Args:
        limits: What is refused.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self.limits = limits
        self._violations: list[Violation] = []

    @property
    def count(self) -> int:
        """Violations gathered so far."""
        return len(self._violations)

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
        if not is_name(name):
            self.refuse(field, NAME_RULE)

    def name(self, name: str, field: str, *, required: bool = True, most: int = NAME_BYTES) -> None:
        """A free name, such as a voter's: up to `most` bytes, all of them to be seen."""
        if not name:
            if required:
                self.refuse(field, "is empty; name it")
        elif len(name) > most or len(name.encode()) > most:
            self.refuse(field, f"is longer than {most} bytes; shorten it")
        elif problem := _problem_of(name):
            self.refuse(field, problem)

    def names(self, names: tuple[str, ...], field_of: Callable[[int], str]) -> None:
        """Free names, as `name`.

        Args:
            names: n of them.
            field_of: Gives the path of each by its place.
        """
        # Nothing longer is kept, or looked at twice.
        if any(len(name) > NAME_BYTES for name in names) or not _are_names(names):
            for index, name in enumerate(names):
                self.name(name, field_of(index))

    def models(self, models: tuple[str, ...], field: str) -> None:
        """Names of models, not more than a request may have."""
        self.few(models, field)
        self.names(models, lambda index: f"{field}[{index}]")

    def few(self, models: Sized, field: str) -> None:
        """Not more models than a request may name.

        Raises:
            InvalidRequestError: There are more; what is gathered so far is told too.
        """
        most = self.limits.candidates
        if len(models) > most:
            self.refuse(
                field, f"has {len(models)} names, more than the {most} allowed (limits.candidates)"
            )
            self.raise_if_any()

    def space(self, name: str) -> None:
        """The caller's name for its embedding space."""
        self.name(name, "embedding_space", required=False, most=_SPACE_BYTES)

    def prompt(self, message: types_pb2.Prompt, space: str) -> str | PromptVector | None:
        """Reads a prompt; None where it is invalid.

        Args:
            message: A text or a vector.
            space: The caller's name for the space of a vector.
        """
        kind = message.WhichOneof("content")
        if kind is None:
            self.refuse("prompt", "is empty; send its text or its vector")
            return None
        if kind == "text":
            self.text(message.text, "prompt.text")
            if space:
                self.refuse(
                    "embedding_space", "names the encoder of vectors, but the request has text"
                )
            return message.text
        vector = self.vector(message.vector, "prompt.vector")
        return None if vector is None else PromptVector(vector, space)

    def number(
        self, value: float | None, field: str, *, least: float = -math.inf, above: bool = False
    ) -> float:
        """A required finite number, `least` or more, or above it."""
        if value is None:
            self.refuse(field, "is absent; it has no default")
            return math.nan
        if not math.isfinite(value) or value < least or (above and value == least):
            bound = f" {'above' if above else 'not below'} {least:g}" if least > -math.inf else ""
            self.refuse(field, f"is {value!r}; must be a finite number{bound}")
        return value

    def quality(self, message: RecordOutcomeRequest | Outcome, field: str) -> None:
        """How good an answer was: required, from 0 to 1."""
        if not message.HasField("quality"):
            self.refuse(field, "is absent; it has no default")
        elif not 0 <= message.quality <= 1:
            self.refuse(field, f"is {message.quality!r}; must be from 0 to 1")

    def text(self, text: str, field: str) -> None:
        """A text within its limit of bytes."""
        size = len(text.encode())
        if size > self.limits.text_bytes:
            self.refuse(
                field,
                f"has {size} bytes, more than the {self.limits.text_bytes} that one text may have "
                "(limits.text_bytes); shorten it",
            )

    def vector(
        self, vector: types_pb2.Vector, field: str, *, dimension: int | None = None
    ) -> NDArray[np.float32] | None:
        """Reads a vector without copying its bytes; None where it is invalid.

        Args:
            vector: As it came.
            field: Its path.
            dimension: That the header of an import says it has.

        Returns:
            Shape (d,), float32, finite; read-only where it came as bytes.
        """
        problem = _form_problem(vector)
        size = len(vector.values) or len(vector.float32_le) // _FLOAT32.itemsize
        if problem is None:
            problem = self._size_problem(size)
        if problem is None and dimension not in (None, size):
            problem = f"has {size} coordinates where the header says {dimension}"
        if problem is None:
            coordinates = (
                np.frombuffer(vector.float32_le, _FLOAT32)
                if vector.float32_le
                else np.array(vector.values, _FLOAT32)
            )
            problem = _content_problem(np.require(coordinates, np.float32, ["C", "A", "W"]))
            if problem is None:
                return coordinates
        self.refuse(field, problem)
        return None

    def vectors(
        self, vectors: Sequence[types_pb2.Vector], field_of: Callable[[int], str]
    ) -> NDArray[np.float32] | None:
        """Reads n vectors of one dimension; None where one is invalid, or they differ.

        Args:
            vectors: As they came, the first of which gives the dimension.
            field_of: Gives the path of each by its place.

        Returns:
            Shape (n, d), float32, finite, C-contiguous, writable: the one copy that is made.
        """
        packed = self._packed(vectors)
        if packed is not None:
            return packed
        first = self.vector(vectors[0], field_of(0))
        rows = [] if first is None else [first]
        for place, vector in enumerate(vectors[1:], 1):
            field = field_of(place)
            row = self.vector(vector, field)
            if row is not None and first is not None and len(row) != len(first):
                self.refuse(
                    field,
                    f"has {len(row)} coordinates where the prompt has {len(first)}; use one "
                    "encoder",
                )
            elif row is not None:
                rows.append(row)
        return np.array(rows, np.float32) if len(rows) == len(vectors) else None

    def _packed(self, vectors: Sequence[types_pb2.Vector]) -> NDArray[np.float32] | None:
        """Reads vectors that came as bytes, all at once; None where anything is amiss."""
        parts = [each.float32_le for each in vectors]
        size, *others = {len(part) for part in parts}
        if others or size % _FLOAT32.itemsize or self._size_problem(size // _FLOAT32.itemsize):
            return None
        if any(each.values for each in vectors):
            return None
        # Kernels are compiled for arrays that may be written to, which bytes are not.
        rows = np.frombuffer(bytearray().join(parts), _FLOAT32).reshape(len(parts), -1)
        return rows if _content_problem(rows.reshape(-1)) is None else None

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
    # One pass that NaN, infinity and overflow all fail.
    if squared_norm(coordinates) <= LARGEST_SQUARED_NORM:
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
