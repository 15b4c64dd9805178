"""What a training tells while it runs, and keeps for its curve."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over prompts."""

    total: float
    method: float
    """The method's own."""
    sample: float
    """The sample-sample loss, before its weight; 0 where it is left out."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known after so many steps."""

    step: int
    losses: Losses | None
    """Means since the last evaluation; None before the first step."""
    tasks: dict[str, float]
    """Validation accuracy of each task."""
    average: float
    """Mean over tasks."""
    learning_rate_share: float
    seconds: float
    """Since the training began; of all its runs, where it was interrupted."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave."""
        losses = values["losses"]
        return cls(**{**values, "losses": losses and Losses(**losses)})


class Watcher(Protocol):
    """Who is told."""

    def stage(self, name: str) -> None:
        """Something that takes a while begins."""

    def step(self, step: int, steps: int, losses: Losses) -> None:
        """Steps were done; the losses are means since the last evaluation."""

    def evaluated(self, evaluation: Evaluation, best: Evaluation) -> None:
        """The validation rows were evaluated; which evaluation is the best by now."""


class Silence:
    """A watcher that says nothing."""

    def stage(self, name: str) -> None:
        """Says nothing."""

    def step(self, step: int, steps: int, losses: Losses) -> None:
        """Says nothing."""

    def evaluated(self, evaluation: Evaluation, best: Evaluation) -> None:
        """Says nothing."""
