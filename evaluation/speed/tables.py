"""The figures of a run as a table, in the terminal and in Markdown."""

import math
from collections.abc import Sequence

from evaluation.report import Column, Table, printable
from evaluation.speed.record import Figure, Record, Spread, Target

_COLUMNS = (
    Column("what", numeric=False),
    Column("measured"),
    Column("against", numeric=False),
    Column("reference"),
    Column("ratio"),
    Column("target"),
    Column("met", numeric=False),
)
# What a terminal shows first, where there is room for little.
_NARROW = (0, 4, 5, 6, 1, 3, 2)


def figure_table(record: Record) -> Table:
    """Returns a row per figure: medians, with quartiles in brackets."""
    return Table(
        title="Figures",
        columns=_COLUMNS,
        rows=tuple(_row(each) for each in record.figures),
        note=" ".join(f"{each.what}: {each.note}" for each in record.figures if each.note),
        strong=frozenset(at for at, each in enumerate(record.figures) if each.met is False),
        narrow=_NARROW,
    )


def number(value: float) -> str:
    """Writes a number with three digits that count, and none of them as a power of ten."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{float(f'{value:.3g}'):,.{digits}f}"


def spread_text(spread: Spread, unit: str = "") -> str:
    """Writes `1.25 ms (1.2 to 1.31)`; the median alone where it was measured once."""
    median = f"{number(spread.median)} {unit}".rstrip()
    if spread.runs == 1:
        return median
    return f"{median} ({number(spread.low)} to {number(spread.high)})"


def target_text(target: Target | None) -> str:
    """Writes `at most 1.3`; nothing where there is none."""
    return "" if target is None else f"{target.bound} {number(target.value)}"


def markdown_table(table: Table) -> list[str]:
    """Returns the lines of a table as Markdown has it, with no line feeds."""
    rules = ["---:" if each.numeric else "---" for each in table.columns]
    header = [each.name for each in table.columns]
    return [_markdown_row(row) for row in (header, rules, *table.rows)]


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.what,
        spread_text(figure.measured, figure.unit),
        figure.against,
        spread_text(figure.reference, figure.unit) if figure.reference else "",
        _ratio_text(figure),
        target_text(figure.target),
        {True: "yes", False: "no", None: ""}[figure.met],
    )


def _ratio_text(figure: Figure) -> str:
    if figure.ratio is None:
        return ""
    inverted = " times faster" if figure.ratio_of == "reference/ours" else ""
    return spread_text(figure.ratio) + inverted


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (printable(each).replace("|", "\\|") for each in cells)
    return f"| {' | '.join(escaped)} |"
