"""Telling when a directory has changed, and that the change is over."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

_MOST_ENTRIES = 1000

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Path, inode, bytes and nanoseconds of change of each file; empty where nothing is there."""


def fingerprint(directory: Path) -> Fingerprint:
    """Tells what an artefact's directory holds now without reading it.

    It follows a symbolic link, so a link that leads elsewhere is a change, and so is a directory
    that was renamed into place.
    """
    try:
        # Path.resolve raises RuntimeError for a loop of links, until Python 3.13.
        root = os.path.realpath(directory, strict=True)
        entries = islice(_entries(root), _MOST_ENTRIES)
        return tuple(sorted(_identity(entry) for entry in entries if entry.is_file()))
    except OSError:
        return ()


def _entries(root: str) -> Iterator[os.DirEntry[str]]:
    # Path.rglob, and os.walk until Python 3.12, run out of stack in folders that lie deep.
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                yield entry


def _identity(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    status = entry.stat()
    return entry.path, status.st_ino, status.st_size, status.st_mtime_ns


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
