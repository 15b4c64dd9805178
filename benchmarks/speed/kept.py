"""What is built once and kept between runs, below `~/.cache/pointsman/benchmarks`.

`POINTSMAN_BENCH_CACHE` names another directory. What lies there may be removed at any time.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path


def kept(name: str, build: Callable[[Path], None]) -> Path:
    """Returns the directory of this name, built if it is not there yet.

    Args:
        name: Says everything that shapes it.
        build: Fills an empty directory. It runs in a process of its own, so that the memory it
            needs is not there to be used again, and must be importable from there.

    Raises:
        RuntimeError: It could not be built.
    """
    directory = _home() / name
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=directory.parent))
    try:
        _run_apart(build, building)
        _put(building, directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return directory


def is_kept(name: str) -> bool:
    """Whether there is a directory of this name."""
    return (_home() / name).is_dir()


def _home() -> Path:
    chosen = os.environ.get("POINTSMAN_BENCH_CACHE", "~/.cache/pointsman/benchmarks")
    return Path(chosen).expanduser()


def _put(built: Path, directory: Path) -> None:
    try:
        built.replace(directory)
    except OSError:
        if not directory.is_dir():  # else another run was quicker
            raise


def _run_apart(build: Callable[[Path], None], directory: Path) -> None:
    process = get_context("spawn").Process(target=build, args=(directory,))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{directory} could not be built: exit code {process.exitcode}.")
