"""From what was trained to the router that is served."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from encoders.artefact.bundle import write_artefact
from encoders.artefact.manifest import ExportEntry, ManifestDraft
from encoders.embedded import embedded_source
from encoders.training.data import TrainingData
from encoders.training.export import export_encoder, prove
from encoders.training.hyperparameters import Hyperparameters
from encoders.training.trainer import Trained
from encoders.training.validation import gains
from server.cli.train_entries import (
    calibration_entry,
    data_entry,
    model_entries,
    validation_entry,
)

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
        models=model_entries(data),
        encoder_name=encoder_name,
        method=dict(hyperparameters.to_dict()),
        data=data_entry(data),
        validation=validation_entry(
            len(validation.prompts),
            trained.accuracy,
            trained.single_model,
            trained.single_accuracy.average,
        ),
        calibration=calibration_entry(
            trained.cosines.astype(np.float64), gains(validation, positive_tasks)
        ),
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
