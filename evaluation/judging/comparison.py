"""How ways to choose fare against each other, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from evaluation.bootstrap import Interval, resampled_means, simultaneous
from evaluation.judging.ways import (
    BEST_SINGLE,
    LONGEST,
    ORACLE,
    RANDOM,
    Floats,
    Kind,
    Way,
)
from evaluation.ways import mean_of

REFERENCES = (RANDOM, BEST_SINGLE, LONGEST)
_CONTENDERS = {Kind.SIMPLE, Kind.AGREEMENT, Kind.LABELS, Kind.PAIRWISE}
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A way with the (n,) quality that it comes to.

    Attributes:
        name: Of the way.
        kind: What it must know.
        outcomes: (n,) float64, NaN where what it chose was not judged.
        found: How often it chose the best single model, from 0 to 1.
        note: What a reader must know of it.
    """

    name: str
    kind: Kind
    outcomes: Floats
    found: float
    note: str = ""

    @classmethod
    def of(cls, way: Way, wins: Floats, best: int) -> Self:
        """Measures a way by (n, K) qualities, `best` being the best single model."""
        return cls(
            way.name, way.kind, way.outcomes(wins), float(way.shares[:, best].mean()), way.note
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """What a way came to.

    Attributes:
        name: Of the way.
        kind: What it must know.
        rate: Mean quality of what it chose, with its interval.
        prompts: How many prompts that is over.
        leads: Over each of `REFERENCES`, over the prompts where both are judged.
        sure: The lead over the best single model with an interval that holds for all
            contenders at once.
        found: How often it chose the best single model.
        note: What a reader must know of it.
    """

    name: str
    kind: Kind
    rate: Interval
    prompts: int
    leads: dict[str, Interval]
    sure: Interval
    found: float
    note: str

    @property
    def contends(self) -> bool:
        """Whether it can be had in practice and chooses by something."""
        return self.kind in _CONTENDERS and self.name != RANDOM


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All ways, in the order given; `random`, `longest answer` and the bounds among them."""

    ways: tuple[Rated, ...]
    best_single: str

    def named(self, name: str) -> Rated:
        """Returns a way by its name."""
        return next(each for each in self.ways if each.name == name)

    @property
    def contenders(self) -> tuple[Rated, ...]:
        """What may be chosen by in practice, the best first."""
        contending = (each for each in self.ways if each.contends)
        return tuple(sorted(contending, key=lambda each: -each.leads[BEST_SINGLE].mean))

    @property
    def oracle(self) -> Rated:
        """The best answer to each prompt."""
        return self.named(ORACLE)


def compare(
    measured: Sequence[Measured], best_single: str, *, seed: int = 0, level: float = 0.95
) -> Comparison:
    """Averages the outcomes of every way, and its leads over random, best and longest.

    Intervals are percentiles of a bootstrap over prompts, which all ways share, so that
    leads are paired. `sure` widens them to `mean ± q · se`, where q is the quantile of the
    largest studentised deviation among the contenders: with that probability no contender
    is outside its interval, however many were tried.

    Args:
        measured: At least those of `REFERENCES`.
        best_single: Name of the voter that `best single` always chooses.
        seed: Makes the draws repeatable.
        level: Of the intervals.
    """
    rates = np.stack([each.outcomes for each in measured], axis=1)
    places = {each.name: place for place, each in enumerate(measured)}
    blocks = [rates, *(rates - rates[:, [places[name]]] for name in REFERENCES)]
    columns = np.concatenate(blocks, axis=1)
    everything = [np.arange(len(columns))]
    drawn = resampled_means(columns, everything, seed=seed, resamples=_RESAMPLES)[:, 0]
    means = mean_of(columns)
    count = len(measured)
    leads = slice((1 + REFERENCES.index(BEST_SINGLE)) * count, None)
    contending = [each.kind in _CONTENDERS and each.name != RANDOM for each in measured]
    sure = simultaneous(means[leads][:count], drawn[:, leads][:, :count], contending, level)
    return Comparison(
        tuple(
            Rated(
                name=each.name,
                kind=each.kind,
                rate=Interval.of(float(means[place]), drawn[:, place], level),
                prompts=int((~np.isnan(each.outcomes)).sum()),
                leads={
                    name: Interval.of(float(means[at]), drawn[:, at], level)
                    for name, at in zip(
                        REFERENCES, range(count + place, columns.shape[1], count), strict=True
                    )
                },
                sure=sure[place],
                found=each.found,
                note=each.note,
            )
            for place, each in enumerate(measured)
        ),
        best_single,
    )
