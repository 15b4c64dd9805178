"""Files and directories that their owner alone may open, whatever the umask says."""

import os
from contextlib import suppress
from pathlib import Path


def make_directory(directory: Path) -> None:
    """Makes a directory; leaves one that is there already as it is.

    Raises:
        OSError: It can't be made, or something else is in its place.
    """
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise
    else:
        directory.chmod(0o700)


def make_file(path: Path) -> None:
    """Makes an empty file, for others to fill; leaves one that is there already as it is.

    Raises:
        OSError: It can't be made.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
