"""Reports in a terminal, however narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from evaluation.report.values import Report, Section, Table, Verdict
from evaluation.report.words import printable

_LEAST = 14
# Blanks on both sides of a cell, and one between columns.
_BETWEEN = 3
_NAMED = 4
_PIPED_WIDTH = 100
_STYLES = {Verdict.YES: "bold green", Verdict.NO: "bold red", Verdict.UNCLEAR: "bold yellow"}


def print_report(report: Report, console: Console) -> None:
    """Prints the headline first, then what must be known at once, then every table.

    The headline is one line where no terminal would break it.

    Args:
        report: What was found.
        console: Where to; one that is no terminal is taken to be a hundred columns wide.
    """
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    console.print(_headline(report), soft_wrap=not console.is_terminal)
    console.print(_rest(report))


def _headline(report: Report) -> Text:
    return Text(printable(report.headline), style=_STYLES.get(report.verdict, "bold"))


def _rest(report: Report) -> Group:
    summary = [Text(printable(sentence)) for sentence in report.summary]
    tables = [each for section in report.sections for each in _tables(section)]
    return Group(*summary, *tables)


def terminal_table(table: Table) -> "_Fitted":
    """Returns the columns that a terminal has room for, and the note under them.

    A number is never broken, and a name keeps 14 columns: what does not fit beside them is left
    out, and named.
    """
    return _Fitted(table)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table that is laid out when the width of the terminal is known."""

    table: Table

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        wanted = self.table.narrow or tuple(range(len(self.table.columns)))
        shown = _fitting(self.table, wanted, options.max_width)
        yield _laid_out(self.table, shown)
        notes = [self.table.note, _left_out(self.table, [at for at in wanted if at not in shown])]
        for note in filter(None, notes):
            yield Text(printable(note), style="dim")


def _fitting(table: Table, wanted: Sequence[int], width: int) -> list[int]:
    """Returns the columns that fit, the first in any case."""
    shown: list[int] = []
    room = width - 1
    for place in wanted:
        needed = _least(table, place) + _BETWEEN
        if needed <= room or not shown:
            shown.append(place)
            room -= needed
    return shown


def _least(table: Table, place: int) -> int:
    """Returns how narrow a column may be: whole numbers, and whole words in its heading."""
    column = table.columns[place]
    cells = max((cell_len(printable(row[place])) for row in table.rows), default=0)
    words = [min(cell_len(word), _LEAST) for word in printable(column.name).split()]
    return max([1, cells if column.numeric else min(cells, _LEAST), *words])


def _laid_out(table: Table, shown: Sequence[int]) -> RichTable:
    made = RichTable(
        title=Text(printable(table.title), style="italic"), title_justify="left", box=SIMPLE_HEAD
    )
    for place in shown:
        column = table.columns[place]
        made.add_column(
            Text(printable(column.name)),
            justify="right" if column.numeric else "left",
            overflow="fold",
            width=_least(table, place) if column.numeric else None,
        )
    for index, row in enumerate(table.rows):
        style = "bold" if index in table.strong else None
        made.add_row(*(Text(printable(row[place])) for place in shown), style=style)
    return made


def _left_out(table: Table, places: Sequence[int]) -> str:
    names = [table.columns[place].name for place in places]
    if len(names) > _NAMED:
        names[_NAMED:] = [f"and {len(names) - _NAMED} more"]
    return f"Left out for want of room: {', '.join(names)}." if names else ""


def _tables(section: Section) -> list[_Fitted]:
    return [terminal_table(part) for part in section.parts if isinstance(part, Table)]
