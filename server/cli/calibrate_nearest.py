"""What `pointsman calibrate --policy nearest-confidence` writes, for `pointsman route` to read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from server.cli.delivery import deliver_lines, failure, progress_bar

if TYPE_CHECKING:
    from evaluation.scores import PromptReading
    from scoring.policies import NearestConfidence


def write_prediction(
    directory: Path,
    reading: "PromptReading",
    preference: Sequence[str],
    positive_tasks: Sequence[str],
    out: Path,
) -> None:
    """Learns the numbers of `NearestConfidence` from prompts with scores, and writes them.

    Args:
        directory: Of a trained router.
        reading: The prompts; each model of the router must have scores of them.
        preference: Every model, most preferred first; the router's own order if empty.
        positive_tasks: Tasks in which a score above 0 counts as 1.
        out: File for the JSON; - for standard output.

    Raises:
        typer.Exit: The router or the scores do not allow it; why has been said.
    """
    rule = _learned(directory, reading, preference, positive_tasks)
    record = {"weights": dict(rule.weights), "intercept": rule.intercept}
    deliver_lines([json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"], out)
    typer.echo(f"Learned from {len(reading.prompts)} prompts.", err=True)


def _learned(
    directory: Path,
    reading: "PromptReading",
    preference: Sequence[str],
    positive_tasks: Sequence[str],
) -> "NearestConfidence":
    from encoders.errors import EncodersError
    from evaluation.errors import EvaluationError
    from evaluation.routing import route_table
    from evaluation.ways import outcomes_of
    from scoring.errors import ScoringError
    from scoring.policies import fit_nearest
    from server.cli.offline_router import OfflineRouter, encode

    if reading.table is None:
        raise failure("The prompts have no scores, from which alone nearest-confidence is learned.")
    try:
        router = OfflineRouter.load(directory)
        router.require_models(preference)
        models = router.router.models()
        qualities = outcomes_of(reading.table.select(models), positive_tasks)
        with progress_bar("Encoding") as report:
            vectors, _ = encode(router.encoder, reading.prompts, report)
        scores = route_table(router.router, vectors)
        return fit_nearest(models, scores.scores, qualities, preference=preference)
    except (EncodersError, ScoringError, EvaluationError) as error:
        raise failure(str(error)) from None
