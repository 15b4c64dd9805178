"""The record of one benchmark run: its machine, and every figure beside its reference."""

import math
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one quantity.

    Attributes:
        median: Of all of them.
        low: Lower quartile.
        high: Upper quartile.
        runs: How many there were.
    """

    median: float
    low: float
    high: float
    runs: int

    def __post_init__(self) -> None:
        ordered = self.low <= self.median <= self.high and self.runs > 0
        if not ordered or not math.isfinite(self.low) or not math.isfinite(self.high):
            raise ValueError(
                f"a spread needs finite quartiles in order, of one run or more: {self.low},"
                f" {self.median}, {self.high}, of {self.runs}"
            )

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Summarises measurements (n,), at least one.

        Raises:
            ValueError: There is none, or one is not a finite number.
        """
        numbers = np.asarray(values, np.float64)
        if not numbers.size or not np.isfinite(numbers).all():
            raise ValueError("a spread needs measurements, all of them finite numbers")
        low, median, high = np.percentile(numbers, (25, 50, 75)).tolist()
        return cls(median, low, high, numbers.size)


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio is to be, the bound included."""

    bound: Literal["at most", "at least"]
    value: float

    def met_by(self, ratio: float) -> bool:
        """Whether a ratio is within the bound."""
        return ratio <= self.value if self.bound == "at most" else ratio >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity, beside a reference measured in the same run.

    Attributes:
        name: Stands for the figure in every record, as in "estimator/global-fit/sum".
        what: Is measured, for people.
        unit: Of `measured` and `reference`, as in "ms" or "1/s".
        measured: Ours.
        against: What the reference is, for people; empty where there is none.
        reference: Measured beside ours; None where there is none.
        ratio: Over the pairs of measurements, as `ratio_of` says; None without a reference.
        ratio_of: "ours/reference", or "reference/ours" for how many times faster ours is.
        target: Of the ratio, or of `measured` where there is no reference; None where there
            is none.
        note: One sentence that a reader of the table needs; may be empty.
    """

    name: str
    what: str
    unit: str
    measured: Spread
    against: str = ""
    reference: Spread | None = None
    ratio: Spread | None = None
    ratio_of: Literal["ours/reference", "reference/ours"] = "ours/reference"
    target: Target | None = None
    note: str = ""

    @classmethod
    def paired(
        cls,
        name: str,
        what: str,
        unit: str,
        measured: ArrayLike,
        against: str,
        reference: ArrayLike,
        *,
        ratio_of: Literal["ours/reference", "reference/ours"] = "ours/reference",
        target: Target | None = None,
        note: str = "",
    ) -> Self:
        """Makes a figure of measurements taken in turn, (n,) each.

        The ratio is taken pair by pair, so that a machine whose speed drifts does not move it.
        """
        ours, theirs = np.asarray(measured, np.float64), np.asarray(reference, np.float64)
        ratio = ours / theirs if ratio_of == "ours/reference" else theirs / ours
        return cls(
            name=name,
            what=what,
            unit=unit,
            measured=Spread.of(ours),
            against=against,
            reference=Spread.of(theirs),
            ratio=Spread.of(ratio),
            ratio_of=ratio_of,
            target=target,
            note=note,
        )

    @property
    def judged(self) -> float:
        """What the target is held against."""
        return (self.ratio or self.measured).median

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.met_by(self.judged)

    @property
    def higher_is_better(self) -> bool:
        """Of what the target is held against.

        Where there is no target, a ratio of how many times faster ours is, and a rate, as in
        "1/s", are better higher; anything else is better lower.
        """
        if self.target is not None:
            return self.target.bound == "at least"
        inverted = self.ratio is not None and self.ratio_of == "reference/ours"
        return inverted != self.unit.endswith("/s")

    @property
    def higher_measured_is_better(self) -> bool:
        """Of `measured`, whichever way round the ratio is."""
        inverted = self.ratio is not None and self.ratio_of == "reference/ours"
        return self.higher_is_better != inverted


@dataclass(frozen=True, slots=True)
class Record:
    """One run of the suite.

    Attributes:
        began_at: Of the run, ISO 8601 in UTC.
        machine: What it ran on, by name: "cpu", "cores", "memory", "system".
        versions: Of Python and the libraries that matter, by name.
        figures: In the order of the suite.
        quick: Whether it was run to try the scripts out, and is not to be quoted.
        failed: Names of the modules that gave no figures.
    """

    began_at: str
    machine: dict[str, str]
    versions: dict[str, str]
    figures: tuple[Figure, ...]
    quick: bool = False
    failed: tuple[str, ...] = ()
