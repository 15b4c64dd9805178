"""What a run found, and what a comparison did, in words."""

from collections.abc import Iterable

from evaluation.report import Column, Report, Section, Table, Verdict
from evaluation.speed.compare import Change, Comparison
from evaluation.speed.record import Record
from evaluation.speed.tables import figure_table, markdown_table, spread_text

_COLUMNS = (
    Column("figure", numeric=False),
    Column("judged by", numeric=False),
    Column("before"),
    Column("after"),
    Column("change, %"),
    Column("measured, %"),
    Column("verdict", numeric=False),
    Column("target", numeric=False),
)
_NARROW = (0, 4, 6, 7, 2, 3, 5, 1)


def markdown_section(record: Record) -> list[str]:
    """Returns the lines of a run: what it ran on, one table, and what needs saying about a row."""
    lines = [*_facts(record), "", *markdown_table(figure_table(record)), ""]
    lines += [f"- {each.what}: {each.note}" for each in record.figures if each.note]
    return lines


def run_report(record: Record) -> Report:
    """Returns a run for the terminal; the headline counts the targets that were met."""
    with_target = [each for each in record.figures if each.target is not None]
    met = sum(each.met is True for each in with_target)
    return Report(
        title="Benchmarks",
        verdict=Verdict.NONE,
        headline=f"{len(record.figures)} figures; {met} of {len(with_target)} targets met.",
        summary=tuple(_warnings(record)),
        sections=(Section("Figures", (figure_table(record),)),),
    )


def comparison_report(comparison: Comparison) -> Report:
    """Returns a comparison for the terminal, what became worse first."""
    return Report(
        title="Benchmarks compared",
        verdict=_verdict(comparison),
        headline=_headline(comparison),
        summary=tuple(_remarks(comparison)),
        sections=(Section("Changes", (change_table(comparison),)),),
    )


def change_table(comparison: Comparison) -> Table:
    """Returns a row per figure of both runs; those that became worse are strong."""
    worse = set(comparison.worse)
    return Table(
        title="Changes",
        columns=_COLUMNS,
        rows=tuple(_row(each) for each in comparison.changes),
        note=f"A verdict needs quartiles apart and {100 * comparison.threshold:g} % of change.",
        strong=frozenset(at for at, each in enumerate(comparison.changes) if each in worse),
        narrow=_NARROW,
    )


def _row(change: Change) -> tuple[str, ...]:
    measured = change.measured_change
    return (
        change.name,
        change.judged,
        spread_text(change.before, change.unit),
        spread_text(change.after, change.unit),
        f"{100 * change.change:+.1f}",
        "" if measured is None else f"{100 * measured:+.1f}",
        change.verdict,
        change.target,
    )


def _headline(comparison: Comparison) -> str:
    worse, better = len(comparison.worse), len(comparison.better)
    rest = len(comparison.changes) - len({*comparison.worse, *comparison.better})
    return f"{worse} worse, {better} better, {rest} as before or not comparable."


def _verdict(comparison: Comparison) -> Verdict:
    if comparison.worse:
        return Verdict.NO
    return Verdict.YES if comparison.better else Verdict.NONE


def _remarks(comparison: Comparison) -> Iterable[str]:
    if comparison.differences:
        yield "Only ratios can be compared, for the two runs differ:"
        yield from comparison.differences
    for names, where in ((comparison.only_before, "old"), (comparison.only_after, "new")):
        if names:
            yield f"Only in the {where} run: {', '.join(names)}."
    if comparison.failed:
        yield f"Failed in the new run: {', '.join(comparison.failed)}."


def _facts(record: Record) -> Iterable[str]:
    machine = ", ".join(f"{name} {value}" for name, value in record.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in record.versions.items())
    yield f"Measured {record.began_at[:10]} by `make bench`. Machine: {machine}."
    yield f"Versions: {versions}."
    yield "Medians, with quartiles in brackets; each ratio is of measurements taken in turn."
    yield from _warnings(record)


def _warnings(record: Record) -> Iterable[str]:
    if record.quick:
        yield "A quick run: it shows that the scripts work, and is not to be quoted."
    if record.failed:
        yield f"These modules failed, and their figures are missing: {', '.join(record.failed)}."
