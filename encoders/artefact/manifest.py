"""What an artefact says of itself: the types of manifest.json, and how it is read."""

import enum
import json
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from encoders.errors import ArtefactInvalidError

FORMAT = "pointsman-router/1"
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
ENCODER = "encoder"

_ANY_FORMAT = re.compile(r"pointsman-router/\d+")


class Precision(enum.StrEnum):
    """The numbers that the encoder computes with."""

    FP32 = "fp32"
    FP16 = "fp16"
    """On CUDA; of the embedded encoder only."""
    INT8_DYNAMIC = "int8-dynamic"
    """Weights as int8 per channel, activations as int8 with a scale per run."""


def _require_inside(path: str) -> str:
    parts = path.split("/")
    if str(PurePosixPath(path)) != path or path.startswith("/") or {".", ".."} & {*parts}:
        raise ValueError("a path of a file must be relative and stay inside the artefact")
    if "\\" in path or "\0" in path:
        raise ValueError("a path of a file must be written with /")
    return path


Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
Count = Annotated[int, Field(ge=0)]
RelativePath = Annotated[str, AfterValidator(_require_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ModelEntry(_Entry):
    """A model that the router chooses among."""

    name: Annotated[str, Field(min_length=1)]
    cost: Annotated[float, Field(ge=0)] | None = None
    """Of a mean request, in the unit of the training data; None if unknown."""


class EncoderEntry(_Entry):
    """The query encoder."""

    kind: Literal["sentence", "tf-idf"] = "sentence"
    """`SentenceEncoder` or `TfidfEncoder`."""
    directory: Literal["encoder"] = "encoder"
    name: str
    """What it was made of, for people."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """As the encoder's own `revision`."""
    dimension: Annotated[int, Field(ge=1)]
    max_tokens: Annotated[int, Field(ge=1)]
    precision: Precision


class DataEntry(_Entry):
    """What the router was trained on."""

    fingerprint: str
    """SHA-256 over the content of the data."""
    rows: Count
    tasks: dict[str, Count] = Field(default_factory=dict)
    """Rows of each task."""


class ValidationEntry(_Entry):
    """How well it routed prompts that it was not trained on."""

    rows: Count
    accuracy: dict[str, float] = Field(default_factory=dict)
    """Of each task."""
    average: float
    """Over the tasks."""
    best_single_model: str
    best_single_average: float
    """What that model has where it answers every prompt."""
    note: str = ""
    """What has changed since it was measured."""


class CalibrationEntry(_Entry):
    """How scores become probabilities: softmax(scores / temperature)."""

    temperature: Annotated[float, Field(gt=0)]
    nll_before: float | None = None
    """Mean negative log-likelihood on the validation rows at temperature 1, in nats."""
    nll_after: float | None = None
    ece_before: float | None = None
    """Expected calibration error at temperature 1."""
    ece_after: float | None = None
    note: str = ""
    """What has changed since it was fitted."""


class ExportEntry(_Entry):
    """How far the encoder is from the one that it was made of."""

    prompts: Count
    """Texts that both encoded."""
    largest_difference: Annotated[float, Field(ge=0)]
    """Of two coordinates of unit vectors, over all texts."""
    accuracy_change: float | None = None
    """Of the routing average, after less before; None where it was not measured."""


class _Description(_Entry):
    """What a draft and a manifest have in common."""

    kind: Kind
    """How it was trained, and what its arrays are; `scoring.routers.build_router` knows it."""
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]
    """In the order in which the arrays hold them."""
    method: dict[str, JsonValue] = Field(default_factory=dict)
    """Hyper-parameters, with those that inference reads."""
    data: DataEntry | None = None
    validation: ValidationEntry | None = None
    calibration: CalibrationEntry | None = None
    export: ExportEntry | None = None

    @model_validator(mode="after")
    def _require_distinct_models(self) -> Self:
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the model {twice[0]!r} is named twice")
        return self


class ManifestDraft(_Description):
    """A manifest without what is computed when an artefact is written."""

    encoder_name: str
    """What the encoder was made of, for people."""
    precision: Precision = Precision.FP32


class Manifest(_Description):
    """What manifest.json says."""

    format: Literal["pointsman-router/1"] = "pointsman-router/1"
    encoder: EncoderEntry
    files: dict[RelativePath, Sha256]
    """SHA-256 of every other file, by its path."""

    @model_validator(mode="after")
    def _require_arrays(self) -> Self:
        if ARRAYS not in self.files or MANIFEST in self.files:
            raise ValueError(f"files must name {ARRAYS}, and can't name {MANIFEST}")
        return self

    def draft(self) -> ManifestDraft:
        """What was given when the artefact was written; change it by `model_copy`."""
        names = ManifestDraft.model_fields.keys() & type(self).model_fields.keys()
        return ManifestDraft(
            **{name: getattr(self, name) for name in names},
            encoder_name=self.encoder.name,
            precision=self.encoder.precision,
        )

    def serialise(self) -> bytes:
        """The content of manifest.json: the same manifest gives the same bytes."""
        values = {"format": self.format} | self.model_dump(mode="json")
        return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """Parses the content of manifest.json.

    Args:
        data: The content.
        path: Where it was read, for messages.

    Raises:
        ArtefactInvalidError: It is no manifest, of another format, or says what can't be.
    """
    found = format_of(data)
    if found is None:
        raise ArtefactInvalidError(f"{path} is not the manifest of a router; export it again")
    if found != FORMAT:
        message = f"{path} is of the format {found}, but only {FORMAT} can be read; " + (
            "upgrade Pointsman, or export the router with this version"
        )
        raise ArtefactInvalidError(message)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the manifest"
        message = f"{path} is damaged: {place}: {first['msg']}; export the router again"
        raise ArtefactInvalidError(message) from error


def format_of(data: bytes) -> str | None:
    """The format that a manifest names; None where it is no manifest of a router."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    found = value.get("format") if isinstance(value, dict) else None
    return found if isinstance(found, str) and _ANY_FORMAT.fullmatch(found) else None
