"""What changed between two runs of the benchmarks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from evaluation.speed.record import Figure, Record, Spread

DEFAULT_THRESHOLD = 0.1
# A run of another revision of Pointsman is what one compares with.
_OURS = "pointsman"


class Verdict(StrEnum):
    """What a change comes to."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no change"
    UNKNOWN = "not comparable"
    """It has no ratio and was measured on another machine, or it means something else now."""


class TargetChange(StrEnum):
    """What became of a target, the new run's, held against both."""

    MET = "newly met"
    MISSED = "newly missed"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs.

    Attributes:
        name: Of the figure.
        what: Is measured, for people.
        judged: What the verdict is about: the ratio, or what was measured where there is none.
        unit: Of what is judged; empty for a ratio.
        before: The judged quantity in the old run.
        after: And in the new one.
        change: Of its median, as a share of the old one: 0.1 is ten per cent more. Not a number
            where the old one is 0 and the new one isn't.
        measured_change: The same of what was measured; None where the runs aren't of one machine
            and one set of versions.
        verdict: Whether the change is more than chance and the threshold.
        target: Whether the target is newly met or missed.
    """

    name: str
    what: str
    judged: Literal["ratio", "measured"]
    unit: str
    before: Spread
    after: Spread
    change: float
    measured_change: float | None
    verdict: Verdict
    target: TargetChange


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        threshold: The least share by which a median must change to count.
        changes: A row per figure in both, in the order of the new run.
        only_before: Names of the figures that the new run lacks.
        only_after: Names of those that the old run lacks.
        differences: How the machine and the versions differ, a sentence each; none if the
            measured values can be compared.
        failed: Modules that gave no figures in the new run.
    """

    threshold: float
    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    differences: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def worse(self) -> tuple[Change, ...]:
        """What became worse, or misses a target that it met."""
        return tuple(
            each
            for each in self.changes
            if each.verdict is Verdict.WORSE or each.target is TargetChange.MISSED
        )

    @property
    def better(self) -> tuple[Change, ...]:
        """What became better, or meets a target that it missed."""
        return tuple(
            each
            for each in self.changes
            if each.verdict is Verdict.BETTER or each.target is TargetChange.MET
        )


def compare(before: Record, after: Record, threshold: float = DEFAULT_THRESHOLD) -> Comparison:
    """Compares two runs figure by figure.

    A figure is better or worse only if its quartiles no longer overlap and its median moved by
    more than the threshold.

    Args:
        before: The old run.
        after: The new one.
        threshold: A share, 0 or more.
    """
    old = {each.name: each for each in before.figures}
    new = {each.name: each for each in after.figures}
    differences = tuple(_differences(before, after))
    return Comparison(
        threshold=threshold,
        changes=tuple(
            _change(old[name], figure, threshold, comparable=not differences)
            for name, figure in new.items()
            if name in old
        ),
        only_before=tuple(name for name in old if name not in new),
        only_after=tuple(name for name in new if name not in old),
        differences=differences,
        failed=after.failed,
    )


def _differences(before: Record, after: Record) -> Iterator[str]:
    if before.quick != after.quick:
        yield "One of the two runs was a quick one."
    for old, new in ((before.machine, after.machine), (before.versions, after.versions)):
        for name in dict.fromkeys((*old, *new)):
            was, now = old.get(name, "unknown"), new.get(name, "unknown")
            if was != now and name != _OURS:
                yield f"{name}: {was} before, {now} now."


def _change(old: Figure, new: Figure, threshold: float, *, comparable: bool) -> Change:
    by_ratio = old.ratio is not None and new.ratio is not None
    before = old.ratio or old.measured if by_ratio else old.measured
    after = new.ratio or new.measured if by_ratio else new.measured
    higher = new.higher_is_better if by_ratio else new.higher_measured_is_better
    alike = _alike(old, new) and (by_ratio or comparable)
    return Change(
        name=new.name,
        what=new.what,
        judged="ratio" if by_ratio else "measured",
        unit="" if by_ratio else new.unit,
        before=before,
        after=after,
        change=_share(before, after),
        measured_change=_share(old.measured, new.measured) if comparable else None,
        verdict=_verdict(before, after, threshold, higher=higher) if alike else Verdict.UNKNOWN,
        target=_target(old, new),
    )


def _alike(old: Figure, new: Figure) -> bool:
    """Returns whether the two figures stand for the same quantity."""
    return (old.unit, old.ratio_of) == (new.unit, new.ratio_of)


def _verdict(before: Spread, after: Spread, threshold: float, *, higher: bool) -> Verdict:
    moved = abs(after.median - before.median) > threshold * abs(before.median)
    if not moved or (before.low <= after.high and after.low <= before.high):
        return Verdict.SAME
    return Verdict.BETTER if (after.median > before.median) == higher else Verdict.WORSE


def _target(old: Figure, new: Figure) -> TargetChange:
    if new.target is None or not _alike(old, new) or (old.ratio is None) != (new.ratio is None):
        return TargetChange.NONE
    was, now = new.target.met_by(old.judged), new.target.met_by(new.judged)
    if was == now:
        return TargetChange.NONE
    return TargetChange.MET if now else TargetChange.MISSED


def _share(before: Spread, after: Spread) -> float:
    if before.median == 0:
        return 0.0 if after.median == 0 else math.nan
    return (after.median - before.median) / abs(before.median)
