"""The course of a training: a picture, and one JSON line per evaluation."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from encoders.training.history import Evaluation


def write_metrics(path: Path, history: Sequence[Evaluation]) -> None:
    """Writes one line per evaluation, in their order."""
    lines = [json.dumps(one.to_dict()) + "\n" for one in history]
    path.write_text("".join(lines), encoding="utf-8")


def draw_curve(path: Path, history: Sequence[Evaluation], best: Evaluation, single: float) -> None:
    """Draws validation accuracy and losses over steps as a PNG.

    Args:
        path: Of the picture.
        history: In the order of steps.
        best: The evaluation that was kept.
        single: Average of the best single model, as a line to compare with.
    """
    figure = Figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    steps = [one.step for one in history]
    for task in history[0].tasks:
        above.plot(steps, [one.tasks[task] for one in history], linewidth=0.8, label=task)
    above.plot(steps, [one.average for one in history], "k", linewidth=2, label="average")
    above.axhline(single, color="k", linestyle=":", label="best single model")
    above.plot(best.step, best.average, "ko", label=f"kept: {best.average:.4f}")
    above.set_ylabel("validation accuracy")
    above.legend(fontsize="small", ncols=2)
    seen = [(one.step, one.losses) for one in history if one.losses is not None]
    for name in ("total", "method", "sample"):
        below.plot([step for step, _ in seen], [getattr(one, name) for _, one in seen], label=name)
    below.set(xlabel="step", ylabel="loss")
    below.legend(fontsize="small")
    figure.savefig(path, dpi=120)
