"""`pointsman calibrate`: the numbers of a policy, found on prompts."""

import enum
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.calibrate_nearest import write_prediction
from server.cli.delivery import (
    STANDARD_OUTPUT,
    failure,
    progress_bar,
    require_writable,
    show_bad_rows,
)
from server.cli.flags import PolicyName

if TYPE_CHECKING:
    from evaluation.calibration import ThresholdReport
    from evaluation.scores import PromptReading


class CalibratedPolicy(enum.StrEnum):
    """Policies whose numbers are found on prompts."""

    THRESHOLD = PolicyName.THRESHOLD
    NEAREST_CONFIDENCE = PolicyName.NEAREST_CONFIDENCE


def calibrate(
    router: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a trained router.")],
    *,
    data: Annotated[
        list[Path],
        typer.Option(help="Prompts as the router will meet; a threshold needs no scores."),
    ],
    policy: Annotated[
        CalibratedPolicy, typer.Option(help="The policy whose numbers are found.")
    ] = CalibratedPolicy.THRESHOLD,
    strong: Annotated[
        str | None, typer.Option(help="Of --policy threshold: the dearer model.")
    ] = None,
    weak: Annotated[
        str | None, typer.Option(help="Of --policy threshold: the cheaper model.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Of --policy threshold: prompts that the strong model may get."
        ),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(help="Of --policy nearest-confidence: every model, best first; repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Of --policy nearest-confidence: its file; standard output if none."),
    ] = None,
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
    """Find the threshold for a wanted share of strong calls, or what nearest-confidence aims at."""
    require_writable(out, data)
    positive = count_positive or []
    of_threshold = {"strong": strong, "weak": weak, "share": share}
    if policy is CalibratedPolicy.NEAREST_CONFIDENCE:
        _require_flags(policy, {}, of_threshold | {"json": as_json or None})
        reading = _read(data, prompt_field, task_field, strict=strict)
        write_prediction(router, reading, prefer or [], positive, out or STANDARD_OUTPUT)
        return
    _require_flags(policy, of_threshold, {"prefer": prefer or None, "out": out})
    if strong is None or weak is None or share is None or strong == weak:
        raise typer.BadParameter(f"--strong and --weak are both {strong}; name two models.")
    reading = _read(data, prompt_field, task_field, strict=strict)
    _require_fitting(reading, (strong, weak), positive)
    _show(_found(router, reading, (strong, weak), share, positive, seed), as_json=as_json)


def _require_flags(
    policy: CalibratedPolicy, needed: Mapping[str, object], foreign: Mapping[str, object]
) -> None:
    for name, value in needed.items():
        if value is None:
            raise typer.BadParameter(f"--policy {policy} needs --{name}.")
    for name, value in foreign.items():
        if value is not None:
            raise typer.BadParameter(f"--policy {policy} takes no --{name}.")


def _show(found: "ThresholdReport", *, as_json: bool) -> None:
    from rich.console import Console

    from evaluation.calibration import threshold_record, threshold_table

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
