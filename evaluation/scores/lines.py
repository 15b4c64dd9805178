"""The lines of a plain text file, each a prompt."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from evaluation.rows import BadRow, Row
from evaluation.scores.fields import ScoreFields


def read_lines(file: Path, fields: ScoreFields) -> Iterator[Row | BadRow]:
    """Reads every line that is not blank as a record with a prompt alone.

    Yields:
        Rows with the place `line 3`, from 1; a `BadRow` where one, or the file, can't be read.
    """
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if content.strip():
                    yield _row(file, f"line {number}", content, fields)
    except OSError as error:
        yield BadRow(file, "", f"can't be read ({error.strerror})")


def _row(file: Path, place: str, content: bytes, fields: ScoreFields) -> Row | BadRow:
    try:
        return Row(file, place, {fields.prompt: content.decode("utf-8").rstrip("\r\n")})
    except UnicodeDecodeError as error:
        return BadRow(file, place, f"is not UTF-8 at byte {error.start}")
