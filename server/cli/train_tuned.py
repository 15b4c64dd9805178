"""`pointsman train` with a method that tunes an encoder, by torch."""

import dataclasses
import math
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

import encoders.training.trainer
from encoders.training.batches import steps_of
from encoders.training.data import TrainingData
from encoders.training.errors import TrainingError
from encoders.training.hyperparameters import Hyperparameters, Method
from encoders.training.processes import is_main_process, process_count
from encoders.training.workspace import held
from server.cli import train_router
from server.cli.train_data import read_training_data
from server.cli.train_display import Display
from server.cli.train_entries import require_place


def train_tuned(given: dict[str, Any]) -> None:
    """Trains, and writes the router.

    Args:
        given: The options, by name.

    Raises:
        TrainingError: The data or the options are not fit for it.
        EncodersError: The encoder is not, or the router can't be written.
    """
    out, main = given["out"].resolve(), is_main_process()
    work = (given["work"] or out.with_name(f"{out.name}.training")).resolve()
    _require_places(out, work)
    learnt, judged = read_training_data(given, speak=main)
    source = train_router.source_of(given["encoder"])
    chosen = hyperparameters(given, learnt)
    with held(work) if main else nullcontext():
        if given["restart"] and main:
            forget(work)
        _learn(given, (learnt, judged), source, chosen, out, work)


def _learn(
    given: dict[str, Any],
    rows: tuple[TrainingData, TrainingData],
    source: Path,
    chosen: Hyperparameters,
    out: Path,
    work: Path,
) -> None:
    """Trains, and writes the router in the main process."""
    positive = given["count_positive"] or ()
    with Display(speak=is_main_process()) as display:
        trained = encoders.training.trainer.train(
            *rows, source, chosen, work, positive_tasks=positive, watcher=display
        )
        if trained is None:
            return
        display.stage("exporting")
        name = source.name if given["encoder"] else "all-MiniLM-L6-v2"
        train_router.write_router(out, trained, *rows, chosen, name, positive)
    display.summary(given["out"], trained)
    if not given["keep_work"]:
        shutil.rmtree(work)


def _require_places(out: Path, work: Path) -> None:
    if out.is_relative_to(work) or work.is_relative_to(out):
        raise typer.BadParameter(f"--work {work} and --out {out} must not lie in one another.")
    require_place(out)


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


def forget(work: Path) -> None:
    """Deletes what a training left in its folder, and keeps the folder, which is locked.

    Raises:
        TrainingError: The folder holds something else.
    """
    within = list(work.iterdir())
    if within and not (work / "training.json").is_file():
        raise TrainingError(f"{work} holds no training; name another folder by --work")
    # The mark goes last: a folder that is half empty is still known as ours.
    for each in sorted(within, key=lambda each: each.name == "training.json"):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
