"""A pool over time, as a report and as figures for programs."""

from collections.abc import Iterator

import numpy as np

from evaluation.drift.summary import PoolSummary, moment
from evaluation.drift.tables import model_table, voter_table, window_table
from evaluation.report import (
    Definition,
    KeyFigure,
    Line,
    Lines,
    Paragraph,
    Report,
    Section,
    Tone,
)

_MOST_LINES = 8
_DAY = 86_400
WINDOW_HEADER = (
    "window_start", "window_end", "voter", "samples", "answered", "noise_variance",
    "standard_error", "rank",
)  # fmt: skip
_DEFINITIONS = (
    Definition(
        "Noise variance",
        "Expected squared distance of a voter's answer from the latent true one, estimated "
        "from how far the answers lie apart. It is agreement, not truth: what the others "
        "agree on may be wrong.",
    ),
    Definition(
        "Changed",
        "The interval of the difference, before and after, excludes 0. Intervals are widened "
        "for the number of voters and of windows, so that a pool in which nothing changes "
        "raises an alarm in about one report of twenty.",
    ),
    Definition(
        "Before and after",
        "Both rest on the same pairs of voters, so that a voter that comes or goes does not "
        "change the others.",
    ),
)


def pool_report(summary: PoolSummary) -> Report:
    """Says what is known of a pool over time."""
    return Report(
        title=f"Pool {summary.pool}",
        verdict=summary.verdict,
        headline=summary.headline,
        summary=tuple(_sentences(summary)),
        figures=_figures(summary),
        first=_noise_plot(summary) if summary.voters else None,
        sections=tuple(_sections(summary)),
        definitions=_DEFINITIONS,
        facts=_facts(summary),
    )


def pool_record(summary: PoolSummary) -> dict[str, object]:
    """Returns everything as JSON has it; times are seconds since 1970, UTC."""
    return {
        "pool": summary.pool,
        "headline": summary.headline,
        "verdict": summary.verdict,
        "samples": summary.samples,
        "window_seconds": summary.width,
        "agreement_contradicted": summary.contradicted,
        "voters": [
            {
                "voter": each.voter,
                "changed": each.changed,
                "since": each.since,
                "before": each.before,
                "after": each.after,
                "shift": each.shift,
                "last_window_less_before": each.last,
            }
            for each in summary.changes
        ],
        "windows": [dict(zip(WINDOW_HEADER, row, strict=True)) for row in window_rows(summary)],
        "models": list(summary.models),
    }


def window_rows(summary: PoolSummary) -> Iterator[tuple[object, ...]]:
    """Yields a row per window and voter, as `WINDOW_HEADER` names its cells."""
    for window in summary.windows:
        for voter, name in enumerate(summary.voters):
            yield (
                window.start, window.end, name, window.samples, int(window.answered[voter]),
                float(window.noise.variance[voter]), float(window.noise.error[voter]),
                int(window.rank[voter]) or None,
            )  # fmt: skip


def _sentences(summary: PoolSummary) -> Iterator[str]:
    late = [each.voter for each in summary.changes if not each.known]
    if late and not summary.unknown:
        yield f"Too little is known of {', '.join(late)} before and after to compare."
    if summary.contradicted:
        yield (
            "The recorded outcomes contradict agreement: voters that agree with the others are "
            "not the better ones here. Score with the estimator calibrated, or do not rely on "
            "noise in this pool."
        )
    elif summary.models:
        yield f"{summary.models[0].model} has the best recorded outcomes."


def _figures(summary: PoolSummary) -> tuple[KeyFigure, ...]:
    outcomes = sum(each.outcomes for each in summary.models)
    return (
        KeyFigure("samples", f"{summary.samples:,}", f"in {len(summary.windows)} windows"),
        KeyFigure("voters", str(len(summary.voters))),
        KeyFigure("have changed", str(len(summary.changed))),
        KeyFigure("outcomes", f"{outcomes:,}"),
    )


def _sections(summary: PoolSummary) -> Iterator[Section]:
    if not summary.voters:
        yield Section("Voters", (Paragraph("No voter is known."),))
    else:
        yield Section("Voters", (voter_table(summary),))
        yield Section("Volume", (_volume_plot(summary), window_table(summary)))
    if summary.models:
        yield Section("Recorded outcomes", (model_table(summary),))


def _noise_plot(summary: PoolSummary) -> Lines:
    changed = {each.voter for each in summary.changed}
    order = sorted(range(len(summary.voters)), key=lambda at: summary.voters[at] not in changed)
    x = _days(summary)
    lines = tuple(_line(summary, at, x, changed) for at in order[:_MOST_LINES])
    return Lines(
        "Noise over time",
        f"Noise variance of each voter in {len(x)} windows. {summary.headline}",
        "days since the first window",
        "noise variance",
        lines,
    )


def _line(summary: PoolSummary, at: int, x: tuple[float, ...], changed: set[str]) -> Line:
    noise = np.array([each.noise.variance[at] for each in summary.windows])
    error = np.array([each.noise.error[at] for each in summary.windows])
    name = summary.voters[at]
    tone = Tone.MAIN if name in changed else Tone.OTHER
    low, high = (tuple((noise + sign * 2 * error).tolist()) for sign in (-1, 1))
    return Line(name, x, tuple(noise.tolist()), low, high, tone, marked=True)


def _volume_plot(summary: PoolSummary) -> Lines:
    volume = tuple(float(each.samples) for each in summary.windows)
    line = Line("samples", _days(summary), volume, tone=Tone.PLAIN, marked=True)
    return Lines(
        "Samples in each window",
        f"Between {min(volume):.0f} and {max(volume):.0f} samples in a window.",
        "days since the first window",
        "samples",
        (line,),
    )


def _days(summary: PoolSummary) -> tuple[float, ...]:
    first = summary.windows[0].start
    return tuple((each.start - first) / _DAY for each in summary.windows)


def _facts(summary: PoolSummary) -> tuple[tuple[str, str], ...]:
    facts = [("Pool", summary.pool), ("Window", f"{summary.width:g} s")]
    if summary.windows:
        first, last = summary.windows[0].start, summary.windows[-1].end
        facts.append(("From", moment(first, summary.width)))
        facts.append(("To", moment(last, summary.width)))
    return tuple(facts)
