"""A report as it leaves a command: in the terminal, and as files in a folder."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from server.cli.delivery import failure

if TYPE_CHECKING:
    from evaluation.report import Report

Sheet: TypeAlias = tuple[Sequence[str], Iterable[Sequence[object]]]
"""The header and the rows of a table."""


def require_folder(out: Path | None) -> None:
    """Makes the folder, or refuses before the work what could only fail after it."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{out} can't be a folder: {error.strerror}.") from None
    if not os.access(out, os.W_OK):
        raise typer.BadParameter(f"{out} can't be written; name another folder.")


def deliver_report(
    report: "Report",
    record: object,
    sheets: Mapping[str, Sheet],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Prints a report, or its record as one line of JSON, and writes the folder if there is one."""
    from rich.console import Console

    from evaluation.report import json_value, print_report

    if as_json:
        typer.echo(json.dumps(json_value(record), ensure_ascii=False, allow_nan=False))
    else:
        print_report(report, Console())
    if out is not None:
        _write_folder(out, report, record, sheets)


def default_cache() -> Path:
    """Where vectors are kept between runs, unless another folder is named."""
    from evaluation.vector_cache import VECTOR_CACHE

    return VECTOR_CACHE.expanduser()


def _write_folder(out: Path, report: "Report", record: object, sheets: Mapping[str, Sheet]) -> None:
    """Writes report.html, report.json and a CSV for each sheet, and says where they are.

    Without the extra `report` there is no page, which is said; the figures are written.
    """
    from evaluation.errors import MissingExtraError
    from evaluation.report import write_csv, write_json, write_page

    try:
        write_json(out / "report.json", record)
        for name, (header, rows) in sheets.items():
            write_csv(out / name, header, rows)
        write_page(out / "report.html", report)
    except MissingExtraError as error:
        raise failure(f"{error} The figures are in {out}.") from None
    except OSError as error:
        raise failure(f"{out} can't be written: {error.strerror}.") from None
    typer.echo(f"The report is {out / 'report.html'}.", err=True)
