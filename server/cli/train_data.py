"""What `pointsman train` reads: scores."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import typer

from encoders.training.data import TrainingData, apart_from, split
from encoders.training.errors import TrainingError
from evaluation.scores import ScoreFields, ScoreTable, read_scores
from server.cli.delivery import show_bad_rows

_SHOWN_MODELS = 20


def read_training_data(given: dict[str, Any], *, speak: bool) -> tuple[TrainingData, TrainingData]:
    """Reads the rows to learn from, and those to validate on.

    Args:
        given: The options, by name.
        speak: Whether bad rows, and what was read, are reported on standard error.

    Raises:
        TrainingError: Nothing can be learnt from them, or an option does not fit them.
        UnreadableDataError: A file can't be read.
        typer.BadParameter: The share is out of range.
    """
    share = given["validation_share"]
    if not (given["validation"] or 0 < share < 1):
        raise typer.BadParameter(f"--validation-share is {share}; it must lie between 0 and 1")
    learnt, judged = read_data(given, speak=speak)
    if judged is None:
        learnt, judged = split(learnt, share, given["split_seed"])
    if speak:
        typer.echo(described(learnt, judged), err=True)
    return learnt, judged


def read_data(given: dict[str, Any], *, speak: bool) -> tuple[TrainingData, TrainingData | None]:
    """Reads the rows of --data, less those of --validation, and these; None without --validation.

    Raises:
        TrainingError: Nothing can be learnt from them, or an option does not fit them.
        UnreadableDataError: A file can't be read.
    """
    data = _read(given, "data", (), speak=speak)
    data.require_usable()
    _require_tasks(data, given["count_positive"] or ())
    if not given["validation"]:
        return data, None
    judged = _read(given, "validation", data.models, speak=speak)
    return _apart(data, judged, speak=speak), judged


def _read(
    given: dict[str, Any], option: str, models: Sequence[str], *, speak: bool
) -> TrainingData:
    fields = ScoreFields(given["prompt_field"], given["task_field"])
    reading = read_scores(given[option], fields, strict=given["strict"], models=models)
    if speak:
        show_bad_rows(reading.bad_rows)
    return _with_scores(reading.table)


def _apart(data: TrainingData, judged: TrainingData, *, speak: bool) -> TrainingData:
    """Leaves rows out of training whose prompts are validated on."""
    learnt = apart_from(data, judged)
    shared = len(data.prompts) - len(learnt.prompts)
    if not learnt.prompts:
        raise TrainingError("every prompt of --data is in --validation too; name other files")
    if shared and speak:
        sentence = "rows of --data are not learnt from, as --validation has their prompts too."
        typer.echo(f"{shared} {sentence}", err=True)
    return learnt


def described(learnt: TrainingData, judged: TrainingData | None) -> str:
    """Says what was read, so that a name that was mistyped is seen before the training."""
    tasks = ", ".join(f"{task} {rows}" for task, rows in Counter(learnt.tasks).items())
    shown = ", ".join(learnt.models[:_SHOWN_MODELS])
    rest = len(learnt.models) - _SHOWN_MODELS
    own = "" if judged is None else f" {len(judged.prompts)} to validate on,"
    return (
        f"{len(learnt.prompts)} rows to learn from ({tasks}),{own} {len(learnt.models)} models: "
        f"{shown}{f' and {rest} more' if rest > 0 else ''}"
    )


def _with_scores(table: ScoreTable) -> TrainingData:
    """The rows that have a score at all."""
    costs = table.mean_costs()
    every = TrainingData(
        table.prompts,
        table.scores,
        table.models,
        table.tasks,
        None if np.isnan(costs).all() else costs,
    )
    return every.rows(np.flatnonzero(~np.isnan(table.scores).all(axis=1)))


def _require_tasks(data: TrainingData, named: Sequence[str]) -> None:
    unknown = [task for task in named if task not in data.tasks]
    if unknown:
        known = ", ".join(dict.fromkeys(data.tasks))
        raise TrainingError(f"--count-positive {unknown[0]}: the data's tasks are {known}")
