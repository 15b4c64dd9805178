"""`pointsman train`: a router from a table of scores."""

import importlib.util
from typing import Annotated, Any

import typer

from server.cli import train_methods as methods
from server.cli import train_options as options
from server.cli.delivery import failure

_TUNING = ("torch", "transformers", "accelerate", "sklearn", "matplotlib")
_FITTING = ("sklearn", "threadpoolctl")
_INTERRUPTED_EXIT = 130


def train(
    context: typer.Context,
    method: Annotated[
        methods.Method, typer.Argument(help="What is learnt, and how.", show_default=False)
    ],
    *,
    data: options.Data,
    out: options.Out,
    validation: options.Validation = None,
    validation_share: options.ValidationShare = 0.1,
    count_positive: options.CountPositive = None,
    prompt_field: options.PromptField = "prompt",
    task_field: options.TaskField = "task",
    strict: options.Strict = False,
    encoder: options.Encoder = None,
    pooling: options.Pooling = None,
    max_tokens: options.MaxTokens = None,
    freeze_layers: options.FreezeLayers = None,
    dropout: options.Dropout = None,
    targets: options.Targets = None,
    features: methods.Features = None,
    folds: methods.Folds = None,
    model: methods.Model = None,
    neighbours: methods.Neighbours = None,
    weights: methods.Weights = None,
    bandwidth: methods.Bandwidth = None,
    pseudo_outcomes: methods.PseudoOutcomes = None,
    clusters: methods.Clusters = None,
    nearest: methods.Nearest = None,
    hidden: methods.Hidden = None,
    regularisation: methods.Regularisation = None,
    member: methods.Member = None,
    temperature: options.Temperature = None,
    score_temperature: options.ScoreTemperature = None,
    positives: options.Positives = None,
    negatives: options.Negatives = None,
    sample_weight: options.SampleWeight = None,
    sample_temperature: options.SampleTemperature = None,
    groups: options.Groups = None,
    out_group_negatives: options.OutGroupNegatives = None,
    batch: options.Batch = None,
    accumulate: options.Accumulate = None,
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    encoder_learning_rate: options.EncoderLearningRate = None,
    weight_decay: options.WeightDecay = None,
    warm_up: options.WarmUp = None,
    schedule: options.Schedule = None,
    gradient_norm: options.GradientNorm = None,
    rows_per_task: options.RowsPerTask = None,
    embedding_learning_rate: options.EmbeddingLearningRate = None,
    start: options.Start = None,
    warm_start: options.WarmStart = None,
    warm_start_learning_rate: options.WarmStartLearningRate = None,
    evaluate_every: options.EvaluateEvery = None,
    patience: options.Patience = None,
    precision: options.Precision = None,
    seed: options.Seed = 0,
    split_seed: options.SplitSeed = 0,
    work: options.Work = None,
    restart: options.Restart = False,
    keep_work: options.KeepWork = False,
) -> None:
    """Train a router from prompts with a score per model.

    The first four methods tune an encoder by torch; the same command goes on if killed.

    The others are fitted to vectors of prompts in minutes at most; auto takes the best of them.
    """
    given = {name: value for name, value in locals().items() if name != "context"}
    methods.require_options(context, method)
    tuned = method in methods.TUNED
    _require_extra(method, _TUNING if tuned else _FITTING)
    from encoders import EncodersError
    from encoders.training.errors import TrainingError
    from evaluation.errors import EvaluationError
    from scoring.errors import ScoringError

    again = "goes on from the last checkpoint" if tuned else "begins anew"
    try:
        _train(given, tuned=tuned)
    except (TrainingError, EncodersError, EvaluationError, ScoringError) as error:
        raise failure(str(error)) from None
    except OSError as error:
        place = f"{error.filename} " if error.filename else ""
        sentence = f"{place}can't be read or written ({error.strerror or error})"
        raise failure(f"{sentence}; the same command {again}") from None
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; the same command {again}.", err=True)
        raise typer.Exit(_INTERRUPTED_EXIT) from None


def _train(given: dict[str, Any], *, tuned: bool) -> None:
    if tuned:
        from server.cli.train_tuned import train_tuned

        train_tuned(given)
    else:
        from server.cli.train_fitted import train_fitted

        train_fitted(given)


def _require_extra(method: str, needed: tuple[str, ...]) -> None:
    """Refuses in a sentence what an import would only refuse in a traceback."""
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        sentence = f"training {method} needs {missing[0]}; run pip install '.[train]' in the"
        alone = "" if needed is _TUNING else ", or pip install scikit-learn, as it needs no torch"
        raise failure(f"{sentence} repository{alone}")
