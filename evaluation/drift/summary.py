"""What is known of a pool over time, and the sentence that says it."""

import time
from dataclasses import dataclass
from typing import Self

import numpy as np

from evaluation.drift.changes import Change, voter_changes
from evaluation.drift.history import PoolHistory, WindowNoise
from evaluation.drift.outcomes import ModelQuality, OutcomeHistory
from evaluation.report import Verdict
from evaluation.report.words import UNKNOWN

_MINUTE = 60
_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class PoolSummary:
    """A pool over time.

    Attributes:
        pool: Its name.
        width: Seconds of a window.
        voters: Names of the V voters.
        windows: From the first that has a sample to the last.
        changes: Per voter.
        models: What the outcomes say, the best model first.
        contradicted: Whether the outcomes contradict agreement; None where the server
            does not say, or has none.
    """

    pool: str
    width: float
    voters: tuple[str, ...]
    windows: tuple[WindowNoise, ...]
    changes: tuple[Change, ...]
    models: tuple[ModelQuality, ...]
    contradicted: bool | None = None

    @classmethod
    def of(
        cls,
        pool: str,
        history: PoolHistory,
        outcomes: OutcomeHistory,
        *,
        contradicted: bool | None = None,
    ) -> Self:
        """Sums up what a pool exported."""
        changes = voter_changes(history.voters, history.evidence())
        width, windows = history.plan.width, history.windows()
        models = outcomes.models()
        return cls(pool, width, history.voters, windows, changes, models, contradicted)

    @property
    def samples(self) -> int:
        """How many samples it has."""
        return sum(each.samples for each in self.windows)

    @property
    def changed(self) -> tuple[Change, ...]:
        """The voters that have changed, the largest shift first."""
        found = (each for each in self.changes if each.changed)
        return tuple(sorted(found, key=lambda each: -abs(each.shift.mean)))

    @property
    def together(self) -> bool:
        """Whether every voter that could be compared, of three or more, changed the same way."""
        known = [each for each in self.changes if each.known]
        signs = {each.shift.mean > 0 for each in known if each.changed}
        return len(known) > 2 and len(signs) == 1 and all(each.changed for each in known)

    @property
    def unknown(self) -> str:
        """Why no change can be told, as a sentence; empty where one can."""
        filled = [each for each in self.windows if each.samples]
        if not filled:
            return f"The pool {self.pool} has no samples yet, so there is nothing to tell."
        if not any(np.isfinite(each.noise.variance).any() for each in filled):
            return (
                f"No voter's noise can be told: that takes three voters that answered the same "
                f"prompts, and the pool {self.pool} has {_voters(len(self.voters))}."
            )
        if len(filled) == 1:
            return (
                "All samples fall into one window, so nothing can have changed; "
                "give a shorter --window, or more --windows."
            )
        if not any(each.known for each in self.changes):
            return "There are too few samples in each window to tell whether a voter has changed."
        return ""

    @property
    def verdict(self) -> Verdict:
        """Whether all is as it was."""
        if self.unknown:
            return Verdict.UNCLEAR
        return Verdict.NO if self.changed else Verdict.YES

    @property
    def headline(self) -> str:
        """The answer, in a sentence."""
        if self.unknown or not self.changed:
            return self.unknown or self._unchanged()
        if self.together:
            word = "noisier" if self.changed[0].shift.mean > 0 else "less noisy"
            since = moment(min(each.since or 0.0 for each in self.changed), self.width)
            return (
                f"Every voter has become {word} since {since}: "
                "more likely the prompts have changed than the voters."
            )
        named = [_become(each, self.width) for each in self.changed[:_NAMED]]
        more = len(self.changed) - len(named)
        return "; ".join([*named, *([f"and {more} more have changed"] if more else [])]) + "."

    def _unchanged(self) -> str:
        compared = sum(each.known for each in self.changes)
        filled = sum(each.samples > 0 for each in self.windows)
        return (
            f"No voter has changed: the noise of {_voters(compared)} is what it was, "
            f"as far as {self.samples} samples in {filled} windows can tell."
        )


def moment(seconds: float, width: float) -> str:
    """Writes a time in UTC, as exactly as windows of a width are worth."""
    form = "%Y-%m-%d" if width % 86_400 == 0 and seconds % 86_400 == 0 else "%Y-%m-%d %H:%M"
    if width < _MINUTE:
        form = "%Y-%m-%d %H:%M:%S"
    return time.strftime(form, time.gmtime(seconds)) + ("" if form == "%Y-%m-%d" else " UTC")


def _become(change: Change, width: float) -> str:
    word = "noisier" if change.shift.mean > 0 else "less noisy"
    since = moment(change.since or 0.0, width)
    shift = f"{shift_share(change)}, noise {change.before:.3g} to {change.after:.3g}"
    return f"{change.voter} has become {word} since {since} ({shift})"


def shift_share(change: Change) -> str:
    """Writes a shift in per cent of what was before, or as it is where that means nothing."""
    if not change.known:
        return UNKNOWN
    shift = change.shift.mean
    return f"{shift / change.before:+.0%}" if change.before > 0 else f"{shift:+.3g}"


def shift_interval(change: Change) -> str:
    """Writes the interval of a shift of noise."""
    if not change.known:
        return UNKNOWN
    return f"{change.shift.low:+.3g} to {change.shift.high:+.3g}"


def _voters(count: int) -> str:
    return "one voter" if count == 1 else f"{count or 'no'} voters"
