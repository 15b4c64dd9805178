"""What a manifest says of a router's method, read with care."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scoring.errors import InvalidArrayError

Json: TypeAlias = list["Json"] | dict[str, "Json"] | str | bool | int | float | None
"""What JSON can hold."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A mapping of the manifest; what a router doesn't read of it may be anything.

    Attributes:
        values: The parameters by name.
        within: Where they stand in the method, for errors: "" or "members[2].method.".
    """

    values: Mapping[str, object]
    within: str = ""

    def whole(self, name: str, *, least: int, most: float = math.inf) -> int:
        """Returns an integer from `least` to `most`; a number like 3.0 is one.

        Raises:
            InvalidArrayError: It is missing, or isn't one.
        """
        number = self.number(name, least=least, most=most)
        if number != int(number):
            raise self._refusal(name, "a whole number")
        return int(number)

    def number(self, name: str, *, least: float = 0.0, most: float = math.inf) -> float:
        """Returns a finite number from `least` to `most`.

        Raises:
            InvalidArrayError: It is missing, or isn't one.
        """
        value = self.values.get(name)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not plain or not abs(value) < _HUGE or not least <= value <= most:  # type: ignore[arg-type, operator]
            wanted = f"a number of {least:g} or more" if most == math.inf else "a number"
            raise self._refusal(
                name, wanted if most == math.inf else f"{wanted} {least:g}..{most:g}"
            )
        return float(value)  # type: ignore[arg-type]

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Returns one of some words.

        Raises:
            InvalidArrayError: It is missing, or another.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or value not in allowed:
            raise self._refusal(name, " or ".join(allowed))
        return value

    def text(self, name: str) -> str:
        """Returns a text that isn't empty.

        Raises:
            InvalidArrayError: It is missing, or isn't one.
        """
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise self._refusal(name, "a text")
        return value

    def members(self, name: str) -> list["Parameters"]:
        """Returns a list of mappings, at least one.

        Raises:
            InvalidArrayError: It is missing, or anything else.
        """
        value = self.values.get(name)
        if not isinstance(value, list | tuple) or not value:
            raise self._refusal(name, "a list of objects, at least one")
        for place, each in enumerate(value):
            if not isinstance(each, Mapping):
                raise self._refusal(f"{name}[{place}]", "an object")
        return [
            Parameters(each, f"{self.within}{name}[{place}].") for place, each in enumerate(value)
        ]

    def inner(self, name: str) -> "Parameters":
        """Returns a mapping within this one; an absent one is empty.

        Raises:
            InvalidArrayError: It is anything else.
        """
        value = self.values.get(name, {})
        if not isinstance(value, Mapping):
            raise self._refusal(name, "an object")
        return Parameters(value, f"{self.within}{name}.")

    def _refusal(self, name: str, wanted: str) -> InvalidArrayError:
        field = f"method.{self.within}{name}"
        given = self.values.get(name)
        found = "it is missing" if given is None else f"it is {str(given)[:40]!r}"
        return InvalidArrayError(f"{field} must be {wanted}; {found}.", field=field)


_HUGE = 1e100
"""Such a number times any that an array may hold is finite."""
