"""What benchmarks measured: figures, each a ratio to a reference of the same run."""

from evaluation.speed.compare import (
    DEFAULT_THRESHOLD,
    Change,
    Comparison,
    TargetChange,
    Verdict,
    compare,
)
from evaluation.speed.files import read_record, write_record
from evaluation.speed.page import comparison_report, markdown_section, run_report
from evaluation.speed.record import Figure, Record, Spread, Target
from evaluation.speed.tables import figure_table, markdown_table

__all__ = [
    "DEFAULT_THRESHOLD",
    "Change",
    "Comparison",
    "Figure",
    "Record",
    "Spread",
    "Target",
    "TargetChange",
    "Verdict",
    "compare",
    "comparison_report",
    "figure_table",
    "markdown_section",
    "markdown_table",
    "read_record",
    "run_report",
    "write_record",
]
