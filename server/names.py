"""The names that pools and routers may bear."""

import re

NAME_RULE = "must be 1 to 128 letters, digits and . _ / @ : - after a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@:-]{0,127}")


def is_name(name: str) -> bool:
    """Whether a pool or a router may bear this name."""
    return _NAME.fullmatch(name) is not None
