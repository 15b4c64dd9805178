"""Routers that `pointsman evaluate routing` learns on the spot, from its training rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from encoders import embedded_encoder, load_any_encoder
from evaluation.routers.contenders import Contender
from evaluation.vector_cache import RevisedEncoder
from scoring.fitting import (
    FITTED_KINDS,
    Chosen,
    TrainingRows,
    choose_parameters,
    choose_router,
)
from scoring.routers import build_router, fit_temperature
from server.cli.delivery import progress_bar
from server.cli.evaluate_contenders import Bench
from server.settings import EncoderSettings

_AUTO = "auto"
# `fixed` needs a parameter that nothing here could choose.
_METHODS = FITTED_KINDS - {"fixed"} | {_AUTO}


def require_methods(methods: Sequence[str], taken: Sequence[str], *, trained: bool) -> None:
    """Refuses a method that can't be learned here, or whose name is taken.

    Raises:
        typer.BadParameter: Says which and why.
    """
    for each in methods:
        if each not in _METHODS:
            raise typer.BadParameter(
                f"--method {each} can't be learned on the spot; it may be "
                f"{', '.join(sorted(_METHODS))}. Train others by `pointsman train`."
            )
        if each in taken or methods.count(each) > 1:
            raise typer.BadParameter(f"--method {each}: the name {each} is given twice.")
    if methods and not trained:
        raise typer.BadParameter("--method needs rows to learn from: name them by --training.")


def learned_contenders(
    methods: Sequence[str], encoder: Path | None, bench: Bench, seed: int
) -> Iterator[Contender]:
    """Learns each method from the training rows, and tries it out.

    Its calibration, and what policies learn from, come from scores of rows that it had not
    seen.

    Args:
        methods: As `require_methods` lets through.
        encoder: Directory of what makes vectors; the embedded one if None.
        bench: With training rows.
        seed: Of whatever is drawn.

    Raises:
        EncodersError: There is no such encoder, or a prompt can't be encoded.
        ScoringError: The rows can't be learned from.
    """
    if not methods or bench.training is None or bench.practice is None:
        return
    made = frozen_encoder(encoder)
    vectors = bench.vectors.of(made, bench.training.prompts)
    known = bench.practice
    rows = TrainingRows(vectors, known.outcomes, bench.training.tasks, known.models)
    costs = bench.training.select(known.models).mean_costs()
    for each in methods:
        start = bench.clock()
        with progress_bar(f"Learning {each}") as report:
            chosen = (
                choose_router(rows, seed=seed, progress=report)
                if each == _AUTO
                else choose_parameters(each, rows, seed=seed, progress=report)
            )
        yield _contender(each, chosen, costs, rows, made, bench, bench.clock() - start)


def _contender(
    name: str,
    chosen: Chosen,
    costs: NDArray[np.float64],
    rows: TrainingRows,
    encoder: RevisedEncoder,
    bench: Bench,
    seconds: float,
) -> Contender:
    fitted = chosen.fitted
    calibration = fit_temperature(chosen.held_out, rows.qualities)
    known = zip(rows.models, costs.tolist(), strict=True)
    return bench.try_out(
        name,
        build_router(fitted.kind, rows.models, fitted.arrays, fitted.method),
        encoder,
        {model: cost for model, cost in known if not np.isnan(cost)},
        calibration.temperature if calibration.prompts else None,
        practice=chosen.held_out,
        training_seconds=seconds,
    )


def frozen_encoder(directory: Path | None) -> RevisedEncoder:
    """Loads what makes vectors for the methods; the embedded encoder if None.

    Raises:
        EncodersError: The folder holds no encoder, or the embedded one is not installed.
    """
    if directory is not None:
        return load_any_encoder(directory)
    cache = EncoderSettings.model_fields["cache"].default
    return load_any_encoder(embedded_encoder(Path(cache).expanduser()))
