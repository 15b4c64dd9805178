"""`pointsman export`: a router with a smaller and faster encoder, and what that costs."""

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from encoders.artefact.manifest import ARRAYS, ENCODER, ExportEntry, ManifestDraft, Precision
from server.cli.delivery import failure, show_bad_rows

if TYPE_CHECKING:
    from rich.table import Table

    from encoders import Artefact
    from evaluation.scores import ScoreFields, ScoreTable
    from server.cli.export_change import EncoderChange, RoutingChange


def export(
    router: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Directory of a router in fp32.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Directory to write; a router there is replaced.")],
    precision: Annotated[
        Precision, typer.Option(help="Numbers that the new encoder computes with.")
    ] = Precision.INT8_DYNAMIC,
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="File or folder of scores to measure on; may be repeated."),
    ] = None,
    prompt_field: Annotated[str, typer.Option(help="Name of the prompt.")] = "prompt",
    task_field: Annotated[str, typer.Option(help="Name of the task.")] = "task",
    count_positive: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK", help="A score above 0 is right in it; may be repeated."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Write a router anew with an encoder in int8, and print what changes."""
    from rich.console import Console

    from encoders import Artefact, EncodersError
    from encoders.artefact.bundle import require_replaceable
    from evaluation.scores import ScoreFields
    from scoring.errors import ScoringError

    if router.resolve() == out.resolve():
        raise typer.BadParameter(f"{out} is the router itself, which is kept; name another.")
    try:
        require_replaceable(out)
        original = Artefact.load(router)
        _require_work(original, precision)
        fields = ScoreFields(prompt_field, task_field)
        table = _read(data or [], fields, original.models, count_positive or [], strict=strict)
        with tempfile.TemporaryDirectory() as folder:
            change, written = _export(original, out, Path(folder), table, count_positive or [])
    except (EncodersError, ScoringError) as error:
        raise failure(str(error)) from None
    Console(markup=False, emoji=False).print(_shown(original, written, change))


def _require_work(original: "Artefact", precision: Precision) -> None:
    if original.manifest.encoder.kind == "tf-idf":
        raise failure(
            f"The encoder of {original.directory} counts terms and computes with no network; "
            "there is nothing to make smaller."
        )
    found = original.manifest.encoder.precision
    if found is not Precision.FP32:
        raise failure(f"The encoder of {original.directory} is {found}; export one in fp32.")
    if precision is not Precision.INT8_DYNAMIC:
        raise failure(
            f"The encoder of {original.directory} is fp32; choose another precision: int8-dynamic."
        )


def _read(
    files: list[Path],
    fields: "ScoreFields",
    models: tuple[str, ...],
    positive_tasks: list[str],
    *,
    strict: bool,
) -> "ScoreTable | None":
    from evaluation.errors import UnreadableDataError
    from evaluation.scores import read_scores
    from evaluation.ways import outcomes_of

    if not files:
        if positive_tasks:
            raise typer.BadParameter("--count-positive says how to read --data, which is missing.")
        return None
    try:
        reading = read_scores(files, fields, strict=strict)
        show_bad_rows(reading.bad_rows)
        table = reading.table.select(models)
        outcomes_of(table, positive_tasks)  # refuses unknown tasks before the work
    except UnreadableDataError as error:
        raise failure(str(error)) from None
    return table


def _export(
    original: "Artefact", out: Path, folder: Path, table: "ScoreTable | None", positive: list[str]
) -> "tuple[EncoderChange, Artefact]":
    from encoders import write_artefact
    from encoders.quantise import quantise_encoder
    from server.cli.export_change import compare

    quantise_encoder(original.directory / ENCODER, folder / ENCODER)
    # Also checks that what was quantised is still what had been verified.
    change = compare(original, folder / ENCODER, table, positive)
    extras = [
        original.directory / name
        for name in original.manifest.files
        if name != ARRAYS and "/" not in name
    ]
    draft = _redraft(original.manifest.draft(), change)
    return change, write_artefact(out, draft, original.arrays, folder / ENCODER, extras)


def _redraft(draft: ManifestDraft, change: "EncoderChange") -> ManifestDraft:
    entry = ExportEntry(
        prompts=change.texts,
        largest_difference=change.largest_difference,
        accuracy_change=_known_change(change.routing),
    )
    calibration = draft.calibration and draft.calibration.model_copy(
        update={"note": "Fitted with the encoder in fp32."}
    )
    validation = draft.validation and draft.validation.model_copy(
        update={"note": "Measured with the encoder in fp32."}
    )
    changed = {
        "precision": Precision.INT8_DYNAMIC,
        "export": entry,
        "calibration": calibration,
        "validation": validation,
    }
    return draft.model_copy(update=changed)


def _known_change(routing: "RoutingChange | None") -> float | None:
    change = math.nan if routing is None else routing.after - routing.before
    return None if math.isnan(change) else change


def _shown(original: "Artefact", written: "Artefact", change: "EncoderChange") -> "Table":
    from rich.table import Table

    table = Table(title=f"{written.directory.name}, revision {written.revision}")
    table.add_column("")
    for artefact in (original, written):
        table.add_column(artefact.manifest.encoder.precision, justify="right")
    table.add_column("Change", justify="right")
    before, after = _megabytes(original), _megabytes(written)
    sizes = (f"{before:.1f}", f"{after:.1f}", f"{after / before - 1:+.0%}")
    table.add_row("Encoder, MB", *sizes)
    if change.routing is not None:
        table.add_row("Accuracy, %", *_percentages(change.routing))
        table.add_row("Other choices", "", "", f"{change.routing.other_choices:.2%}")
    table.add_row("Largest difference of vectors", "", "", f"{change.largest_difference:.2g}")
    table.add_row("Least cosine of vectors", "", "", f"{change.least_cosine:.4f}")
    table.add_row("Texts compared", "", "", str(change.texts))
    return table


def _percentages(routing: "RoutingChange") -> tuple[str, str, str]:
    before, after = 100 * routing.before, 100 * routing.after
    return f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"


def _megabytes(artefact: "Artefact") -> float:
    files = (path for path in artefact.manifest.files if path.startswith(f"{ENCODER}/"))
    return sum((artefact.directory / path).stat().st_size for path in files) / 1e6
