"""The table that every training ends with."""

from pathlib import Path

from rich.table import Table

from encoders.training.validation import Accuracy


def accuracy_table(
    out: Path, accuracy: Accuracy, single_model: str, single_accuracy: Accuracy
) -> Table:
    """Compares a router with the best single model, task by task."""
    table = Table(title=f"Validation of {out}")
    table.add_column("task")
    for name in ("router", single_model):
        table.add_column(name, justify="right")
    for task, value in accuracy.tasks.items():
        table.add_row(task, f"{value:.4f}", f"{single_accuracy.tasks[task]:.4f}")
    averages = (accuracy.average, single_accuracy.average)
    table.add_row("average", *(f"{value:.4f}" for value in averages), style="bold")
    return table
