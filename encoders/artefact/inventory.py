"""Which files an artefact holds, and whether each is as it was written."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from encoders.artefact.manifest import MANIFEST, Manifest
from encoders.errors import ArtefactInvalidError

MOST_MANIFEST_BYTES = 4 * 2**20
MOST_ARRAY_BYTES = 2**30
MOST_BYTES = 16 * 2**30
"""Of all files together."""


def hashes_of(directory: Path) -> dict[str, str]:
    """SHA-256 of every file but the manifest, by its path, in order.

    Raises:
        ArtefactInvalidError: There is a link or a special file, or too much.
        OSError: A file can't be read.
    """
    found = sorted(set(_sizes(directory)) - {MANIFEST})
    return {path: _sha256(directory / path) for path in found}


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Checks that a directory holds the files of a manifest, unchanged, and no other.

    Raises:
        ArtefactInvalidError: A file is missing, changed or not listed, is a link or a special
            file, or all are too large.
        OSError: A file can't be read.
    """
    found = set(_sizes(directory)) - {MANIFEST}
    for path in sorted(manifest.files.keys() - found):
        raise ArtefactInvalidError(f"{directory / path} is missing; copy the router again")
    for path in sorted(found - manifest.files.keys()):
        message = f"{directory / path} is not listed in {MANIFEST}; remove it"
        raise ArtefactInvalidError(message)
    for path, expected in manifest.files.items():
        if _sha256(directory / path) != expected:
            raise changed(directory / path)


def read_limited(path: Path, limit: int) -> bytes:
    """Reads a file of at most `limit` bytes.

    Raises:
        ArtefactInvalidError: It is larger, a link, or no plain file.
        OSError: It can't be read.
    """
    if path.is_symlink() or not path.is_file():
        raise _special(path)
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ArtefactInvalidError(f"{path} is larger than {limit} bytes; export the router again")
    return data


def changed(path: Path) -> ArtefactInvalidError:
    """The error of a file that is not as its manifest says."""
    return ArtefactInvalidError(
        f"{path} is not the file that {MANIFEST} lists (its hash differs); copy the router again"
    )


def _special(path: Path) -> ArtefactInvalidError:
    message = f"{path} is a link or a special file; a router holds plain files alone"
    return ArtefactInvalidError(message)


def _sizes(directory: Path) -> dict[str, int]:
    sizes = dict(_walk(directory, ""))
    if sum(sizes.values()) > MOST_BYTES:
        message = f"the files of {directory} are larger than {MOST_BYTES} bytes together; it is "
        raise ArtefactInvalidError(message + "no router, name another directory")
    return sizes


def _walk(directory: Path, prefix: str) -> Iterator[tuple[str, int]]:
    """Relative path and bytes of every file below a directory."""
    with os.scandir(directory) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(path, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size
            else:
                raise _special(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
