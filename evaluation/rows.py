"""The rows of a JSONL file or of a JSON list, each with its place in the file."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON value and where it stands.

    Attributes:
        file: The file.
        place: `line 3` of a JSONL file (from 1), `index 3` of a list (from 0).
        value: What `json` made of it.
    """

    file: Path
    place: str
    value: object


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or a whole file, that can't be used.

    Attributes:
        file: The file.
        place: As in `Row`; empty for the whole file.
        problem: What is wrong, as a predicate.
        more_lines: Lines after its first that are lost with it.
    """

    file: Path
    place: str
    problem: str
    more_lines: int = 0

    def __str__(self) -> str:
        where = f"{self.file}, {self.place}" if self.place else str(self.file)
        return f"{where}: {self.problem}."


def read_rows(file: Path) -> Iterator[Row | BadRow]:
    """Reads a file of JSON values; what it is, is told by its first character.

    A file that begins with `[` is one JSON list and is read as a whole; any
    other is JSONL and is read line by line. Both are UTF-8, with or without a
    byte order mark; empty lines are passed over.

    Args:
        file: The file to read.

    Yields:
        The rows in their order; a `BadRow` where one, or the file, can't be read.
    """
    try:
        with file.open("rb") as stream:
            yield from _rows(file, stream)
    except OSError as error:
        yield BadRow(file, "", f"can't be read ({error.strerror})")


def _rows(file: Path, stream: BinaryIO) -> Iterator[Row | BadRow]:
    start = stream.read(len(codecs.BOM_UTF8))
    if start.startswith(_UTF16):
        yield BadRow(file, "", "is UTF-16; save it as UTF-8")
        return
    stream.seek(len(start) if start == codecs.BOM_UTF8 else 0)
    text_start = stream.tell()
    first = _first_character(stream)
    stream.seek(text_start)
    yield from _list_rows(file, stream.read()) if first == b"[" else _line_rows(file, stream)


def _first_character(stream: BinaryIO) -> bytes:
    while (character := stream.read(1)).isspace():
        pass
    return character


def _line_rows(file: Path, stream: BinaryIO) -> Iterator[Row | BadRow]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            yield _parsed(file, f"line {number}", line)


def _list_rows(file: Path, content: bytes) -> Iterator[Row | BadRow]:
    whole = _parsed(file, "", content)
    if isinstance(whole, BadRow) or not isinstance(whole.value, list):
        yield whole
        return
    for index, value in enumerate(whole.value):
        yield Row(file, f"index {index}", value)


def _parsed(file: Path, place: str, content: bytes) -> Row | BadRow:
    try:
        return Row(file, place, json.loads(content.decode("utf-8"), object_pairs_hook=_object))
    except UnicodeDecodeError as error:
        return BadRow(file, place, f"is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column" if not place else "column"
        return BadRow(file, place, f"is not JSON at {at} {error.colno} ({error.msg})")
    except _RepeatedNameError as error:
        return BadRow(file, place, f"has {error.name!r} twice in one object")
    except ValueError:
        return BadRow(file, place, "holds a number that is too long")
    except RecursionError:
        return BadRow(file, place, "is nested too deeply")


class _RepeatedNameError(ValueError):
    """A JSON object names a member twice, of which `json` would keep the last."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(members)
    if len(unique) < len(members):
        names = [name for name, _ in members]
        raise _RepeatedNameError(next(name for name in names if names.count(name) > 1))
    return unique
