"""What `pointsman train` reads: scores, and the options that are hyper-parameters."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from encoders.training.batches import steps_of
from encoders.training.data import TrainingData, split
from encoders.training.errors import TrainingError
from encoders.training.hyperparameters import Hyperparameters, Method
from encoders.training.processes import process_count
from evaluation.scores import ScoreTable, read_scores

_SHOWN_BAD_ROWS = 10


def read_training_data(given: dict[str, Any], *, speak: bool) -> tuple[TrainingData, TrainingData]:
    """Reads the rows to learn from, and those to validate on.

    Args:
        given: The options, by name.
        speak: Whether bad rows are reported.

    Raises:
        TrainingError: Nothing can be learnt from them, or an option does not fit them.
        UnreadableDataError: A file can't be read.
    """
    data = _read(given["data"], (), speak=speak)
    data.require_usable()
    _require_tasks(data, given["count_positive"] or ())
    if given["validation"]:
        return data, _read(given["validation"], data.models, speak=speak)
    share = given["validation_share"]
    if not 0 < share < 1:
        raise TrainingError(f"--validation-share is {share}; it must lie between 0 and 1")
    return split(data, share, given["split_seed"])


def _read(files: Sequence[Path], models: Sequence[str], *, speak: bool) -> TrainingData:
    reading = read_scores(files, models=models)
    for bad_row in reading.bad_rows[:_SHOWN_BAD_ROWS] if speak else ():
        typer.echo(bad_row, err=True)
    if reading.bad_rows and speak:
        typer.echo(f"{len(reading.bad_rows)} bad rows were left out.", err=True)
    return _with_scores(reading.table)


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
        TrainingError: One is out of range.
    """
    names = {field.name for field in dataclasses.fields(Hyperparameters)} - {"method"}
    named = {name: given[name] for name in names if given[name] is not None}
    chosen = Hyperparameters.of_method(Method(given["method"]), **named)
    epochs = given["epochs"]
    if epochs is None:
        return chosen
    if given["steps"] is not None or not epochs > 0:
        raise TrainingError("give --steps, or --epochs above 0, and not both")
    tasks = len(set(data.tasks))
    rows = len(data.prompts) if chosen.rows_per_task is None else chosen.rows_per_task * tasks
    accumulate = chosen.accumulate * process_count()
    return dataclasses.replace(chosen, steps=steps_of(epochs, rows, chosen.batch, accumulate))
