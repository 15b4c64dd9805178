"""What `pointsman train` reads: scores, and the options that are hyper-parameters."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import typer

from encoders.training.batches import steps_of
from encoders.training.data import TrainingData, apart_from, split
from encoders.training.errors import TrainingError
from encoders.training.hyperparameters import Hyperparameters, Method
from encoders.training.processes import process_count
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
    data = _read(given, "data", (), speak=speak)
    data.require_usable()
    _require_tasks(data, given["count_positive"] or ())
    if given["validation"]:
        judged = _read(given, "validation", data.models, speak=speak)
        learnt = _apart(data, judged, speak=speak)
    else:
        learnt, judged = split(data, share, given["split_seed"])
    if speak:
        typer.echo(described(learnt, judged), err=True)
    return learnt, judged


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


def described(learnt: TrainingData, judged: TrainingData) -> str:
    """Says what was read, so that a name that was mistyped is seen before the training."""
    tasks = ", ".join(f"{task} {rows}" for task, rows in Counter(learnt.tasks).items())
    shown = ", ".join(learnt.models[:_SHOWN_MODELS])
    rest = len(learnt.models) - _SHOWN_MODELS
    return (
        f"{len(learnt.prompts)} rows to learn from ({tasks}), {len(judged.prompts)} to validate "
        f"on, {len(learnt.models)} models: {shown}{f' and {rest} more' if rest > 0 else ''}"
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


def hyperparameters(given: dict[str, Any], data: TrainingData) -> Hyperparameters:
    """The hyper-parameters among the options.

    Raises:
        typer.BadParameter: One is out of range.
    """
    try:
        return _chosen(given, data)
    except TrainingError as error:
        raise typer.BadParameter(str(error)) from None


def _chosen(given: dict[str, Any], data: TrainingData) -> Hyperparameters:
    names = {field.name for field in dataclasses.fields(Hyperparameters)} - {"method"}
    named = {name: given[name] for name in names if given[name] is not None}
    chosen = Hyperparameters.of_method(Method(given["method"]), **named)
    epochs = given["epochs"]
    if epochs is None:
        return chosen
    if given["steps"] is not None or not 0 < epochs < math.inf:
        raise TrainingError("give --steps, or --epochs above 0, and not both")
    tasks = len(set(data.tasks))
    rows = len(data.prompts) if chosen.rows_per_task is None else chosen.rows_per_task * tasks
    accumulate = chosen.accumulate * process_count()
    return dataclasses.replace(chosen, steps=steps_of(epochs, rows, chosen.batch, accumulate))
