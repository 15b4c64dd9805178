"""The rows of a CSV file, each with the line on which it begins."""

import codecs
import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evaluation.rows import BadRow, Row
from evaluation.scores.columns import Columns
from evaluation.scores.fields import RecordError, ScoreFields


def read_csv(
    file: Path, fields: ScoreFields, *, require_scores: bool = True
) -> Iterator[Row | BadRow]:
    """Reads a table as records that look like those of JSON.

    Values are separated by commas and quoted as RFC 4180 has it; a field may be
    of any length and go over several lines. Lines end in a line feed, with or
    without a carriage return, and are counted as an editor counts them.

    Args:
        file: UTF-8, with or without a byte order mark; its first row names the columns.
        fields: What the columns are called.
        require_scores: Whether a table without scores is wrong.

    Yields:
        Rows with the place `line 7`; a `BadRow` where one, or the file, can't be read.
    """
    try:
        with file.open("rb") as stream, _long_fields():
            yield from _records(file, stream, fields, require_scores=require_scores)
    except OSError as error:
        yield BadRow(file, "", f"can't be read ({error.strerror})")


def _records(
    file: Path, stream: BinaryIO, fields: ScoreFields, *, require_scores: bool
) -> Iterator[Row | BadRow]:
    columns: Columns | None = None
    names: list[str] = []
    for number, cells in _rows(stream):
        place = f"line {number}"
        if isinstance(cells, _Broken):
            yield BadRow(file, place, cells.problem, cells.more_lines)
            if columns is None:
                return
            continue
        try:
            _require_utf8(cells)
            if columns is None:
                names = cells
                columns = Columns.of(names, fields, require_scores=require_scores)
                continue
            yield Row(file, place, columns.record(_named(names, cells), fields))
        except RecordError as error:
            yield BadRow(file, place, str(error))
            if columns is None:
                return


@dataclass(frozen=True, slots=True)
class _Broken:
    """A row that is not CSV, with the lines after its first that it swallowed."""

    problem: str
    more_lines: int


def _rows(stream: BinaryIO) -> Iterator[tuple[int, list[str] | _Broken]]:
    """Yields the line on which each row begins and its cells, or what is wrong with it."""
    # A strict reader refuses a stray quote, which would otherwise swallow what follows.
    reader = csv.reader(_lines(stream), strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, _broken(str(error), start, reader.line_num)
            continue
        if cells:
            yield start, cells


def _lines(stream: BinaryIO) -> Iterator[str]:
    if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        stream.seek(0)
    for line in stream:
        yield line.decode("utf-8", "surrogateescape")


def _broken(error: str, first: int, last: int) -> _Broken:
    # What it swallowed is not read anew: the text of a prompt could pass for a row.
    lost = f"; lines {first} to {last} are lost" if last > first else ""
    return _Broken(_problem(error) + lost, last - first)


def _problem(error: str) -> str:
    if "unexpected end" in error:
        return "begins a quoted field that never ends"
    if "new-line character" in error:
        return "has a carriage return outside quotes; end lines with a line feed"
    return f"is not CSV ({error})"


def _require_utf8(cells: list[str]) -> None:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        raise RecordError("is not UTF-8") from None


def _named(names: list[str], cells: list[str]) -> dict[str, object]:
    if len(cells) != len(names):
        raise RecordError(f"has {len(cells)} fields, but the header has {len(names)}")
    return dict(zip(names, cells, strict=True))


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lifts the limit of 128 kB that `csv` sets for the whole process."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
