"""What the manifest of a router says of its training, whatever the method."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.artefact.bundle import require_replaceable
from encoders.artefact.manifest import CalibrationEntry, DataEntry, ModelEntry, ValidationEntry
from encoders.training.data import TrainingData, fingerprint
from encoders.training.validation import Accuracy
from scoring.routers.calibration import fit_temperature
from server.cli.delivery import failure


def require_place(out: Path) -> None:
    """Refuses before the training what could only fail after it.

    Args:
        out: Where the router goes, links resolved.

    Raises:
        ArtefactInvalidError: Something else is there.
        typer.Exit: Nothing can be written there; a sentence has said so.
    """
    require_replaceable(out)
    above = next(each for each in out.parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise failure(f"{out} can't be written, as {above} is no folder to write in; name another")


def data_entry(data: TrainingData) -> DataEntry:
    """What it was trained on."""
    return DataEntry(
        fingerprint=fingerprint(data), rows=len(data.prompts), tasks=Counter(data.tasks)
    )


def model_entries(data: TrainingData) -> tuple[ModelEntry, ...]:
    """The models, with the mean cost of each where it is known."""
    costs = np.full(len(data.models), np.nan) if data.costs is None else data.costs
    return tuple(
        ModelEntry(name=name, cost=None if np.isnan(cost) else float(cost))
        for name, cost in zip(data.models, costs, strict=True)
    )


def validation_entry(
    rows: int, accuracy: Accuracy, single: str, single_average: float, note: str = ""
) -> ValidationEntry:
    """How well it routed `rows` prompts, beside the best single model."""
    return ValidationEntry(
        rows=rows,
        accuracy=accuracy.tasks,
        average=accuracy.average,
        best_single_model=single,
        best_single_average=single_average,
        note=note,
    )


def calibration_entry(
    scores: NDArray[np.float64], qualities: NDArray[np.float64], note: str = ""
) -> CalibrationEntry | None:
    """How scores (n, K) of rows that were held out become probabilities.

    Args:
        scores: Of the router.
        qualities: (n, K) what choosing each model counts; NaN where unknown.
        note: For people.

    Returns:
        None where no row tells two models apart.
    """
    fit = fit_temperature(scores, qualities)
    if not fit.prompts:
        return None
    return CalibrationEntry(
        temperature=fit.temperature,
        nll_before=fit.nll_before,
        nll_after=fit.nll_after,
        ece_before=fit.ece_before,
        ece_after=fit.ece_after,
        note=note,
    )
