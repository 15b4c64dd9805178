"""What `pointsman train` shows: a bar while it runs, and a table in the end."""

from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from encoders.training.history import Evaluation, Losses
from encoders.training.trainer import Trained
from server.cli.train_table import accuracy_table

_SECONDS = 60


class Display:
    """A bar on standard error where that is a terminal, and a line per evaluation."""

    def __init__(self, *, speak: bool) -> None:
        """Shows nothing where `speak` is false."""
        self._console = Console(
            stderr=True, quiet=not speak, soft_wrap=True, highlight=False, markup=False, emoji=False
        )
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def stage(self, name: str) -> None:
        """Something that takes a while begins."""
        self._bar.update(self._task, description=name)
        if not self._console.is_terminal:
            self._console.print(f"{name} ...")

    def step(self, step: int, steps: int, losses: Losses) -> None:
        """Moves the bar."""
        note = f"loss {losses.total:.4f} ({losses.method:.4f} + {losses.sample:.4f})"
        self._bar.update(self._task, completed=step, total=steps, note=note)

    def evaluated(self, evaluation: Evaluation, best: Evaluation) -> None:
        """Prints a line."""
        tasks = " ".join(f"{task} {value:.4f}" for task, value in evaluation.tasks.items())
        loss = "" if evaluation.losses is None else f" loss {evaluation.losses.total:.4f}"
        mark = " *" if best is evaluation else f" (best {best.average:.4f} at {best.step})"
        minutes = evaluation.seconds / _SECONDS
        self._console.print(
            f"step {evaluation.step} {minutes:.1f} min{loss} "
            f"validation {evaluation.average:.4f}{mark} {tasks}"
        )

    def summary(self, out: Path, trained: Trained) -> None:
        """Prints the table of the best evaluation on standard output."""
        table = accuracy_table(out, trained.accuracy, trained.single_model, trained.single_accuracy)
        console = Console(markup=False, emoji=False)
        console.print(table)
        minutes = trained.history[-1].seconds / _SECONDS
        console.print(
            f"Best step {trained.best.step} of {trained.history[-1].step}; {minutes:.1f} minutes."
        )
