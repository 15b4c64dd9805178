"""What `pointsman train` shows: a bar while it runs, and a table in the end."""

from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from encoders.training.history import Evaluation, Losses
from encoders.training.trainer import Trained

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
        table = Table(title=f"Validation of {out}")
        table.add_column("task")
        for name in ("router", trained.single_model):
            table.add_column(name, justify="right")
        for task, value in trained.accuracy.tasks.items():
            table.add_row(task, f"{value:.4f}", f"{trained.single_accuracy.tasks[task]:.4f}")
        averages = (trained.accuracy.average, trained.single_accuracy.average)
        table.add_row("average", *(f"{value:.4f}" for value in averages), style="bold")
        console = Console(markup=False, emoji=False)
        console.print(table)
        minutes = trained.history[-1].seconds / _SECONDS
        console.print(
            f"Best step {trained.best.step} of {trained.history[-1].step}; {minutes:.1f} minutes."
        )
