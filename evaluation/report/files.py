"""Reports as files for programs, each of which appears when it is whole."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from evaluation.atomic import write_lines
from evaluation.report.html import render_html
from evaluation.report.values import Report
from evaluation.report.words import printable

# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json_value(value: object) -> object:
    """Turns a value into what JSON has: NaN and infinity become null, dataclasses objects.

    Raises:
        TypeError: There is no JSON for it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: json_value(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {str(name): json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each) for each in value]
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterable[str]:
    """Yields the lines of a table, numbers in full; what is not known is empty.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    for row in (header, *rows):
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerow([_cell(each) for each in row])
        yield stream.getvalue()


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Writes a table; raises OSError where the file can't be written."""
    write_lines(file, csv_lines(header, rows))


def write_json(file: Path, value: object) -> None:
    """Writes a value, as `json_value` has it; raises OSError where the file can't be written."""
    text = json.dumps(json_value(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_lines(file, [text + "\n"])


def write_page(file: Path, report: Report) -> None:
    """Writes a report as a page; raises OSError where the file can't be written."""
    write_lines(file, [render_html(report)])


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return ""
    if isinstance(value, str):
        shown = printable(value)
        return f"'{shown}" if shown.startswith(_FORMULA) else shown
    return value
