"""A report that a manager can read: one page, and the same figures for programs.

Both evaluations, of routing and of generations, say what they found as a `Report`; this
room turns it into a self-contained page, tables in a terminal, JSON and CSV. It knows
nothing of models or metrics. See `docs/evaluate.md`.

>>> from evaluation.report import Report, Verdict
>>> report = Report(title="Routing", verdict=Verdict.NO, headline="No: it is no better.")
>>> "No: it is no better." in render_html(report)
True
"""

from evaluation.report.files import csv_lines, json_value, write_csv, write_json, write_page
from evaluation.report.html import render_html
from evaluation.report.plots import render_svg
from evaluation.report.terminal import print_report, terminal_table
from evaluation.report.values import (
    Bar,
    Column,
    Definition,
    IntervalBars,
    KeyFigure,
    Line,
    Lines,
    Paragraph,
    Part,
    Plot,
    Point,
    Report,
    Section,
    Shares,
    Table,
    Tone,
    Verdict,
)
from evaluation.report.words import cost, percent, points, printable, seconds, signed_points, spread

__all__ = [
    "Bar",
    "Column",
    "Definition",
    "IntervalBars",
    "KeyFigure",
    "Line",
    "Lines",
    "Paragraph",
    "Part",
    "Plot",
    "Point",
    "Report",
    "Section",
    "Shares",
    "Table",
    "Tone",
    "Verdict",
    "cost",
    "csv_lines",
    "json_value",
    "percent",
    "points",
    "print_report",
    "printable",
    "render_html",
    "render_svg",
    "seconds",
    "signed_points",
    "spread",
    "terminal_table",
    "write_csv",
    "write_json",
    "write_page",
]
