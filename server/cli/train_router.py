"""From what was trained to the router that is served."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.artefact.bundle import write_artefact
from encoders.artefact.manifest import (
    CalibrationEntry,
    DataEntry,
    ExportEntry,
    ManifestDraft,
    ModelEntry,
    ValidationEntry,
)
from encoders.embedded import embedded_source
from encoders.training.data import TrainingData, fingerprint
from encoders.training.export import export_encoder, prove
from encoders.training.hyperparameters import Hyperparameters
from encoders.training.trainer import Trained
from encoders.training.validation import gains
from scoring.routers.calibration import fit_temperature

_PROOF_PROMPTS = 1000


def source_of(encoder: Path | None) -> Path:
    """The folder to train from: the one given, or the embedded encoder's.

    Raises:
        EncoderNotFoundError: The embedded encoder is not installed.
    """
    return encoder or embedded_source()


def write_router(
    out: Path,
    trained: Trained,
    data: TrainingData,
    validation: TrainingData,
    hyperparameters: Hyperparameters,
    encoder_name: str,
    positive_tasks: Collection[str],
) -> None:
    """Exports to ONNX, proves it, calibrates, and writes the artefact.

    Raises:
        EncodersError: The encoder can't be exported, or the router not be written.
    """
    exported = trained.encoder.with_name("onnx")
    export_encoder(
        trained.encoder,
        exported,
        pooling=hyperparameters.pooling,
        max_tokens=hyperparameters.max_tokens,
    )
    texts = proof_texts(validation, data)
    largest = prove(trained.encoder, exported, texts)
    draft = ManifestDraft(
        kind=hyperparameters.method.value,
        models=_models(data),
        encoder_name=encoder_name,
        method=dict(hyperparameters.to_dict()),
        data=DataEntry(
            fingerprint=fingerprint(data), rows=len(data.prompts), tasks=Counter(data.tasks)
        ),
        validation=_validation(trained, validation),
        calibration=_calibration(trained, gains(validation, positive_tasks)),
        export=ExportEntry(prompts=len(texts), largest_difference=largest),
    )
    arrays = {"llm_embeddings": trained.llm_embeddings}
    write_artefact(out, draft, arrays, exported, (trained.curve, trained.metrics))


def proof_texts(validation: TrainingData, data: TrainingData) -> tuple[str, ...]:
    """Up to 1,000 different prompts, of validation and then of training, evenly spread."""
    judged = tuple(dict.fromkeys(validation.prompts))
    held = frozenset(judged)
    learnt = tuple(each for each in dict.fromkeys(data.prompts) if each not in held)
    chosen = _spread(judged, _PROOF_PROMPTS)
    return chosen + _spread(learnt, _PROOF_PROMPTS - len(chosen))


def _spread(prompts: Sequence[str], most: int) -> tuple[str, ...]:
    count = min(most, len(prompts))
    return tuple(prompts[place * len(prompts) // count] for place in range(count))


def _models(data: TrainingData) -> tuple[ModelEntry, ...]:
    costs = np.full(len(data.models), np.nan) if data.costs is None else data.costs
    return tuple(
        ModelEntry(name=name, cost=None if np.isnan(cost) else float(cost))
        for name, cost in zip(data.models, costs, strict=True)
    )


def _validation(trained: Trained, validation: TrainingData) -> ValidationEntry:
    return ValidationEntry(
        rows=len(validation.prompts),
        accuracy=trained.accuracy.tasks,
        average=trained.accuracy.average,
        best_single_model=trained.single_model,
        best_single_average=trained.single_accuracy.average,
    )


def _calibration(trained: Trained, qualities: NDArray[np.float64]) -> CalibrationEntry | None:
    """None where no validation row tells two models apart."""
    fit = fit_temperature(trained.cosines.astype(np.float64), qualities)
    if not fit.prompts:
        return None
    return CalibrationEntry(
        temperature=fit.temperature,
        nll_before=fit.nll_before,
        nll_after=fit.nll_after,
        ece_before=fit.ece_before,
        ece_after=fit.ece_after,
    )
