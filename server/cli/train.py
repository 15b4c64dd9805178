"""`pointsman train`: a router from a table of scores."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from server.cli.delivery import failure

if TYPE_CHECKING:
    from encoders.training.data import TrainingData
    from encoders.training.hyperparameters import Hyperparameters

_EXTRA = ("torch", "transformers", "accelerate", "sklearn", "matplotlib")
_INTERRUPTED_EXIT = 130
_MOST_SEED = 2**32 - 1
_LOSS, _ENCODER = "Loss", "Encoder"
_LEARNING, _EMBEDDINGS, _RUN = "Learning", "Embeddings of the models", "Run"


def train(
    method: Annotated[
        Literal["routerdc", "zooter", "cosine-classifier", "multi-label"],
        typer.Argument(help="Which loss teaches the router.", show_default=False),
    ],
    *,
    data: Annotated[
        list[Path],
        typer.Option(exists=True, help="File or folder of scores; may be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the router, written when it is whole.")],
    validation: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="File or folder to validate on; may be repeated."),
    ] = None,
    validation_share: Annotated[
        float,
        typer.Option(help="Part of each task to validate on, where there are no such files."),
    ] = 0.1,
    count_positive: Annotated[
        list[str] | None,
        typer.Option(help="Task in which a score above 0 counts as right; may be repeated."),
    ] = None,
    prompt_field: Annotated[str, typer.Option(help="Name of the prompt.")] = "prompt",
    task_field: Annotated[str, typer.Option(help="Name of the task.")] = "task",
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
    encoder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Hugging Face folder with safetensors; the embedded encoder if none.",
            rich_help_panel=_ENCODER,
        ),
    ] = None,
    pooling: Annotated[
        Literal["mean", "cls"] | None,
        typer.Option(help="How tokens become one vector.", rich_help_panel=_ENCODER),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Read of a prompt.", rich_help_panel=_ENCODER)
    ] = None,
    freeze_layers: Annotated[
        int | None,
        typer.Option(
            help="Token embeddings and so many first layers do not learn.",
            rich_help_panel=_ENCODER,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="In place of the encoder's own.", rich_help_panel=_ENCODER),
    ] = None,
    targets: Annotated[
        Literal["scores", "counted"] | None,
        typer.Option(
            help="Learn from scores, or from what --count-positive makes of them.",
            rich_help_panel=_LOSS,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Divides cosines in the method's loss.", rich_help_panel=_LOSS),
    ] = None,
    score_temperature: Annotated[
        float | None,
        typer.Option(help="ZOOTER: divides scores before softmax.", rich_help_panel=_LOSS),
    ] = None,
    positives: Annotated[
        int | None, typer.Option(help="RouterDC: K+, best models.", rich_help_panel=_LOSS)
    ] = None,
    negatives: Annotated[
        int | None,
        typer.Option(help="RouterDC: K-, worst models, of those under 0.5.", rich_help_panel=_LOSS),
    ] = None,
    sample_weight: Annotated[
        float | None,
        typer.Option(help="Lambda, of the sample-sample loss; 0 for none.", rich_help_panel=_LOSS),
    ] = None,
    sample_temperature: Annotated[
        float | None,
        typer.Option(help="Divides cosines in the sample-sample loss.", rich_help_panel=_LOSS),
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option(help="Of prompts, for the sample-sample loss.", rich_help_panel=_LOSS),
    ] = None,
    out_group_negatives: Annotated[
        int | None,
        typer.Option(help="H, for the sample-sample loss.", rich_help_panel=_LOSS),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Prompts that a process computes at once.", rich_help_panel=_LEARNING),
    ] = None,
    accumulate: Annotated[
        int | None, typer.Option(help="Batches per step.", rich_help_panel=_LEARNING)
    ] = None,
    steps: Annotated[int | None, typer.Option(rich_help_panel=_LEARNING)] = None,
    epochs: Annotated[
        float | None, typer.Option(help="In place of --steps.", rich_help_panel=_LEARNING)
    ] = None,
    encoder_learning_rate: Annotated[float | None, typer.Option(rich_help_panel=_LEARNING)] = None,
    weight_decay: Annotated[float | None, typer.Option(rich_help_panel=_LEARNING)] = None,
    warm_up: Annotated[
        float | None,
        typer.Option(help="Part of the steps in which rates rise.", rich_help_panel=_LEARNING),
    ] = None,
    schedule: Annotated[
        Literal["constant", "linear", "cosine"] | None,
        typer.Option(help="How rates decay.", rich_help_panel=_LEARNING),
    ] = None,
    gradient_norm: Annotated[
        float | None,
        typer.Option(help="Gradients are clipped to it; 0 for never.", rich_help_panel=_LEARNING),
    ] = None,
    rows_per_task: Annotated[
        int | None,
        typer.Option(
            help="Rows that an epoch takes of each task; all once if none.",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    embedding_learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_EMBEDDINGS)
    ] = None,
    start: Annotated[
        Literal["normal", "data"] | None,
        typer.Option(help="Where they begin.", rich_help_panel=_EMBEDDINGS),
    ] = None,
    warm_start: Annotated[
        int | None,
        typer.Option(help="Steps that teach only them, first.", rich_help_panel=_EMBEDDINGS),
    ] = None,
    warm_start_learning_rate: Annotated[
        float | None, typer.Option(rich_help_panel=_EMBEDDINGS)
    ] = None,
    evaluate_every: Annotated[
        int | None,
        typer.Option(help="Steps between validations, and checkpoints.", rich_help_panel=_RUN),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Validations without a better one that end it.", rich_help_panel=_RUN),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"] | None, typer.Option(rich_help_panel=_RUN)
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=_MOST_SEED, help="Of everything random.", rich_help_panel=_RUN),
    ] = 0,
    split_seed: Annotated[
        int,
        typer.Option(min=0, max=_MOST_SEED, help="Of the validation rows.", rich_help_panel=_RUN),
    ] = 0,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder of checkpoints; OUT.training if none.", rich_help_panel=_RUN),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget the checkpoints.", rich_help_panel=_RUN)
    ] = False,
    keep_work: Annotated[
        bool,
        typer.Option(
            "--keep-work", help="Keep checkpoints and torch weights.", rich_help_panel=_RUN
        ),
    ] = False,
) -> None:
    """Train a router from prompts with a score per model. The same command goes on if killed."""
    given = dict(locals())
    _require_extra()
    from encoders import EncodersError
    from encoders.training.errors import TrainingError
    from evaluation.errors import EvaluationError
    from scoring.errors import ScoringError

    try:
        _train(given)
    except (TrainingError, EncodersError, EvaluationError, ScoringError) as error:
        raise failure(str(error)) from None
    except OSError as error:
        place = f"{error.filename} " if error.filename else ""
        sentence = f"{place}can't be read or written ({error.strerror or error})"
        raise failure(f"{sentence}; the same command goes on from the last checkpoint") from None
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on from the last checkpoint.", err=True)
        raise typer.Exit(_INTERRUPTED_EXIT) from None


def _require_extra() -> None:
    """Refuses in a sentence what an import would only refuse in a traceback."""
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        sentence = f"training needs {missing[0]}; run pip install '.[train]' in the repository"
        raise failure(sentence)


def _train(given: dict[str, Any]) -> None:
    from contextlib import nullcontext

    from encoders.training.processes import is_main_process
    from encoders.training.workspace import held
    from server.cli.train_data import hyperparameters, read_training_data
    from server.cli.train_router import source_of

    out, main = given["out"].resolve(), is_main_process()
    work = (given["work"] or out.with_name(f"{out.name}.training")).resolve()
    _require_places(out, work)
    learnt, judged = read_training_data(given, speak=main)
    source = source_of(given["encoder"])
    chosen = hyperparameters(given, learnt)
    with held(work) if main else nullcontext():
        if given["restart"] and main:
            forget(work)
        _learn(given, (learnt, judged), source, chosen, out, work)


def _learn(
    given: dict[str, Any],
    rows: "tuple[TrainingData, TrainingData]",
    source: Path,
    chosen: "Hyperparameters",
    out: Path,
    work: Path,
) -> None:
    """Trains, and writes the router in the main process."""
    import encoders.training.trainer
    from encoders.training.processes import is_main_process
    from server.cli.train_display import Display
    from server.cli.train_router import write_router

    positive = given["count_positive"] or ()
    with Display(speak=is_main_process()) as display:
        trained = encoders.training.trainer.train(
            *rows, source, chosen, work, positive_tasks=positive, watcher=display
        )
        if trained is None:
            return
        display.stage("exporting")
        name = source.name if given["encoder"] else "all-MiniLM-L6-v2"
        write_router(out, trained, *rows, chosen, name, positive)
    display.summary(given["out"], trained)
    if not given["keep_work"]:
        shutil.rmtree(work)


def _require_places(out: Path, work: Path) -> None:
    """Refuses before the training what could only fail after it."""
    from encoders.artefact.bundle import require_replaceable

    if out.is_relative_to(work) or work.is_relative_to(out):
        raise typer.BadParameter(f"--work {work} and --out {out} must not lie in one another.")
    require_replaceable(out)
    above = next(each for each in out.parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise failure(f"{out} can't be written, as {above} is no folder to write in; name another")


def forget(work: Path) -> None:
    """Deletes what a training left in its folder, and keeps the folder, which is locked.

    Raises:
        TrainingError: The folder holds something else.
    """
    from encoders.training.errors import TrainingError

    within = list(work.iterdir())
    if within and not (work / "training.json").is_file():
        raise TrainingError(f"{work} holds no training; name another folder by --work")
    # The mark goes last: a folder that is half empty is still known as ours.
    for each in sorted(within, key=lambda each: each.name == "training.json"):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
