"""How each kind of plot is drawn."""

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from evaluation.report.values import Bar, IntervalBars, Line, Lines, Point, Shares, Tone
from evaluation.report.words import UNKNOWN, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which those see apart who see few.
_TONES = {
    Tone.MAIN: "#0072b2",
    Tone.BASE: "#d55e00",
    Tone.OTHER: "#56b4e9",
    Tone.BOUND: "#9aa5b1",
    Tone.PLAIN: "#c3ccd5",
}
_CYCLE = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7785", "#8c564b", "#b3b322")
_PARTS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f9ba8", "#f0e442",
    "#4b5a69", "#a6761d", "#b8d4e8", "#1c2733",
)  # fmt: skip
_WIDTH = 7.4
_LONGEST = 34
_NAME_SIZE = 8.5
# About what the axes of `draw_lines` come to, in points.
_AXES_POINTS = (455.0, 215.0)
_Box: TypeAlias = tuple[float, float, float, float]
"""Left, low, right and high ends, in points."""


def draw_bars(plot: IntervalBars) -> "Figure":
    """Draws horizontal bars, each with its value and a whisker over its interval."""
    figure, axes = _axes(0.34 * len(plot.bars) + 0.75)
    places = range(len(plot.bars))
    for place, bar in zip(places, plot.bars, strict=True):
        if math.isfinite(bar.value):
            axes.barh(place, bar.value, height=0.68, color=_TONES[bar.tone])
            _whisker(axes, place, bar)
    axes.set_yticks(places, [_short(bar.label) for bar in plot.bars])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.12 * max(_far_end(bar) for bar in plot.bars) or 1)
    for place, bar in zip(places, plot.bars, strict=True):
        _value(axes, place, bar)
    if plot.reference is not None and math.isfinite(plot.reference):
        axes.axvline(plot.reference, color=_TONES[Tone.BASE], linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_xlabel(printable(plot.x_label))
    return figure


def draw_lines(plot: Lines) -> "Figure":
    """Draws curves, their bands, and named points."""
    figure, axes = _axes(4.2)
    axes.grid(visible=True)
    for place, line in enumerate(plot.lines):
        _line(axes, line, _CYCLE[place % len(_CYCLE)])
    for point in plot.points:
        axes.scatter(
            [point.x], [point.y], s=16 + 150 * point.size, color=_point_colour(point), zorder=4,
            edgecolors="white", linewidths=0.6,
        )  # fmt: skip
    if plot.logarithmic:
        _set_logarithmic(axes)
    axes.margins(0.06)
    axes.set_xlabel(printable(plot.x_label))
    axes.set_ylabel(printable(plot.y_label))
    _name_points(axes, plot.points)
    if plot.lines:
        figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def draw_shares(plot: Shares) -> "Figure":
    """Draws a bar of parts for every row."""
    figure, axes = _axes(0.36 * len(plot.rows) + 0.75 + 0.2 * math.ceil(len(plot.parts) / 2))
    places = range(len(plot.rows))
    starts = [0.0] * len(plot.rows)
    for index, part in enumerate(plot.parts):
        widths = [row[index] for row in plot.values]
        colour = _PARTS[index % len(_PARTS)]
        axes.barh(places, widths, left=starts, height=0.72, color=colour, label=_legend(part))
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    axes.set_yticks(places, [_short(row) for row in plot.rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _axes(height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _set_logarithmic(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _whisker(axes: "Axes", place: int, bar: Bar) -> None:
    if _known(bar):
        ends = [[max(bar.value - bar.low, 0.0)], [max(bar.high - bar.value, 0.0)]]
        axes.errorbar(
            [bar.value], [place], xerr=ends, color="#1c2733", capsize=2.5, linewidth=1.1,
            fmt="none",
        )  # fmt: skip


def _value(axes: "Axes", place: int, bar: Bar) -> None:
    text = f"{bar.value:.1f}" if math.isfinite(bar.value) else UNKNOWN
    weight = "bold" if bar.tone in (Tone.MAIN, Tone.BASE) else "normal"
    axes.annotate(
        text, (_far_end(bar), place), xytext=(5, 0), textcoords="offset points", va="center",
        fontsize=9.5, fontweight=weight, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
    )  # fmt: skip


def _known(bar: Bar) -> bool:
    return math.isfinite(bar.low) and math.isfinite(bar.high) and bar.low < bar.high


def _far_end(bar: Bar) -> float:
    if not math.isfinite(bar.value):
        return 0.0
    return max(bar.value, bar.high, 0.0) if _known(bar) else max(bar.value, 0.0)


def _line(axes: "Axes", line: Line, colour: str) -> None:
    drawn = _TONES[line.tone] if line.tone in (Tone.BASE, Tone.BOUND) else colour
    width, style = (1.4, (0, (4, 3))) if line.dashed else (2.0, "-")
    axes.plot(
        line.x, line.y, color=drawn, label=_legend(line.name), linewidth=width, linestyle=style,
        marker="o" if line.marked else None, markersize=4,
    )  # fmt: skip
    if line.low and line.high:
        axes.fill_between(line.x, line.low, line.high, color=drawn, alpha=0.15, linewidth=0)


def _point_colour(point: Point) -> str:
    return "#5f6b78" if point.tone is Tone.PLAIN else _TONES[point.tone]


def _name_points(axes: "Axes", points: tuple[Point, ...]) -> None:
    """Writes each name where it covers no other, right of its point if it can."""
    axes.set_xlim(axes.get_xlim())
    axes.set_ylim(axes.get_ylim())
    to_share = axes.transScale + axes.transLimits
    taken: list[_Box] = []
    for point in sorted(points, key=lambda each: -each.y):
        if point.label:
            at = to_share.transform((point.x, point.y))
            name = _short(point.label)
            offset, alignment = _place(float(at[0]), float(at[1]), name, taken)
            axes.annotate(
                name, (point.x, point.y), xytext=offset, textcoords="offset points",
                ha=alignment, va="center", fontsize=_NAME_SIZE, zorder=5,
            )  # fmt: skip


def _place(
    across: float, up: float, name: str, taken: list[_Box]
) -> tuple[tuple[float, float], Literal["left", "right"]]:
    """Returns the first offset that is free, or the first of all, and takes its box."""
    x, y = across * _AXES_POINTS[0], up * _AXES_POINTS[1]
    width, height = 0.6 * _NAME_SIZE * len(name), 1.15 * _NAME_SIZE
    boxes: list[tuple[_Box, tuple[float, float], Literal["left", "right"]]] = []
    for rise in (0.0, 9.0, -9.0, 18.0, -18.0, 27.0, -27.0):
        middle = y + rise
        right = (x + 7, middle - height / 2, x + 7 + width, middle + height / 2)
        left = (x - 7 - width, middle - height / 2, x - 7, middle + height / 2)
        boxes += [(right, (7.0, rise), "left"), (left, (-7.0, rise), "right")]
    inside = [each for each in boxes if each[0][0] >= 0 and each[0][2] <= _AXES_POINTS[0]]
    free = (each for each in inside if not any(_overlap(each[0], other) for other in taken))
    box, offset, alignment = next(free, (inside or boxes)[0])
    taken.append(box)
    return offset, alignment


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _short(text: str) -> str:
    shown = printable(text)
    if len(shown) <= _LONGEST:
        return shown
    # Names of models differ at their ends.
    return f"{shown[: _LONGEST // 3]}…{shown[1 + _LONGEST // 3 - _LONGEST :]}"


def _legend(text: str) -> str:
    """A label that matplotlib doesn't leave out for an underscore at its beginning."""
    return "\u200b" + _short(text) if text.startswith("_") else _short(text)
