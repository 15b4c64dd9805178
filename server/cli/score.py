"""`pointsman score`: ranks the answers of a data set offline."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.method import Embedding, Estimator, Formula, Method

if TYPE_CHECKING:
    from evaluation.generations import Ensemble, FieldMapping
    from evaluation.offline import Scoring
    from evaluation.texts import Progress, TextEncoder

_FAILED = 1
_SHOWN_BAD_ROWS = 10
_STANDARD_OUTPUT = Path("-")


def score(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="JSONL files or JSON lists of prompts and answers."
        ),
    ],
    *,
    estimator: Annotated[
        Estimator, typer.Option(help="How noise is estimated.")
    ] = Estimator.GLOBAL,
    neighbours: Annotated[
        int, typer.Option(min=1, help="Prompts that local rests on, the prompt itself included.")
    ] = 20,
    embedding: Annotated[
        Embedding, typer.Option(help="What of an answer is embedded.")
    ] = Embedding.GENERATION,
    formula: Annotated[
        Formula,
        typer.Option(help="How noise becomes a choice; reference is the authors' own formula."),
    ] = Formula.POINTSMAN,
    prompt_field: Annotated[str, typer.Option(help="Dotted name of the prompt.")] = "prompt",
    generations_field: Annotated[
        str, typer.Option(help="Dotted name of a record's answers, where it has several.")
    ] = "generations",
    voter_field: Annotated[str, typer.Option(help="Dotted name of who answered.")] = "voter",
    text_field: Annotated[str, typer.Option(help="Dotted name of the answer.")] = "text",
    voter: Annotated[
        list[str] | None, typer.Option(help="Keep only this voter's answers; may be repeated.")
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of an ONNX encoder; the embedded one if none.",
        ),
    ] = None,
    cache_dir: Annotated[
        Path, typer.Option(help="Where the embedded encoder is assembled, once.")
    ] = Path("~/.cache/pointsman"),
    out: Annotated[
        Path | None, typer.Option(help="File for the ranked JSONL; - for standard output.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only the first prompts.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Rank the answers of several models to many prompts, without labels."""
    from evaluation.generations import FieldMapping

    _require_writable(out, files)
    fields = FieldMapping(prompt_field, generations_field, voter_field, text_field)
    ensembles = _selected(_read(files, fields, strict=strict), voter or [], limit)
    method = Method(estimator, neighbours, embedding, formula)
    _deliver(_scored(ensembles, method, encoder, cache_dir), out)


def load_encoder(directory: Path | None, cache: Path) -> "TextEncoder":
    """Loads the encoder of a folder, or the embedded one where there is none.

    Raises:
        EncodersError: The folder holds no encoder, or the embedded one is not installed.
    """
    from encoders import SentenceEncoder, embedded_encoder

    return SentenceEncoder.load(directory or embedded_encoder(cache.expanduser()))


def _require_writable(out: Path | None, files: Sequence[Path]) -> None:
    """Refuses before the work what could only fail after it."""
    if out is None or out == _STANDARD_OUTPUT:
        return
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise typer.BadParameter(f"{out} can't be written; name a file in a folder that can.")
    if any(out.exists() and out.samefile(file) for file in files):
        raise typer.BadParameter(f"{out} is one of the files to read; name another.")


def _read(files: Sequence[Path], fields: "FieldMapping", *, strict: bool) -> Sequence["Ensemble"]:
    from evaluation.errors import UnreadableDataError
    from evaluation.generations import read_generations

    try:
        reading = read_generations(files, fields, strict=strict)
    except UnreadableDataError as error:
        raise _failure(str(error)) from None
    for bad_row in reading.bad_rows[:_SHOWN_BAD_ROWS]:
        typer.echo(bad_row, err=True)
    if reading.bad_rows:
        typer.echo(f"{len(reading.bad_rows)} bad rows were left out.", err=True)
    if not reading.ensembles:
        raise _failure("Nothing is readable; see --help for how to name the fields.")
    return reading.ensembles


def _selected(
    ensembles: Sequence["Ensemble"], voters: list[str], limit: int | None
) -> Sequence["Ensemble"]:
    from evaluation.errors import UnreadableDataError
    from evaluation.generations import select

    try:
        return select(ensembles, voters, limit)
    except UnreadableDataError as error:
        raise typer.BadParameter(str(error)) from None


def _scored(
    ensembles: Sequence["Ensemble"], method: Method, directory: Path | None, cache: Path
) -> "Scoring":
    from encoders import EncodersError
    from evaluation.offline import score_ensembles

    try:
        encoder = load_encoder(directory, cache)
    except EncodersError as error:
        raise _failure(str(error)) from None
    with _progress() as report:
        return score_ensembles(ensembles, encoder, method, report)


@contextmanager
def _progress() -> Iterator["Progress"]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("Encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("encoding", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _deliver(scoring: "Scoring", out: Path | None) -> None:
    from rich.console import Console

    from evaluation.atomic import write_lines
    from evaluation.ranked import ranked_lines
    from evaluation.tables import scoring_tables

    lines = ranked_lines(scoring.ensembles)
    if out == _STANDARD_OUTPUT:
        for line in lines:
            typer.echo(line.encode(), nl=False)
    elif out is not None:
        try:
            write_lines(out, lines)
        except OSError as error:
            raise _failure(f"{out} can't be written: {error.strerror}.") from None
    Console(stderr=out == _STANDARD_OUTPUT).print(scoring_tables(scoring))


def _failure(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(_FAILED)
