"""A directory that takes its place whole, whatever was there before."""

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths are as they are written
_EXCHANGE = 2  # RENAME_EXCHANGE
_WITHOUT_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """Makes a directory beside `target` to write in; what is left of it at the end is removed.

    A process that is killed leaves it there, under a name that begins with a dot.

    Raises:
        OSError: It can't be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-writing-", dir=target.parent))
    try:
        work.chmod(0o755)
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def swap_in(work: Path, target: Path) -> None:
    """Moves a directory to `target`, and what was there to `work`.

    Where the file system can exchange two directories, there is no moment without a `target`;
    elsewhere there is a short one.

    Raises:
        OSError: It can't be moved; `target` is as it was.
    """
    _sync(work)
    if not target.exists() or not any(target.iterdir()):
        work.rename(target)
    elif not _exchange(work, target):
        _replace(work, target)
    _sync_one(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Exchanges two paths at once; False where that is not possible here."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _WITHOUT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(second))


def _replace(work: Path, target: Path) -> None:
    old = work.with_name(f"{work.name}-old")
    target.rename(old)
    try:
        work.rename(target)
    except OSError:
        old.rename(target)
        raise
    old.rename(work)


def _sync(directory: Path) -> None:
    """Has the disk hold what is in a directory, so that a power cut can't leave half of it."""
    for folder, _, names in os.walk(directory):
        for name in names:
            _sync_one(Path(folder) / name)
        _sync_one(Path(folder))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
