"""What comes out of a command: files, progress, complaints."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from evaluation.rows import BadRow
    from evaluation.texts import Progress

FAILED = 1
STANDARD_OUTPUT = Path("-")
_SHOWN_BAD_ROWS = 10


def failure(sentence: str) -> typer.Exit:
    """Says why a command failed; raise what this returns."""
    typer.echo(sentence, err=True)
    return typer.Exit(FAILED)


def require_writable(out: Path | None, files: Sequence[Path]) -> None:
    """Refuses before the work what could only fail after it."""
    if out is None or out == STANDARD_OUTPUT:
        return
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} can't be written; name a file in a folder that can.")
    if any(out.exists() and file.exists() and out.samefile(file) for file in files):
        raise typer.BadParameter(f"{out} is one of the files to read; name another.")


def show_bad_rows(bad_rows: "Sequence[BadRow]") -> None:
    """Names the first bad rows and counts them all, with the lines that went with them."""
    for bad_row in bad_rows[:_SHOWN_BAD_ROWS]:
        typer.echo(bad_row, err=True)
    if bad_rows:
        typer.echo(f"{len(bad_rows)} bad rows were left out.", err=True)
    if more := sum(bad_row.more_lines for bad_row in bad_rows):
        typer.echo(f"With them {more} further lines were lost; mend the quotes.", err=True)


def deliver_lines(lines: Iterable[str], out: Path) -> None:
    """Writes lines to a file, which appears when it is whole, or to standard output."""
    from evaluation.atomic import write_lines

    if out == STANDARD_OUTPUT:
        for line in lines:
            typer.echo(line.encode(), nl=False)
        return
    try:
        write_lines(out, lines)
    except OSError as error:
        raise failure(f"{out} can't be written: {error.strerror}.") from None


@contextmanager
def progress_bar(title: str) -> "Iterator[Progress]":
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
