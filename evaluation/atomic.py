"""Files that are whole or not there."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_lines(file: Path, lines: Iterable[str]) -> None:
    """Writes lines as UTF-8 to a file that takes its place only when it is whole.

    Args:
        file: The file; one that exists is replaced.
        lines: The lines, with their line feeds.

    Raises:
        OSError: The file, or its folder, can't be written.
    """
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as stream:
        try:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
            Path(stream.name).chmod(_mode(file))
            Path(stream.name).replace(file)
        except BaseException:
            Path(stream.name).unlink()
            raise


def _mode(file: Path) -> int:
    """Returns the permissions of the file, or what a new one gets here."""
    if file.exists():
        return file.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
