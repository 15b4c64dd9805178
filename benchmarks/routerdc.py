"""Accuracy of trained routers on RouterDC's data, per test file and on average.

    python -m benchmarks.routerdc FOLDER ROUTER... [--test test-even] [--out REPORT.json]
    python -m benchmarks.routerdc FOLDER ROUTER --server unix:/run/pointsman.sock --name default

FOLDER holds `train/` and the folder of test files, in RouterDC's own JSON. Nothing is trained
here: each ROUTER is an artefact, say one per seed. With --server, RoutePrompt is asked about every
test prompt as well, and the choices that differ from the offline ones are counted.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from encoders.artefact.bundle import Artefact
from evaluation.bootstrap import Interval
from evaluation.routing import RoutingReport, Way, accuracy, model_indexes
from evaluation.routing_tables import report_record, routing_tables
from evaluation.scores import ScoreTable, read_scores
from scoring.policies import ArgMax
from server.cli.offline_router import OfflineRouter, encode
from server.cli.remote_router import RemoteRouter
from server.cli.wanted import Wanted

POSITIVE = ("mmlu", "cmmlu", "arc_challenge")
"""The chosen model is right where its score, an option's probability, is above 0."""
WANTED = Wanted(ArgMax())


def main() -> None:
    arguments = parse()
    training = read(arguments.folder / "train")
    test = read(arguments.folder / arguments.test)
    print(f"{len(training)} training rows, {len(test)} test rows of {arguments.test}")
    reports = {}
    for directory in arguments.routers:
        choices = route_offline(directory, test)
        reports[str(directory)] = report = measure(test, choices, training)
        print_report(directory, report)
        if arguments.server:
            compare(RemoteRouter(arguments.server, arguments.name), test, choices)
    print_summary(list(reports.values()))
    if arguments.out:
        records = {name: report_record(report) for name, report in reports.items()}
        arguments.out.write_text(json.dumps(records, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("routers", type=Path, nargs="+")
    parser.add_argument("--test", default="test-even")
    parser.add_argument("--server", help="also ask this address")
    parser.add_argument("--name", default="", help="of the router on the server")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    return parser.parse_args()


def read(folder: Path) -> ScoreTable:
    return read_scores([folder], strict=True).table


def route_offline(directory: Path, test: ScoreTable) -> list[str]:
    """The model that the artefact chooses for each prompt, by the code that serves."""
    router = OfflineRouter.load(directory)
    vectors, truncated = encode(router.encoder, test.prompts, print_progress)
    print(f"\r{directory}: {truncated} prompts are longer than the encoder reads")
    return [decision.model for decision in router.route(vectors, WANTED)]


def print_progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} prompts encoded", end="", flush=True)


def measure(test: ScoreTable, choices: Sequence[str], training: ScoreTable) -> RoutingReport:
    return accuracy(test, model_indexes(test, choices), POSITIVE, training=training)


def print_report(directory: Path, report: RoutingReport) -> None:
    manifest = Artefact.load(directory).manifest
    seed = manifest.method.get("seed", "unknown")
    print(f"\n{directory}: {manifest.kind}, seed {seed}, encoder {manifest.encoder.name}")
    Console(width=160).print(routing_tables(report))


def compare(remote: RemoteRouter, test: ScoreTable, choices: Sequence[str]) -> None:
    """Counts the prompts for which the server chooses another model."""
    results = asyncio.run(remote.route(test.prompts, WANTED))
    differing = [
        (prompt, offline, result)
        for prompt, offline, result in zip(test.prompts, choices, results, strict=True)
        if result.model != offline
    ]
    revisions = {result.router_revision for result in results}
    print(
        f"The server ({', '.join(sorted(revisions))}) chose another model for {len(differing)} "
        f"of {len(test)} prompts."
    )
    for prompt, offline, result in differing[:10]:
        print(f"  {prompt[:60]!r}: {result.model} for {offline}, margin {result.margin}")


def print_summary(reports: Sequence[RoutingReport]) -> None:
    """A line per task: what the routers reach, least, mean and most, beside the baselines."""
    first = reports[0]
    print(f"\n{len(reports)} routers, accuracy in %")
    print(f"{'task':<16}{'mean':>8}{'least':>8}{'most':>8}{'best single':>14}{'per task':>10}")
    rows: list[tuple[int | None, str]] = [*enumerate(first.tasks), (None, "average")]
    for index, name in rows:
        reached = [interval(report.chosen, index).mean for report in reports]
        known = (first.best_single, first.task_best)
        single, per_task = (interval(way, index).mean for way in known)
        figures = 100 * np.array([np.mean(reached), min(reached), max(reached), single, per_task])
        widths = (8, 8, 8, 14, 10)
        row = "".join(f"{each:{width}.2f}" for each, width in zip(figures, widths, strict=True))
        print(f"{name:<16}{row}")


def interval(way: Way, index: int | None) -> Interval:
    """Of one task, or of the average."""
    return way.average if index is None else way.tasks[index]


if __name__ == "__main__":
    main()
