"""Runs the modules of the suite, each on its own account."""

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.speed.machine import machine, versions
from benchmarks.speed.timing import Effort
from evaluation.report import print_report
from evaluation.speed import Figure, Record, read_record, run_report, write_record

TOPICS = (
    "estimators",
    "memory",
    "pauses",
    "encoder",
    "wire",
    "overload",
    "services",
    "start",
    "growth",
)
"""The modules of this folder that measure, in the order of the page."""

Measure = Callable[[Effort], list[Figure]]


def run_suite(
    topics: Sequence[str], effort: Effort, load: Callable[[str], Measure] | None = None
) -> Record:
    """Runs modules one after the other, and says how far it is; one that fails loses no other.

    Args:
        topics: Names of modules of this folder.
        effort: How thoroughly they measure.
        load: Returns what measures a topic; by default the module in a process of its own.
    """
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    figures: dict[str, Figure] = {}
    failed = []
    for topic in topics:
        began = time.perf_counter()
        try:
            new = _named((load or load_topic)(topic)(effort), figures)
        except Exception:  # noqa: BLE001 — whatever it is, the others are to run
            traceback.print_exc()
            failed.append(topic)
            print(f"{topic}: FAILED after {time.perf_counter() - began:.0f} s", flush=True)
        else:
            figures |= new
            seconds = time.perf_counter() - began
            print(f"{topic}: {len(new)} figures in {seconds:.0f} s", flush=True)
    found = tuple(figures.values())
    return Record(began_at, machine(), versions(), found, effort.quick, tuple(failed))


def load_topic(topic: str) -> Measure:
    """Returns what measures a topic in a process of its own, where no other left threads behind."""

    def measure(effort: Effort) -> list[Figure]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record.json"
            command = [sys.executable, "-m", f"benchmarks.speed.{topic}", "--json", str(file)]
            if effort.quick:
                command.append("--quick")
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 — our own
            return list(read_record(file).figures)

    return measure


def run_alone(measure: Measure, options: argparse.Namespace | None = None) -> None:
    """Runs one module as a command; prints its table.

    Args:
        measure: The module.
        options: Has the flags of `add_common`; those of the command line where it is not given.
    """
    options = options or common_options()
    record = run_suite((Path(sys.argv[0]).stem,), Effort(quick=options.quick), lambda _: measure)
    print_report(run_report(record), Console())
    if options.json:
        write_record(options.json, record)
    raise SystemExit(1 if record.failed else 0)


def common_options() -> argparse.Namespace:
    """Reads the command line of a module that has no flags of its own."""
    parser = argparse.ArgumentParser()
    add_common(parser)
    return parser.parse_args()


def add_common(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that every command of this folder has."""
    parser.add_argument("--quick", action="store_true", help="not to be quoted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")


def _named(new: Sequence[Figure], known: dict[str, Figure]) -> dict[str, Figure]:
    """Returns figures by name.

    Raises:
        ValueError: A name stands for two figures, or there is none.
    """
    if not new:
        raise ValueError("the module measured nothing")
    for name in _repeated([*known, *(each.name for each in new)]):
        raise ValueError(f"the name {name} stands for two figures")
    return {each.name: each for each in new}


def _repeated(names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if names.count(name) > 1)
