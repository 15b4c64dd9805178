"""`pointsman score`: ranks the answers of a data set offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.method import Embedding, Estimator, Formula, Method
from server.cli.delivery import (
    STANDARD_OUTPUT,
    deliver_lines,
    failure,
    progress_bar,
    require_writable,
    show_bad_rows,
)

if TYPE_CHECKING:
    from evaluation.generations import Ensemble, FieldMapping
    from evaluation.offline import Scoring
    from evaluation.texts import TextEncoder


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

    require_writable(out, files)
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


def _read(files: Sequence[Path], fields: "FieldMapping", *, strict: bool) -> Sequence["Ensemble"]:
    from evaluation.errors import UnreadableDataError
    from evaluation.generations import read_generations

    try:
        reading = read_generations(files, fields, strict=strict)
    except UnreadableDataError as error:
        raise failure(str(error)) from None
    show_bad_rows(reading.bad_rows)
    if not reading.ensembles:
        raise failure("Nothing is readable; see --help for how to name the fields.")
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
        raise failure(str(error)) from None
    with progress_bar("Encoding") as report:
        return score_ensembles(ensembles, encoder, method, report)


def _deliver(scoring: "Scoring", out: Path | None) -> None:
    from rich.console import Console

    from evaluation.ranked import ranked_lines
    from evaluation.tables import scoring_tables

    if out is not None:
        deliver_lines(ranked_lines(scoring.ensembles), out)
    Console(stderr=out == STANDARD_OUTPUT).print(scoring_tables(scoring))
