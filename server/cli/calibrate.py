"""`pointsman calibrate`: the threshold that sends a wanted share of prompts to a strong model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.delivery import failure, progress_bar, show_bad_rows

if TYPE_CHECKING:
    from evaluation.calibration import ThresholdReport
    from evaluation.scores import PromptReading


def calibrate(
    router: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a trained router.")],
    *,
    strong: Annotated[str, typer.Option(help="The dearer model.")],
    weak: Annotated[str, typer.Option(help="The cheaper model.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of prompts that the strong model may get.")
    ],
    data: Annotated[
        list[Path], typer.Option(help="Prompts as the router will meet, with scores or without.")
    ],
    prompt_field: Annotated[str, typer.Option(help="Name of the prompt.")] = "prompt",
    task_field: Annotated[str, typer.Option(help="Name of the task.")] = "task",
    count_positive: Annotated[
        list[str] | None,
        typer.Option(help="In this task any score above 0 counts as right; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Find the threshold of the policy `threshold` for a wanted share of strong calls."""
    from rich.console import Console

    from evaluation.calibration import threshold_record, threshold_table

    if strong == weak:
        raise typer.BadParameter(f"--strong and --weak are both {strong}; name two models.")
    reading = _read(data, prompt_field, task_field, strict=strict)
    _require_fitting(reading, (strong, weak), count_positive or [])
    found = _found(router, reading, (strong, weak), share, count_positive or [], seed)
    if as_json:
        typer.echo(json.dumps(threshold_record(found), ensure_ascii=False, allow_nan=False))
    else:
        Console().print(threshold_table(found))


def _read(
    data: Sequence[Path], prompt_field: str, task_field: str, *, strict: bool
) -> "PromptReading":
    from evaluation.errors import EvaluationError
    from evaluation.scores import ScoreFields, read_prompts

    try:
        reading = read_prompts(data, ScoreFields(prompt_field, task_field), strict=strict)
    except EvaluationError as error:
        raise failure(str(error)) from None
    show_bad_rows(reading.bad_rows)
    if not reading.prompts:
        raise failure("No prompt is readable; see --help for how to name the fields.")
    return reading


def _require_fitting(
    reading: "PromptReading", pair: tuple[str, str], positive_tasks: Sequence[str]
) -> None:
    """Refuses before the prompts are encoded what could only fail after it."""
    from evaluation.errors import EvaluationError
    from evaluation.ways import outcomes_of

    if reading.table is None:
        return
    try:
        outcomes_of(reading.table.select(pair), positive_tasks)
    except EvaluationError as error:
        raise failure(str(error)) from None


def _found(
    directory: Path,
    reading: "PromptReading",
    pair: tuple[str, str],
    share: float,
    positive_tasks: Sequence[str],
    seed: int,
) -> "ThresholdReport":
    from encoders.errors import EncodersError
    from evaluation.calibration import calibrate_threshold
    from evaluation.errors import EvaluationError
    from evaluation.routing import route_table
    from scoring.errors import ScoringError
    from server.cli.offline_router import OfflineRouter, encode

    try:
        router = OfflineRouter.load(directory)
        router.require_models(pair)
        with progress_bar("Encoding") as report:
            vectors, _ = encode(router.encoder, reading.prompts, report)
        scores = route_table(router.router, vectors)
        return calibrate_threshold(
            scores, pair, share, reading.table, positive_tasks, router.costs, seed=seed
        )
    except (EncodersError, ScoringError, EvaluationError) as error:
        raise failure(str(error)) from None
