"""What decides the outcome of a training, besides the data and the encoder."""

import dataclasses
import enum
import math
from dataclasses import dataclass
from typing import Self

from encoders.pooling import Pooling
from encoders.training.errors import TrainingError

MOST_SEED = 2**32 - 1
"""scikit-learn takes no greater one."""


class Method(enum.StrEnum):
    """Which loss teaches the router."""

    ROUTERDC = "routerdc"
    """Dual contrastive learning: Chen et al., RouterDC, NeurIPS 2024."""
    ZOOTER = "zooter"
    """KL divergence to the normalised scores: Lu et al., ZOOTER, NAACL 2024."""
    COSINE_CLASSIFIER = "cosine-classifier"
    """Cross-entropy to the best model: the baseline of the RouterDC paper."""
    MULTI_LABEL = "multi-label"
    """Binary cross-entropy of each model's cosine to its score."""


class Schedule(enum.StrEnum):
    """How learning rates decay after the warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    COSINE = "cosine"


class Start(enum.StrEnum):
    """Where the embeddings of the models begin."""

    NORMAL = "normal"
    """Normal with standard deviation 0.78, as the authors' code does."""
    DATA = "data"
    """Of a model: the sum of the prompts' vectors, weighted by how much better it did on each
    prompt than the models on average; of the same length as a normal one."""


class Targets(enum.StrEnum):
    """What of a row the losses learn from."""

    SCORES = "scores"
    """The scores as they are, as the paper does."""
    COUNTED = "counted"
    """What the validation counts: 1 for a score above 0 in the tasks that count so. A model that
    is right without being sure is then as good as one that is sure."""


class Precision(enum.StrEnum):
    """In which numbers the encoder computes; weights are always fp32."""

    AUTO = "auto"
    """bf16 where a GPU has it, or the CPU has AMX for it; else fp32."""
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    """Only on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """How to train; `of_method` gives what each method begins from."""

    method: Method
    seed: int = 0
    pooling: Pooling = Pooling.MEAN
    """Mean or CLS; becomes part of the encoder."""
    max_tokens: int = 256
    """Read of a prompt, special ones included; becomes part of the encoder."""
    batch: int = 64
    """Prompts that one process computes at once."""
    accumulate: int = 1
    """Batches per step of the optimiser."""
    steps: int = 1000
    """Of the optimiser."""
    encoder_learning_rate: float = 5e-5
    embedding_learning_rate: float = 5e-5
    """Of the models' embeddings."""
    weight_decay: float = 0.01
    """AdamW's, of matrices; biases, norms and the models' embeddings have none."""
    warm_up: float = 0.05
    """Share of the steps in which the learning rates rise."""
    schedule: Schedule = Schedule.LINEAR
    gradient_norm: float = 1.0
    """Gradients are clipped to it; 0 for never."""
    dropout: float | None = None
    """In place of the encoder's own."""
    freeze_layers: int | None = None
    """The encoder's token embeddings and this many of its first layers take no gradient; nothing
    is frozen if None."""
    targets: Targets = Targets.SCORES
    """What the losses learn from."""
    temperature: float = 1.0
    """Cosines are divided by it in the method's own loss."""
    score_temperature: float = 1.0
    """ZOOTER's: scores are divided by it before they are normalised by softmax."""
    positives: int = 3
    """K+ of RouterDC: best models of a prompt, each drawn to it."""
    negatives: int = 3
    """K- of RouterDC: worst models of a prompt, with a score under 0.5."""
    sample_weight: float = 1.0
    """Lambda of RouterDC: weight of the sample-sample loss; 0 leaves it out."""
    sample_temperature: float = 1.0
    """Cosines are divided by it in the sample-sample loss."""
    groups: int = 8
    """Of prompts, by k-means on t-SNE, for the sample-sample loss."""
    out_group_negatives: int = 3
    """H of RouterDC."""
    start: Start = Start.NORMAL
    warm_start: int = 0
    """Steps in which only the models' embeddings learn, before the encoder does too."""
    warm_start_learning_rate: float = 0.01
    """Of the models' embeddings in those steps."""
    rows_per_task: int | None = None
    """Rows that an epoch takes of each task, small ones repeated; all rows once if None."""
    evaluate_every: int = 50
    """Steps between two evaluations on the validation rows."""
    patience: int | None = None
    """Evaluations without a better one after which training stops; never if None."""
    precision: Precision = Precision.AUTO

    @classmethod
    def of_method(cls, method: Method, **given: object) -> Self:
        """The method's own hyper-parameters, with those given in their place.

        Args:
            method: Which.
            given: By the names of the fields; words for those with a choice.

        Raises:
            TrainingError: One is out of range.
        """
        own = {**_OF_METHOD[method], **given}
        try:
            own |= {name: kind(str(own[name])) for name, kind in _ENUMS.items() if name in own}
        except ValueError as error:
            raise TrainingError(f"{error}; see --help") from None
        made = cls(method=method, **own)  # type: ignore[arg-type]
        made.require_sound()
        return made

    def require_sound(self) -> None:
        """Refuses values out of range.

        Raises:
            TrainingError: Names the first one.
        """
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise TrainingError(f"{name} is {value}; it must be at least {least}")
        if self.seed > MOST_SEED:
            raise TrainingError(f"seed is {self.seed}; it must be at most {MOST_SEED}")
        for name in _SHARES:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise TrainingError(f"{name} is {value}; it must be at least 0 and below 1")
        for name in _POSITIVE:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise TrainingError(f"{name} is {value}; it must be above 0")
        if self.pooling is Pooling.MODEL:
            raise TrainingError("pooling is model; only mean or cls can be trained")

    def to_dict(self) -> dict[str, str | int | float | None]:
        """As plain values, for a manifest."""
        return {
            name: value.value if isinstance(value, enum.Enum) else value
            for name, value in dataclasses.asdict(self).items()
        }


# The sample-sample loss is RouterDC's; the others are published without it.
_OF_METHOD: dict[Method, dict[str, object]] = {
    Method.ROUTERDC: {},
    Method.ZOOTER: {"sample_weight": 0.0, "temperature": 0.1, "score_temperature": 0.5},
    Method.COSINE_CLASSIFIER: {"sample_weight": 0.0},
    Method.MULTI_LABEL: {"sample_weight": 0.0, "temperature": 0.1},
}
_ENUMS: dict[str, type[enum.StrEnum]] = {
    "pooling": Pooling,
    "schedule": Schedule,
    "start": Start,
    "targets": Targets,
    "precision": Precision,
}
_LEAST: dict[str, float] = {
    "seed": 0,
    "batch": 1,
    "accumulate": 1,
    "steps": 1,
    "max_tokens": 3,
    "encoder_learning_rate": 0,
    "embedding_learning_rate": 0,
    "weight_decay": 0,
    "gradient_norm": 0,
    "freeze_layers": 0,
    "positives": 1,
    "negatives": 1,
    "sample_weight": 0,
    "groups": 2,
    "out_group_negatives": 1,
    "warm_start": 0,
    "warm_start_learning_rate": 0,
    "rows_per_task": 1,
    "evaluate_every": 1,
    "patience": 1,
}
_SHARES = ("warm_up", "dropout")
_POSITIVE = ("temperature", "score_temperature", "sample_temperature")
