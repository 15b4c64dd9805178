"""Options of `pointsman train`, shared and of the methods that tune an encoder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_MOST_SEED = 2**32 - 1
_LOSS, _ENCODER = "Loss", "Encoder"
_LEARNING, _EMBEDDINGS, _RUN = "Learning", "Embeddings of the models", "Run"

Data = Annotated[
    list[Path],
    typer.Option(exists=True, help="File or folder of scores; may be repeated."),
]
Out = Annotated[Path, typer.Option(help="Folder of the router, written when it is whole.")]
Validation = Annotated[
    list[Path] | None,
    typer.Option(exists=True, help="File or folder to validate on; may be repeated."),
]
ValidationShare = Annotated[
    float,
    typer.Option(
        help="Part of each task to validate on, where there are no such files and no folds."
    ),
]
CountPositive = Annotated[
    list[str] | None,
    typer.Option(help="Task in which a score above 0 counts as right; may be repeated."),
]
PromptField = Annotated[str, typer.Option(help="Name of the prompt.")]
TaskField = Annotated[str, typer.Option(help="Name of the task.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")]
Encoder = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Hugging Face folder, with safetensors to tune or ONNX to fit on, or a router, for "
        "its encoder; the embedded encoder if none.",
        rich_help_panel=_ENCODER,
    ),
]
Pooling = Annotated[
    Literal["mean", "cls"] | None,
    typer.Option(help="How tokens become one vector.", rich_help_panel=_ENCODER),
]
MaxTokens = Annotated[int | None, typer.Option(help="Read of a prompt.", rich_help_panel=_ENCODER)]
FreezeLayers = Annotated[
    int | None,
    typer.Option(
        help="Token embeddings and so many first layers do not learn.",
        rich_help_panel=_ENCODER,
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option(help="In place of the encoder's own.", rich_help_panel=_ENCODER),
]
Targets = Annotated[
    Literal["scores", "counted"] | None,
    typer.Option(
        help="Learn from scores, or from what --count-positive makes of them.",
        rich_help_panel=_LOSS,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Divides cosines in the method's loss; clusters: those to the clusters.",
        rich_help_panel=_LOSS,
    ),
]
ScoreTemperature = Annotated[
    float | None,
    typer.Option(help="ZOOTER: divides scores before softmax.", rich_help_panel=_LOSS),
]
Positives = Annotated[
    int | None, typer.Option(help="RouterDC: K+, best models.", rich_help_panel=_LOSS)
]
Negatives = Annotated[
    int | None,
    typer.Option(help="RouterDC: K-, worst models, of those under 0.5.", rich_help_panel=_LOSS),
]
SampleWeight = Annotated[
    float | None,
    typer.Option(help="Lambda, of the sample-sample loss; 0 for none.", rich_help_panel=_LOSS),
]
SampleTemperature = Annotated[
    float | None,
    typer.Option(help="Divides cosines in the sample-sample loss.", rich_help_panel=_LOSS),
]
Groups = Annotated[
    int | None,
    typer.Option(help="Of prompts, for the sample-sample loss.", rich_help_panel=_LOSS),
]
OutGroupNegatives = Annotated[
    int | None,
    typer.Option(help="H, for the sample-sample loss.", rich_help_panel=_LOSS),
]
Batch = Annotated[
    int | None,
    typer.Option(help="Prompts that a process computes at once.", rich_help_panel=_LEARNING),
]
Accumulate = Annotated[
    int | None, typer.Option(help="Batches per step.", rich_help_panel=_LEARNING)
]
Steps = Annotated[int | None, typer.Option(rich_help_panel=_LEARNING)]
Epochs = Annotated[
    float | None, typer.Option(help="In place of --steps.", rich_help_panel=_LEARNING)
]
EncoderLearningRate = Annotated[float | None, typer.Option(rich_help_panel=_LEARNING)]
WeightDecay = Annotated[float | None, typer.Option(rich_help_panel=_LEARNING)]
WarmUp = Annotated[
    float | None,
    typer.Option(help="Part of the steps in which rates rise.", rich_help_panel=_LEARNING),
]
Schedule = Annotated[
    Literal["constant", "linear", "cosine"] | None,
    typer.Option(help="How rates decay.", rich_help_panel=_LEARNING),
]
GradientNorm = Annotated[
    float | None,
    typer.Option(help="Gradients are clipped to it; 0 for never.", rich_help_panel=_LEARNING),
]
RowsPerTask = Annotated[
    int | None,
    typer.Option(
        help="Rows that an epoch takes of each task; all once if none.",
        rich_help_panel=_LEARNING,
    ),
]
EmbeddingLearningRate = Annotated[float | None, typer.Option(rich_help_panel=_EMBEDDINGS)]
Start = Annotated[
    Literal["normal", "data"] | None,
    typer.Option(help="Where they begin.", rich_help_panel=_EMBEDDINGS),
]
WarmStart = Annotated[
    int | None,
    typer.Option(help="Steps that teach only them, first.", rich_help_panel=_EMBEDDINGS),
]
WarmStartLearningRate = Annotated[float | None, typer.Option(rich_help_panel=_EMBEDDINGS)]
EvaluateEvery = Annotated[
    int | None,
    typer.Option(help="Steps between validations, and checkpoints.", rich_help_panel=_RUN),
]
Patience = Annotated[
    int | None,
    typer.Option(help="Validations without a better one that end it.", rich_help_panel=_RUN),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"] | None, typer.Option(rich_help_panel=_RUN)
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=_MOST_SEED, help="Of everything random.", rich_help_panel=_RUN),
]
SplitSeed = Annotated[
    int,
    typer.Option(min=0, max=_MOST_SEED, help="Of the validation rows.", rich_help_panel=_RUN),
]
Work = Annotated[
    Path | None,
    typer.Option(help="Folder of checkpoints; OUT.training if none.", rich_help_panel=_RUN),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Forget the checkpoints.", rich_help_panel=_RUN)
]
KeepWork = Annotated[
    bool,
    typer.Option("--keep-work", help="Keep checkpoints and torch weights.", rich_help_panel=_RUN),
]
