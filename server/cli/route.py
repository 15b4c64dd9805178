"""`pointsman route`: which model should answer each of many prompts."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from server.cli.delivery import (
    STANDARD_OUTPUT,
    deliver_lines,
    failure,
    progress_bar,
    require_writable,
    show_bad_rows,
)
from server.cli.flags import PolicyName

if TYPE_CHECKING:
    from evaluation.routed import RoutedPrompt
    from evaluation.routing import RoutingReport
    from evaluation.scores import PromptReading, ScoreFields, ScoreTable
    from server.cli.remote_router import RemoteRouter
    from server.cli.wanted import Wanted


def route(
    *,
    router: Annotated[
        str,
        typer.Option(
            help="Directory of a trained router; with --address, name of the server's router."
        ),
    ] = "",
    address: Annotated[
        str, typer.Option(help="Server to ask, host:port or unix:/path; none to route offline.")
    ] = "",
    data: Annotated[
        list[Path] | None,
        typer.Option(help="JSONL, CSV or Parquet, or text by the line; may be repeated."),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A prompt itself; may be repeated.")
    ] = None,
    prompt_field: Annotated[str, typer.Option(help="Name of the prompt.")] = "prompt",
    task_field: Annotated[str, typer.Option(help="Name of the task.")] = "task",
    policy: Annotated[
        PolicyName, typer.Option(help="How a model is chosen from the scores.")
    ] = PolicyName.ARG_MAX,
    temperature: Annotated[float | None, typer.Option(help="Of --policy sample.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Of --policy budget.")] = None,
    penalty: Annotated[float | None, typer.Option(help="Of --policy cost-penalty.")] = None,
    strong: Annotated[str | None, typer.Option(help="Of --policy threshold.")] = None,
    weak: Annotated[str | None, typer.Option(help="Of --policy threshold.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of --policy threshold.")] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Of the confident policies: the score that a confident model has."),
    ] = None,
    among: Annotated[
        int | None,
        typer.Option(min=1, help="Of --policy random-confident: the best to draw among else."),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(help="Of --policy first-confident, best first; may be repeated."),
    ] = None,
    prediction: Annotated[
        Path | None, typer.Option(help="Of --policy nearest-confidence: what `calibrate` wrote.")
    ] = None,
    candidates: Annotated[
        list[str] | None, typer.Option(help="Only this model may be called; may be repeated.")
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(help="This model may not be called; may be repeated.")
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File for a line of JSON per prompt; - for standard output.")
    ] = STANDARD_OUTPUT,
    digits: Annotated[
        int | None, typer.Option(min=0, max=17, help="Decimals to round to; all if none.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="File for the accuracy as JSON, where the data has scores.")
    ] = None,
    count_positive: Annotated[
        list[str] | None,
        typer.Option(help="In this task any score above 0 counts as right; may be repeated."),
    ] = None,
    training: Annotated[
        list[Path] | None,
        typer.Option(help="Scores that the best single model is found on; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of sampling and of the intervals.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Route only the first prompts.")] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Calls to the server at a time.")
    ] = 8,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a call may take.")] = 30.0,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Choose a model for each prompt, offline or by a server, and say how good the choices are."""
    from evaluation.routed import routed_lines
    from evaluation.scores import ScoreFields
    from server.cli.remote_router import RemoteRouter
    from server.cli.wanted import Wanted, rule_of

    if not router and not address:
        raise typer.BadParameter("Name a router, --router DIR, or a server, --address.")
    for each in (out, report):
        require_writable(each, data or [])
    parameters = {
        "temperature": temperature, "max_cost": max_cost, "penalty": penalty,
        "strong": strong, "weak": weak, "threshold": threshold,
        "confidence": confidence, "among": among, "prefer": prefer, "prediction": prediction,
    }  # fmt: skip
    wanted = Wanted(
        rule_of(policy, parameters, seed), tuple(candidates or ()), frozenset(deny or ())
    )
    fields = ScoreFields(prompt_field, task_field)
    reading = _read(data or [], prompt or [], fields, strict=strict).first(limit)
    known = _training_table(training or [], fields)
    measure = _Measure.of(reading, count_positive or [], known, report, seed)
    if address:
        remote = RemoteRouter(address, router, concurrency, timeout)
        routed = _routed_remotely(remote, reading, wanted)
    else:
        routed = _routed_offline(Path(router), reading, wanted)
    deliver_lines(routed_lines(routed, digits), out)
    _report(routed, measure.report(routed) if measure else None, out, report)


@dataclass(frozen=True, slots=True, eq=False)
class _Measure:
    """What accuracy is measured on, known to fit before anything is encoded."""

    table: "ScoreTable"
    positive_tasks: Sequence[str]
    training: "ScoreTable | None"
    seed: int

    @classmethod
    def of(
        cls,
        reading: "PromptReading",
        positive_tasks: Sequence[str],
        training: "ScoreTable | None",
        report: Path | None,
        seed: int,
    ) -> Self | None:
        """Checks the flags against the data; None where the data has no scores."""
        from evaluation.errors import EvaluationError
        from evaluation.ways import TaskRows, reference_means

        if reading.table is None:
            if report is not None:
                raise failure("The data has no scores, so there is no accuracy to report.")
            return None
        try:
            reference_means(TaskRows.of(reading.table, positive_tasks), training, positive_tasks)
        except EvaluationError as error:
            raise failure(str(error)) from None
        return cls(reading.table, positive_tasks, training, seed)

    def report(self, routed: "Sequence[RoutedPrompt]") -> "RoutingReport":
        """Measures choices."""
        from evaluation.errors import EvaluationError
        from evaluation.routing import accuracy, model_indexes

        try:
            choices = model_indexes(self.table, [each.model for each in routed])
            return accuracy(
                self.table, choices, self.positive_tasks, training=self.training, seed=self.seed
            )
        except EvaluationError as error:
            raise failure(str(error)) from None


def _read(
    data: Sequence[Path], prompts: Sequence[str], fields: "ScoreFields", *, strict: bool
) -> "PromptReading":
    from evaluation.errors import EvaluationError
    from evaluation.scores import PromptReading, read_prompts

    if bool(data) == bool(prompts):
        raise typer.BadParameter("Give prompts, either as files, --data, or as --prompt.")
    if prompts:
        return PromptReading(tuple(prompts), ("",) * len(prompts), None, ())
    try:
        reading = read_prompts(data, fields, strict=strict)
    except EvaluationError as error:
        raise failure(str(error)) from None
    show_bad_rows(reading.bad_rows)
    if not reading.prompts:
        raise failure("No prompt is readable; see --help for how to name the fields.")
    return reading


def _routed_offline(
    directory: Path, reading: "PromptReading", wanted: "Wanted"
) -> "list[RoutedPrompt]":
    from encoders.errors import EncodersError
    from scoring.errors import ScoringError
    from server.cli.offline_router import OfflineRouter, encode, routed_prompt

    try:
        router = OfflineRouter.load(directory)
        with progress_bar("Encoding") as report:
            vectors, truncated = encode(router.encoder, reading.prompts, report)
        decisions = router.route(vectors, wanted)
    except (EncodersError, ScoringError) as error:
        raise failure(str(error)) from None
    if truncated:
        typer.echo(f"{truncated} prompts were longer than the encoder reads.", err=True)
    return list(map(routed_prompt, reading.prompts, reading.tasks, decisions))


def _routed_remotely(
    remote: "RemoteRouter", reading: "PromptReading", wanted: "Wanted"
) -> "list[RoutedPrompt]":
    from pointsman.client import PointsmanError
    from server.cli.remote_router import routed_result

    try:
        with progress_bar("Routing") as report:
            results = asyncio.run(remote.route(reading.prompts, wanted, report))
    except (PointsmanError, ValueError) as error:
        raise failure(str(error)) from None
    if truncated := sum(each.prompt_truncated for each in results):
        typer.echo(f"{truncated} prompts were longer than the encoder reads.", err=True)
    return list(map(routed_result, reading.prompts, reading.tasks, results))


def _training_table(files: Sequence[Path], fields: "ScoreFields") -> "ScoreTable | None":
    from evaluation.errors import EvaluationError
    from evaluation.scores import read_scores

    if not files:
        return None
    try:
        reading = read_scores(files, fields)
    except EvaluationError as error:
        raise failure(str(error)) from None
    show_bad_rows(reading.bad_rows)
    return reading.table


def _report(
    routed: "Sequence[RoutedPrompt]",
    measured: "RoutingReport | None",
    out: Path,
    report: Path | None,
) -> None:
    from rich.console import Console

    from evaluation.routing_tables import calls_table, report_record, routing_tables

    console = Console(stderr=out == STANDARD_OUTPUT)
    if measured is not None:
        console.print(routing_tables(measured))
    elif len(routed) > 1:
        console.print(calls_table([each.model for each in routed]))
    if report is not None and measured is not None:
        deliver_lines([json.dumps(report_record(measured), indent=2) + "\n"], report)
