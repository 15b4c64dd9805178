"""Runs the whole suite: `python -m benchmarks.speed --json FILE --write benchmarks/RESULTS.md`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.speed.report import replace_section
from benchmarks.speed.suite import TOPICS, add_common, run_suite
from benchmarks.speed.timing import Effort
from evaluation.report import print_report
from evaluation.speed import markdown_section, run_report, write_record


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns 1 if a module failed."""
    options = _parser().parse_args(arguments)
    if options.write and options.only:
        print("--write takes whole runs: leave --only out.", file=sys.stderr)
        return 2
    record = run_suite(options.only or TOPICS, Effort(quick=options.quick))
    print_report(run_report(record), Console())
    if options.json:
        write_record(options.json, record)
    if options.write:
        replace_section(options.write, markdown_section(record))
    return 1 if record.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    add_common(parser)
    parser.add_argument("--only", nargs="+", choices=TOPICS, metavar="TOPIC", help=str(TOPICS))
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page of measurements")
    return parser


if __name__ == "__main__":
    sys.exit(main())
