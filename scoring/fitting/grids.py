"""The settings to try: every combination of the values of parameters that aren't given."""

import itertools
from collections.abc import Mapping

from scoring.fitting.kinds import KINDS, with_defaults
from scoring.fitting.values import Settings


def settings_of(kind: str, given: Mapping[str, object]) -> list[Settings]:
    """Returns each setting to try, with every parameter of the kind.

    Raises:
        InvalidArrayError: The kind isn't learned here or has no such parameter.
    """
    base = with_defaults(kind, given)
    free = {name: values for name, values in KINDS[kind].grid.items() if name not in given}
    return [
        {**base, **dict(zip(free, values, strict=True))}
        for values in itertools.product(*free.values())
    ]
