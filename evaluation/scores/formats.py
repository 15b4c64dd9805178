"""Which files make a data set, and what each of them is."""

import codecs
import enum
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_SPLIT = re.compile(r"[-_](train|test|validation|dev)$", re.IGNORECASE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK = b" \t\r\n"


class Format(enum.Enum):
    """What a file is."""

    JSON = "json"
    """JSON by the line, or one JSON list."""
    CSV = "csv"
    PARQUET = "parquet"
    TEXT = "text"
    """One prompt per line."""
    UTF16 = "utf-16"
    """Text that is not read."""


_SUFFIXES = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSON,
    ".ndjson": Format.JSON,
    ".parquet": Format.PARQUET,
    ".txt": Format.TEXT,
}


def data_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yields the files; in the place of a directory those in it that have a suffix of ours.

    Text is none of them, since it is most often notes. A directory without any
    file is yielded itself, so that reading it says so.
    """
    for path in paths:
        within = sorted(path.iterdir()) if path.is_dir() else []
        yield from [each for each in within if _is_table(each)] or [path]


def _is_table(file: Path) -> bool:
    found = _SUFFIXES.get(file.suffix.lower(), Format.TEXT)
    return found is not Format.TEXT and file.is_file()


def format_of(file: Path) -> Format:
    """Tells what a file is: by its first bytes, where they say it, then by its suffix.

    Any other file is JSON where it begins with a brace or a bracket, else text.

    Raises:
        OSError: The file can't be read.
    """
    with file.open("rb") as stream:
        start = stream.read(4096)
    if start.startswith(b"PAR1"):
        return Format.PARQUET
    if start.startswith(_UTF16):
        return Format.UTF16
    by_suffix = _SUFFIXES.get(file.suffix.lower())
    if by_suffix:
        return by_suffix
    first = start.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK)[:1]
    return Format.JSON if first in (b"{", b"[") else Format.TEXT


def task_of(file: Path) -> str:
    """Returns the task of the rows of a file that name none.

    It is the file's name without its suffix and without the split, so that
    `gsm8k-train.json` and `gsm8k_test.json` are of one task.
    """
    return _SPLIT.sub("", file.stem) or file.stem
