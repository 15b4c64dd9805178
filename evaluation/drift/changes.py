"""Whose noise is another than it was, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval
from evaluation.drift.noise import Evidence, NoiseEstimate, estimate_noise
from evaluation.drift.student import student_quantile

_FALSE_ALARMS = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """Whether the noise of a voter has changed.

    Attributes:
        voter: Its name.
        last: Noise of the last window less that of all before it. Interval and mean are NaN
            where it can't be told, as for a voter that came later.
        before: Noise before `since`, or before the last window where it has not changed.
        after: Noise from there on.
        shift: `after` less `before`, with its interval.
        since: Where the window begins with which it changed, in seconds since 1970, UTC;
            None where it has not, or can't be told.
    """

    voter: str
    last: Interval
    before: float
    after: float
    shift: Interval
    since: float | None

    @property
    def changed(self) -> bool:
        """Whether an interval excludes 0."""
        return self.since is not None

    @property
    def known(self) -> bool:
        """Whether it could be told at all."""
        return bool(np.isfinite(self.last.low) or np.isfinite(self.shift.low))


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    """After less before, of V voters."""

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.int64]

    def interval(self, voter: int, alarms: float) -> Interval:
        mean = float(self.after[voter] - self.before[voter])
        if np.isnan(self.error[voter]):
            return Interval(mean, np.nan, np.nan)
        reach = student_quantile(1 - alarms, int(self.freedom[voter])) * float(self.error[voter])
        return Interval(mean, mean - reach, mean + reach)


def voter_changes(
    voters: Sequence[str], windows: Sequence[tuple[float, Evidence]]
) -> tuple[Change, ...]:
    """Compares what was before with what came after, at every window, for every voter.

    Before and after rest on the pairs of voters that both have, in the same weights: a voter
    that comes or goes, or answers more often, does not change the others. Intervals are
    Student's, widened (Bonferroni) so that with 95 % no voter is said to have changed that
    has not: half of the 5 % is for the last window, half for all places at which a change
    may have begun. It is dated to the place where the difference is largest in its own
    errors.

    Args:
        voters: Names of the V voters.
        windows: Where each begins, and its sums, in order; those without a sample left out.

    Returns:
        A change for each voter, in their order.
    """
    splits = list(range(1, len(windows)))
    if not splits:
        nothing = Interval(np.nan, np.nan, np.nan)
        return tuple(Change(each, nothing, np.nan, np.nan, nothing, None) for each in voters)
    sums = [each for _, each in windows]
    earlier = list(accumulate(sums))
    later = list(accumulate(reversed(sums)))[::-1]
    found = [_difference(earlier[split - 1], later[split]) for split in splits]
    alarms = _FALSE_ALARMS / 2 / len(voters)
    return tuple(
        _change(voter, column, windows, found, alarms) for column, voter in enumerate(voters)
    )


def _difference(before: Evidence, after: Evidence) -> _Difference:
    weights = _common_weights(before, after)
    was, now = (estimate_noise(each, weights) for each in (before, after))
    error = np.hypot(was.error, now.error)
    return _Difference(was.variance, now.variance, error, _freedom(was, now))


def _common_weights(before: Evidence, after: Evidence) -> NDArray[np.int64]:
    """Returns (V(V-1)/2,) half the harmonic mean of the samples that both have of a pair.

    With weights that are the same before and after, noise is the same sum of the means of
    pairs, and differs only where those do.
    """
    first, second = before.counts.sum(axis=0), after.counts.sum(axis=0)
    both = (first > 0) & (second > 0)
    mean = first * second / np.maximum(first + second, 1)
    return np.where(both, np.maximum(np.rint(mean), 1), 0).astype(np.int64)


def _freedom(was: NoiseEstimate, now: NoiseEstimate) -> NDArray[np.int64]:
    """Returns Welch's and Satterthwaite's degrees of freedom, rounded down, at least 1."""
    first, second = was.error**2, now.error**2
    spread = first**2 / np.maximum(was.freedom, 1) + second**2 / np.maximum(now.freedom, 1)
    freedom = np.ones(len(spread))
    np.divide((first + second) ** 2, spread, out=freedom, where=spread > 0)
    return np.asarray(np.maximum(np.floor(freedom), 1), np.int64)


def _change(
    voter: str,
    column: int,
    windows: Sequence[tuple[float, Evidence]],
    found: Sequence[_Difference],
    alarms: float,
) -> Change:
    last = found[-1].interval(column, alarms)
    at = _largest(found, column)
    shift = found[at].interval(column, alarms / len(found))
    if not _excludes_zero(shift):
        # What only the last window shows began with it.
        at, shift = len(found) - 1, last
    changed = _excludes_zero(shift)
    return Change(
        voter,
        last,
        float(found[at].before[column]),
        float(found[at].after[column]),
        shift,
        windows[at + 1][0] if changed else None,
    )


def _largest(found: Sequence[_Difference], column: int) -> int:
    sizes = [
        abs(each.after[column] - each.before[column]) / each.error[column]
        if each.error[column] > 0
        else 0.0
        for each in found
    ]
    return int(np.argmax(sizes))


def _excludes_zero(interval: Interval) -> bool:
    return bool(interval.low > 0 or interval.high < 0)
