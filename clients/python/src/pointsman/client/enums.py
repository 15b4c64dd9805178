"""The choices of the contract, as strings."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pointsman.v1 import scoring_service_pb2, types_pb2


class Estimator(StrEnum):
    """How noise is estimated."""

    GLOBAL = "global"
    """One noise per voter, over every sample of the pool and this one (Smoothie-Global)."""
    LOCAL = "local"
    """Noise over the nearest prompts of the pool, this one included (Smoothie-Local)."""
    SINGLE = "single"
    """Noise from this prompt's answers alone; nothing is recalled."""
    SAMPLES = "samples"
    """Noise from this prompt's answers alone, several per voter in place of neighbours."""
    CALIBRATED = "calibrated"
    """Expected quality, by what recorded outcomes say of the voters and of the trust in agreement;
    Local without outcomes."""
    UNKNOWN = "unknown"
    """One that this release of the client doesn't know. Can't be asked for."""


class Embedding(StrEnum):
    """What of a generation is embedded, where the request carries text."""

    GENERATION = "generation"
    """The answer alone."""
    PROMPT_AND_GENERATION = "prompt_and_generation"
    """Prompt and answer as one text."""


class Durability(StrEnum):
    """How far a write is safe."""

    NONE = "none"
    """Nothing was written; the reason is beside it."""
    PROCESS = "process"
    """Survives a crash or a kill of the server process."""
    DEVICE = "device"
    """Survives a crash of the machine."""
    UNKNOWN = "unknown"
    """One that this release of the client doesn't know."""


_ESTIMATORS: dict[int, Estimator] = {
    scoring_service_pb2.ESTIMATOR_GLOBAL: Estimator.GLOBAL,
    scoring_service_pb2.ESTIMATOR_LOCAL: Estimator.LOCAL,
    scoring_service_pb2.ESTIMATOR_SINGLE: Estimator.SINGLE,
    scoring_service_pb2.ESTIMATOR_SAMPLES: Estimator.SAMPLES,
    scoring_service_pb2.ESTIMATOR_CALIBRATED: Estimator.CALIBRATED,
}
_DURABILITIES: dict[int, Durability] = {
    types_pb2.DURABILITY_UNSPECIFIED: Durability.NONE,
    types_pb2.DURABILITY_PROCESS: Durability.PROCESS,
    types_pb2.DURABILITY_DEVICE: Durability.DEVICE,
}


def estimator_number(name: str | None) -> scoring_service_pb2.Estimator.ValueType:
    """Returns the number of an estimator on the wire; None leaves the choice to the server.

    Raises:
        ValueError: There is no such estimator.
    """
    if name is None:
        return scoring_service_pb2.ESTIMATOR_UNSPECIFIED
    known = [each.value for each in Estimator if each is not Estimator.UNKNOWN]
    return scoring_service_pb2.Estimator.Value(f"ESTIMATOR_{_require('estimator', name, known)}")


def embedding_number(name: str | None) -> scoring_service_pb2.Embedding.ValueType:
    """Returns the number of an embedding on the wire; None leaves the choice to the server.

    Raises:
        ValueError: There is no such embedding.
    """
    if name is None:
        return scoring_service_pb2.EMBEDDING_UNSPECIFIED
    return scoring_service_pb2.Embedding.Value(
        f"EMBEDDING_{_require('embedding', name, [*Embedding])}"
    )


def estimator_of(number: int) -> Estimator:
    """Returns the estimator of a number from the wire."""
    return _ESTIMATORS.get(number, Estimator.UNKNOWN)


def durability_of(number: int) -> Durability:
    """Returns the durability of a number from the wire."""
    return _DURABILITIES.get(number, Durability.UNKNOWN)


def _require(kind: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise ValueError(f"{name!r} is no {kind}; choose one of {', '.join(known)}.")
    return name.upper()
