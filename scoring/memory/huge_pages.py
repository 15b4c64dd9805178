"""Asks Linux to hold the memory of a large graph in huge pages.

A search reads a thousand vectors from all over its graph. Of 170 MB in pages of 4 kB the processor
remembers the addresses of few, and looks for nearly every one of them in memory first.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_HUGEPAGE = 14  # MADV_HUGEPAGE: memory that is written to from now on comes in huge pages
_COLLAPSE = 25  # MADV_COLLAPSE, from Linux 6.1 on: what was written to becomes huge pages at once
_MAPPINGS = Path("/proc/self/maps")
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LEAST_BYTES = 32 << 20
"""malloc gives whatever is as large as this a mapping of its own."""


def ask_for_huge_pages(size: int) -> None:
    """Asks for every mapping of `size` bytes or more, for hnswlib does not say which is its own.

    Does nothing for less than `LEAST_BYTES`, and where the system has none to give, or its
    operator wants none given. Takes a millisecond, and a third of one for each MB that was written
    to before.
    """
    if size < LEAST_BYTES or sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with suppress(OSError):
        if "[never]" in _ENABLED.read_text(encoding="ascii"):
            return
        for start, end in _private_mappings():
            if end - start >= size:
                advise(start, end - start, _HUGEPAGE)
                advise(start, end - start, _COLLAPSE)


def _private_mappings() -> Iterator[tuple[int, int]]:
    """Where memory lies that is no file's and can be written to."""
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if permissions == "rw-p" and inode == "0" and not name:
            start, _, end = addresses.partition("-")
            yield int(start, 16), int(end, 16)
