"""A report as files in a folder: a page for people, figures for programs."""

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


def write_folder(out: Path, report: "Report", record: object, sheets: Mapping[str, Sheet]) -> None:
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
