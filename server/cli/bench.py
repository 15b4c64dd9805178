"""`pointsman bench`: what benchmarks measured, before and after."""

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.delivery import FAILED, failure

if TYPE_CHECKING:
    from evaluation.speed import Comparison

app = typer.Typer(help="Compares runs of the benchmarks.", no_args_is_help=True)


class Format(enum.StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def bench() -> None:
    """Compares runs of the benchmarks."""


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD.json", help="The run before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW.json", help="The run after.")],
    *,
    threshold: Annotated[
        float, typer.Option(min=0, help="The least share by which a median must change to count.")
    ] = 0.1,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
    fail_on_worse: Annotated[
        bool,
        typer.Option(
            "--fail-on-worse", help="Exit code 1 if a figure is worse, or newly misses its target."
        ),
    ] = False,
) -> None:
    """Say which figures became better or worse, by their ratios to the reference of each run."""
    comparison = _compared(old, new, threshold)
    _deliver(comparison, output)
    if fail_on_worse and comparison.worse:
        raise typer.Exit(FAILED)


def _compared(old: Path, new: Path, threshold: float) -> "Comparison":
    from evaluation.errors import EvaluationError
    from evaluation.speed import compare, read_record

    try:
        return compare(read_record(old), read_record(new), threshold)
    except EvaluationError as error:
        raise failure(str(error)) from None


def _deliver(comparison: "Comparison", output: Format) -> None:
    from rich.console import Console

    from evaluation.report import json_value, print_report
    from evaluation.speed import comparison_report

    if output is Format.JSON:
        typer.echo(json.dumps(json_value(comparison), ensure_ascii=False, allow_nan=False))
    else:
        print_report(comparison_report(comparison), Console())
