"""The training of a router, from prompts with scores to an encoder and embeddings."""

import dataclasses
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from encoders.training.checkpoints import resumable_writing
from encoders.training.curve import draw_curve, write_metrics
from encoders.training.data import TrainingData, fingerprint, require_same_models
from encoders.training.encoding import compute, tokenise
from encoders.training.history import Evaluation, Silence, Watcher
from encoders.training.hyperparameters import Hyperparameters, Targets
from encoders.training.loop import Loop, Progress, best_of
from encoders.training.precision import mixed_precision
from encoders.training.processes import on_cpu
from encoders.training.setting import Setting, make_setting
from encoders.training.source import Source, write_encoder
from encoders.training.validation import Accuracy, accuracy, best_single_model, gains
from encoders.training.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training leaves, of its best evaluation."""

    encoder: Path
    """Hugging Face directory: weights in safetensors, tokenizer, pooling and limit."""
    llm_embeddings: NDArray[np.float32]
    """(K, d) in the order of the data's models."""
    cosines: NDArray[np.float32]
    """(n, K) of the validation rows, computed in fp32."""
    accuracy: Accuracy
    """Of those cosines."""
    single_model: str
    """The best one where one model answers everything."""
    single_accuracy: Accuracy
    best: Evaluation
    """As it was during training, in the training's precision."""
    history: tuple[Evaluation, ...]
    curve: Path
    """PNG."""
    metrics: Path
    """JSONL, one line per evaluation."""


def train(
    data: TrainingData,
    validation: TrainingData,
    encoder: Path,
    hyperparameters: Hyperparameters,
    work: Path,
    *,
    positive_tasks: Collection[str] = (),
    watcher: Watcher | None = None,
) -> Trained | None:
    """Trains a router, or goes on with a training that was interrupted.

    Started by `accelerate launch` or `torchrun`, several processes share each step;
    all call this with the same arguments.

    Args:
        data: Rows to learn from.
        validation: Rows that choose the best step, of the same models.
        encoder: Hugging Face directory to begin from; needs safetensors.
        hyperparameters: How.
        work: Directory of checkpoints and results; belongs to this training alone.
        positive_tasks: Tasks that count a score above 0 as right.
        watcher: Who is told.

    Returns:
        What was learnt; None in every process but the main one.

    Raises:
        TrainingError: The data teach nothing, or `work` is of another training or can't be
            written.
        EncoderNotFoundError: The encoder is not there.
        EncoderInvalidError: The encoder is damaged.
    """
    hyperparameters.require_sound()
    data.require_usable()
    require_same_models(data, validation)
    source = Source.read(encoder)
    accelerator = Accelerator(
        cpu=on_cpu(),
        mixed_precision=mixed_precision(hyperparameters.precision),
        gradient_accumulation_steps=hyperparameters.accumulate,
    )
    identity = _identity(accelerator, data, validation, source, hyperparameters, positive_tasks)
    space = Workspace(work, identity)
    if accelerator.is_main_process:
        space.open()
    accelerator.wait_for_everyone()
    told = watcher if watcher and accelerator.is_main_process else Silence()
    learnt = _targets(data, hyperparameters, positive_tasks)
    setting = make_setting(accelerator, learnt, source, hyperparameters, space, told)
    loop = Loop(setting, learnt, validation, space, positive_tasks, told)
    progress = loop.run()
    if not accelerator.is_main_process:
        return None
    return _finish(setting, progress, validation, space, positive_tasks)


def _targets(
    data: TrainingData, hyperparameters: Hyperparameters, positive_tasks: Collection[str]
) -> TrainingData:
    if hyperparameters.targets is Targets.SCORES:
        return data
    return dataclasses.replace(data, scores=gains(data, positive_tasks))


def _identity(
    accelerator: Accelerator,
    data: TrainingData,
    validation: TrainingData,
    source: Source,
    hyperparameters: Hyperparameters,
    positive_tasks: Collection[str],
) -> str:
    """A hash of all that decides the outcome."""
    parts = [
        fingerprint(data),
        fingerprint(validation),
        source.fingerprint(),
        hyperparameters.to_dict(),
        sorted(positive_tasks),
        accelerator.mixed_precision,
        accelerator.num_processes,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _finish(
    setting: Setting,
    progress: Progress,
    validation: TrainingData,
    space: Workspace,
    positive_tasks: Collection[str],
) -> Trained:
    """Computes the best weights' cosines anew in fp32, and writes what is kept."""
    best = best_of(progress.history)
    network = setting.plain_network()
    network.load_state_dict(space.read_best().tensors)
    hyperparameters = setting.hyperparameters
    with resumable_writing(space.encoder):
        write_encoder(
            setting.source,
            network.encoder,
            space.encoder,
            pooling=hyperparameters.pooling,
            max_tokens=hyperparameters.max_tokens,
        )
    tokens = tokenise(validation.prompts, setting.source, hyperparameters.max_tokens)
    cosines = compute(network, tokens).cosines
    single, single_accuracy = best_single_model(validation, positive_tasks)
    with resumable_writing(space.curve):
        draw_curve(space.curve, progress.history, best, single_accuracy.average)
        write_metrics(space.metrics, progress.history)
    return Trained(
        encoder=space.encoder,
        llm_embeddings=network.llm_embeddings.detach().cpu().numpy(),
        cosines=cosines,
        accuracy=accuracy(cosines, validation, positive_tasks),
        single_model=single,
        single_accuracy=single_accuracy,
        best=best,
        history=tuple(progress.history),
        curve=space.curve,
        metrics=space.metrics,
    )
