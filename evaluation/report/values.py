"""What a report is made of: sentences, tables and plots, as values that know no format."""

import enum
from dataclasses import dataclass
from typing import TypeAlias


class Verdict(enum.StrEnum):
    """The answer to the question that the headline answers."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"
    """The data can't tell."""
    NONE = "none"
    """The report answers no such question."""


class Tone(enum.StrEnum):
    """What a mark in a plot stands for, which decides its colour."""

    MAIN = "main"
    """What the headline is about."""
    BASE = "base"
    """What that is compared with."""
    OTHER = "other"
    """Another contender."""
    BOUND = "bound"
    """What can't be had in practice, as an oracle."""
    PLAIN = "plain"
    """A single model, or background."""


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number for the first screen."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences of their own."""

    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `numeric` ones are set to the right."""

    name: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts, as they are to be read.

    Attributes:
        title: What the rows are.
        columns: W columns; the first names the row.
        rows: Each of W texts.
        note: What a reader must know, under the table.
        strong: Indexes of the rows that the headline is about.
        narrow: Indexes of the columns that a terminal shows; all if empty.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    strong: frozenset[int] = frozenset()
    narrow: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with the interval that it may lie in; equal ends, or NaN, for none."""

    label: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    tone: Tone = Tone.OTHER


@dataclass(frozen=True, slots=True)
class IntervalBars:
    """Values beside each other, one below the other, in the order given.

    Attributes:
        title: What is shown.
        alt: The same in a sentence, with what it comes to, for who can't see it.
        x_label: Name and unit of the values.
        bars: At least one.
        reference: A value to draw a line at, as that of what is compared with.
    """

    title: str
    alt: str
    x_label: str
    bars: tuple[Bar, ...]
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A curve.

    Attributes:
        name: For the legend.
        x: Of each of its points.
        y: The same; NaN leaves a gap.
        low: Lower ends of a band; none if empty.
        high: Upper ends.
        tone: What it stands for.
        dashed: Whether it is drawn so.
        marked: Whether its points have marks.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    tone: Tone = Tone.OTHER
    dashed: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A mark with its name beside it; `size` from 0 to 1 is its weight."""

    label: str
    x: float
    y: float
    tone: Tone = Tone.PLAIN
    size: float = 0.3


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves and points over two axes.

    Attributes:
        title: What is shown.
        alt: The same in a sentence, for who can't see it.
        x_label: Name and unit.
        y_label: Name and unit.
        lines: The curves.
        points: The marks.
        logarithmic: Whether the x axis is.
    """

    title: str
    alt: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    points: tuple[Point, ...] = ()
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Shares:
    """Rows of shares that sum to 1, as bars of parts beside each other.

    Attributes:
        title: What is shown.
        alt: The same in a sentence, for who can't see it.
        rows: Name of each row.
        parts: Name of each part, the same in every row.
        values: Rows by parts, from 0 to 1.
    """

    title: str
    alt: str
    rows: tuple[str, ...]
    parts: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]


Plot: TypeAlias = IntervalBars | Lines | Shares
Part: TypeAlias = Paragraph | Table | Plot


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a word of the report means."""

    term: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, for a person.

    Attributes:
        title: What was evaluated.
        verdict: The headline in a word.
        headline: The answer, with its interval: the first sentence of every form.
        summary: What else must be known at once, a sentence each.
        figures: Three or four numbers.
        first: The plot on the first screen.
        sections: The rest, in order.
        definitions: How to read it.
        facts: Name and value of what it was made from: data, rows, seed.
    """

    title: str
    verdict: Verdict
    headline: str
    summary: tuple[str, ...] = ()
    figures: tuple[KeyFigure, ...] = ()
    first: Plot | None = None
    sections: tuple[Section, ...] = ()
    definitions: tuple[Definition, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
