"""Tables of a pool over time."""

import math
from collections.abc import Sequence

from evaluation.drift.changes import Change
from evaluation.drift.summary import PoolSummary, moment, shift_interval, shift_share
from evaluation.report import Column, Table, percent, spread
from evaluation.report.words import UNKNOWN

_BARS = "▁▂▃▄▅▆▇█"
_NARROW = 8
_VOTER_COLUMNS = (
    Column("Voter", numeric=False),
    Column("Noise over time", numeric=False),
    Column("Before"),
    Column("Now"),
    Column("Since", numeric=False),
    Column("Change"),
    Column("Interval", numeric=False),
    Column("Rank"),
    Column("Answered"),
)


def voter_table(summary: PoolSummary) -> Table:
    """Returns a row per voter: its noise over time, and whether it has changed."""
    rows = tuple(_voter_row(summary, at, each) for at, each in enumerate(summary.changes))
    changed = (at for at, each in enumerate(summary.changes) if each.changed)
    return Table(
        "Noise of each voter, and whether it has changed",
        _VOTER_COLUMNS,
        rows,
        note=(
            "Bars go from 0 to the voter's largest noise. Without a date no change is shown, and "
            "the change is that of the last window. Answered is the share of all samples."
        ),
        strong=frozenset(changed),
        narrow=(0, 1, 2, 3, 4, 5),
    )


def _voter_row(summary: PoolSummary, at: int, change: Change) -> tuple[str, ...]:
    series = [float(window.noise.variance[at]) for window in summary.windows]
    answered = sum(int(window.answered[at]) for window in summary.windows)
    last = summary.windows[-1]
    rank = int(last.rank[at])
    return (
        change.voter,
        sparkline(series),
        _number(change.before),
        _number(series[-1]),
        moment(change.since, summary.width) if change.since is not None else "",
        shift_share(change),
        shift_interval(change),
        f"{rank} of {int((last.rank > 0).sum())}" if rank else UNKNOWN,
        f"{answered / summary.samples:.0%}",
    )


def window_table(summary: PoolSummary) -> Table:
    """Returns a row per window: its samples, and the noise of each voter."""
    rows = tuple(
        (
            moment(each.start, summary.width),
            f"{each.samples:,}",
            *(_number(noise) for noise in each.noise.variance.tolist()),
        )
        for each in summary.windows
    )
    names = (Column("Window from", numeric=False), Column("Samples"))
    return Table(
        "Noise variance in each window",
        (*names, *(Column(each) for each in summary.voters)),
        rows,
        note="A dash: not identified by the samples of that window.",
        narrow=tuple(range(min(2 + len(summary.voters), _NARROW))),
    )


def model_table(summary: PoolSummary) -> Table:
    """Returns a row per model with an outcome."""
    rows = tuple(
        (
            each.model,
            f"{each.outcomes:,}",
            percent(each.quality.mean),
            spread(each.quality),
        )
        for each in summary.models
    )
    names = (Column("Model", numeric=False), Column("Outcomes"), Column("Quality in %"))
    return Table("Mean recorded quality", (*names, Column("95 % interval")), rows)


def sparkline(values: Sequence[float]) -> str:
    """Draws numbers as bars of eight heights, from 0 to the largest; a gap is a blank."""
    known = [each for each in values if math.isfinite(each)]
    top = max(known, default=0.0)
    return "".join(_bar(each, top) for each in values)


def _bar(value: float, top: float) -> str:
    if not math.isfinite(value):
        return " "
    height = 0 if top <= 0 else int(max(value, 0.0) / top * (len(_BARS) - 1) + 0.5)
    return _BARS[height]


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else UNKNOWN
