"""What the outcomes of a pool say of its models."""

import math
from dataclasses import dataclass

from evaluation.bootstrap import Interval

_NORMAL = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ModelQuality:
    """The recorded quality of one model.

    Attributes:
        model: Its name.
        outcomes: How many were recorded.
        quality: Their mean, with a normal interval of 95 %; no interval with one outcome.
    """

    model: str
    outcomes: int
    quality: Interval


class OutcomeHistory:
    """Sums of outcomes by model."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, float, float]] = {}

    def add(self, model: str, quality: float) -> None:
        """Takes one outcome, from 0 to 1."""
        count, total, squares = self._sums.get(model, (0, 0.0, 0.0))
        self._sums[model] = count + 1, total + quality, squares + quality**2

    @property
    def count(self) -> int:
        """How many outcomes were taken."""
        return sum(count for count, _, _ in self._sums.values())

    def models(self) -> tuple[ModelQuality, ...]:
        """Returns every model with an outcome, the best first."""
        found = (_quality(model, *sums) for model, sums in self._sums.items())
        return tuple(sorted(found, key=lambda each: -each.quality.mean))


def _quality(model: str, count: int, total: float, squares: float) -> ModelQuality:
    mean = total / count
    if count < 2:
        return ModelQuality(model, count, Interval(mean, math.nan, math.nan))
    variance = max(squares - count * mean**2, 0.0) / (count - 1)
    reach = _NORMAL * math.sqrt(variance / count)
    return ModelQuality(model, count, Interval(mean, max(mean - reach, 0), min(mean + reach, 1)))
