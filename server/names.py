"""The names that pools and routers may bear."""

import re
from collections.abc import Iterable

NAME_RULE = "must be 1 to 128 letters, digits and . _ / @ : - after a letter or digit"
_SHOWN_CHARACTERS = 300
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,127}")


def is_name(name: str) -> bool:
    """Whether a pool or a router may bear this name."""
    return _NAME.fullmatch(name) is not None


def some_of(names: Iterable[str]) -> str:
    """Lists names as far as a sentence has room for them: some 300 characters."""
    shown: list[str] = []
    length = 0
    for name in names:
        length += len(name) + 2
        if shown and length > _SHOWN_CHARACTERS:
            return ", ".join(shown) + ", ..."
        shown.append(name)
    return ", ".join(shown)
