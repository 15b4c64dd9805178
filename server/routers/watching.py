"""Telling when a directory has changed, and that the change is over."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

_MOST_FILES = 1000

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, inode, bytes and nanoseconds of change of each file; empty where nothing is there."""


def fingerprint(directory: Path) -> Fingerprint:
    """Tells what an artefact's directory holds now without reading it.

    It follows a symbolic link, so a link that leads elsewhere is a change, and so is a directory
    that was renamed into place.
    """
    try:
        # Path.resolve raises RuntimeError for a loop of links, until Python 3.13.
        root = Path(os.path.realpath(directory, strict=True))
        files = [path for path in islice(root.rglob("*"), _MOST_FILES) if path.is_file()]
        return tuple(sorted(_entry(path) for path in files))
    except OSError:
        return ()


def _entry(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(slots=True)
class Watch:
    """Remembers what was tried, and what was seen at the last look.

    Attributes:
        tried: What was there when it was last loaded, or refused.
    """

    tried: Fingerprint
    _last: Fingerprint | None = None

    def has_settled(self, seen: Fingerprint) -> bool:
        """Whether there is something untried that was the same at the look before.

        A directory that is still being copied changes from look to look, and is left alone.
        """
        settled = seen == self._last and seen != self.tried
        self._last = seen
        return settled
