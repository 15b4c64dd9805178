"""Compiled kernels kept on disk, so that only the first start on a machine compiles them.

Numba's own cache tells neither a change of a compiler option nor one of a function that a
kernel calls, reads a damaged file as if it were whole, and raises where it can't write. Here
the folder bears the hash of every source of this package, a file bears the hash of its content,
and whatever is wrong with either, the kernel is compiled as if there were none.
"""

import hashlib
import logging
import os
import pickle
import re
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import compiler, serialize

from scoring.kernels.compilation import dispatchers

_compiler: Any = compiler  # Numba has no types
_serialize: Any = serialize
_logger = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]
# What else changes the code that Numba makes, and is neither in a source nor in a version.
_SWITCHES = ("BOUNDSCHECK", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE")
_UNUSED_SECONDS = 30 * 86_400.0
_OTHERS_MAY_WRITE = 0o022
_FOLDER = re.compile("[0-9a-f]{16}")


def keep_compiled(directory: Path) -> Path | None:
    """Has the kernels loaded from a directory where they are there, and kept there where not.

    To be called before any kernel runs. Several processes may share the directory. It holds
    code that is run: a folder in it is used only if it belongs to this user or to root, and
    nobody else may write to it.

    Args:
        directory: Made where it is missing; may be read-only.

    Returns:
        The folder in it that belongs to these sources and libraries; None where there can be
        none, and the kernels are compiled as if this had not been called.
    """
    folder = directory / compilation_hash(_PACKAGE)
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            _sweep(directory)
        status = folder.stat()
    except OSError as error:
        _logger.info("compiled kernels can't be kept in %s: %s", directory, error.strerror)
        return None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & _OTHERS_MAY_WRITE:
        _logger.warning("%s may be written by others, so compiled kernels stay unread", folder)
        return None
    with suppress(OSError):
        os.utime(folder)  # says that it is used
    for dispatcher in dispatchers():
        dispatcher._cache = _KeptKernel(folder, dispatcher.py_func)  # noqa: SLF001  as its enable_caching does
    return folder


def compilation_hash(package: Path) -> str:
    """Returns the hash of what decides the code of a kernel, besides its signature and the CPU.

    Args:
        package: Every Python source below it counts, for a kernel may call any of them.
    """
    versions = (numba.__version__, version("llvmlite"), np.__version__, sys.version)
    switches = [getattr(numba.config, name) for name in _SWITCHES]
    digest = hashlib.sha256(repr((versions, switches)).encode())
    for source in sorted(package.rglob("*.py")):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(package)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


class _KeptKernel:
    """What a dispatcher of Numba asks for compiled code, and gives it to."""

    def __init__(self, folder: Path, function: Any) -> None:  # noqa: ANN401  any function
        self.cache_path = str(folder)
        self._folder = folder
        self._name = f"{function.__module__}.{function.__qualname__}"

    def load_overload(self, signature: object, target: Any) -> Any:  # noqa: ANN401  of Numba
        """Returns what was compiled for a signature on this CPU, or None."""
        target.refresh()
        path = self._path(signature, target.codegen())
        try:
            stated, content = path.read_bytes().split(b"\n", 1)
            if stated.decode() != hashlib.sha256(content).hexdigest():
                raise ValueError("its content has changed")  # noqa: TRY301  handled as the others are
            # The folder is ours alone, and the content as it was written.
            return _compiler.CompileResult._rebuild(target, *pickle.loads(content))  # noqa: S301, SLF001
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  whatever it is, the kernel can be compiled
            _logger.warning("%s is not read, so the kernel is compiled: %r", path, error)
            return None

    def save_overload(self, signature: object, compiled: Any) -> None:  # noqa: ANN401  of Numba
        """Keeps what was compiled for a signature on this CPU."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return
        path = self._path(signature, compiled.codegen)
        try:
            content = _serialize.dumps(compiled._reduce())  # noqa: SLF001  as Numba's own cache does
            _write(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        except Exception as error:  # noqa: BLE001  the kernel is there, kept or not
            _logger.info("a compiled kernel can't be kept in %s: %r", path, error)

    def _path(self, signature: object, code: Any) -> Path:  # noqa: ANN401  of Numba
        key = hashlib.sha256(repr((signature, code.magic_tuple())).encode()).hexdigest()
        return self._folder / f"{self._name}-{key[:16]}"


def _write(path: Path, content: bytes) -> None:
    """Writes a file as a whole or not at all, whoever else writes it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _sweep(directory: Path) -> None:
    """Removes the folders of other sources and libraries that nobody has used for long.

    Whatever bears another name is not ours: the directory may hold more than kernels.
    """
    oldest = time.time() - _UNUSED_SECONDS
    for folder in directory.iterdir():
        with suppress(OSError):
            ours = _FOLDER.fullmatch(folder.name) and folder.is_dir()
            if ours and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder)
