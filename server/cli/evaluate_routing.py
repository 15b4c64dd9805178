"""`pointsman evaluate routing`: does routing beat always calling the best model, and is it sure?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.delivery import failure, progress_bar, show_bad_rows
from server.cli.flags import PolicyName
from server.cli.report_folder import default_cache, deliver_report, require_folder

if TYPE_CHECKING:
    from evaluation.routers import Applied, Contender, RoutingEvaluation
    from evaluation.scores import ScoreFields, ScoreTable
    from server.cli.evaluate_contenders import Bench

_ON_THE_SPOT = "Routers that are learned on the spot"


def routing(
    *,
    data: Annotated[
        list[Path], typer.Option(help="Prompts with scores, to measure on; may be repeated.")
    ],
    training: Annotated[
        list[Path] | None,
        typer.Option(help="Scores that the best single model is found on; may be repeated."),
    ] = None,
    router: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="A trained router; may be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method to learn a router by, from --training; may be repeated.",
            rich_help_panel=_ON_THE_SPOT,
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            help="Directory of their encoder; the embedded one if none.",
            rich_help_panel=_ON_THE_SPOT,
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="How a model is chosen, as in sample:temperature=0.1; arg-max if none.",
        ),
    ] = None,
    main: Annotated[
        str, typer.Option(help="The router, chosen beforehand, that the answer is about.")
    ] = "",
    count_positive: Annotated[
        list[str] | None,
        typer.Option(help="In this task any score above 0 counts as right; may be repeated."),
    ] = None,
    cost: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL=NUMBER", help="Cost of a call; may be repeated."),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Score from which a router counts as confident of a model.")
    ] = 0.5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json and CSV files.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON in place of tables.")
    ] = False,
    prompt_field: Annotated[str, typer.Option(help="Name of the prompt.")] = "prompt",
    task_field: Annotated[str, typer.Option(help="Name of the task.")] = "task",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Measure only on the first prompts.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and intervals.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps vectors of prompts from run to run.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no vectors.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Say whether routing beats always calling the best model here, by how much, and how surely."""
    from encoders.errors import EncodersError
    from evaluation.errors import EvaluationError
    from evaluation.routers import evaluation_record, routing_page, sheets_of
    from evaluation.scores import ScoreFields
    from scoring.errors import ScoringError
    from server.cli.evaluate_contenders import named_costs, named_directories
    from server.cli.evaluate_methods import learned_contenders, require_methods

    directories, costs = named_directories(router or []), named_costs(cost or [])
    require_methods(method or [], [*directories], trained=bool(training))
    require_folder(out)
    fields = ScoreFields(prompt_field, task_field)
    measured = _read(data, fields, limit, strict=strict)
    known = _read(training, fields, None, strict=strict) if training else None
    asked = _Asked(
        tuple(policy or [PolicyName.ARG_MAX.value]), tuple(count_positive or ()), costs, seed,
        None if no_cache else cache or default_cache(),
    )  # fmt: skip
    try:
        bench, policies = asked.prepared(measured, known)
        contenders = [
            *_loaded(directories, bench),
            *learned_contenders(method or [], encoder, bench, seed),
        ]
        _require_main(main, contenders)
        found = asked.evaluated(bench, contenders, policies, main, confidence)
    except (EncodersError, EvaluationError, ScoringError) as error:
        raise failure(str(error)) from None
    page = routing_page(found, _facts(data, training or [], bench))
    deliver_report(page, evaluation_record(found), sheets_of(found), out, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What holds for every router.

    Attributes:
        policies: As they were written.
        positive_tasks: Tasks in which a score above 0 counts as 1.
        costs: Of a call, by model.
        seed: Of draws and intervals.
        cache: Folder of vectors; None for none.
    """

    policies: tuple[str, ...]
    positive_tasks: tuple[str, ...]
    costs: "Mapping[str, float]"
    seed: int
    cache: Path | None

    def prepared(
        self, measured: "ScoreTable", known: "ScoreTable | None"
    ) -> "tuple[Bench, tuple[Applied, ...]]":
        """Checks before anything is encoded what could only fail after it."""
        from evaluation.routers.practice import Practice
        from evaluation.ways import TaskRows, means_with_unseen_tasks
        from server.cli.evaluate_contenders import Bench, Vectors
        from server.cli.evaluate_policies import applied_policies, needs_practice

        rows = TaskRows.of(measured, self.positive_tasks)
        means_with_unseen_tasks(rows, known, self.positive_tasks)
        practice = None
        if known is not None:
            practice = Practice.of(known, measured.models, self.positive_tasks)
        policies = applied_policies(self.policies, self.seed, practice)
        practise = needs_practice(self.policies)
        vectors = Vectors(self.cache)
        return Bench(measured, known, practice, self.costs, vectors, practise), policies

    def evaluated(
        self,
        bench: "Bench",
        contenders: "Sequence[Contender]",
        policies: "Sequence[Applied]",
        main: str,
        confidence: float,
    ) -> "RoutingEvaluation":
        """Measures the routers."""
        from evaluation.routers import evaluate_routers

        with progress_bar("Measuring") as report:
            return evaluate_routers(
                bench.table_with_costs(contenders), contenders, policies, self.positive_tasks,
                training=bench.training, main=main, confidence=confidence, seed=self.seed,
                progress=report,
            )  # fmt: skip


def _require_main(main: str, contenders: "Sequence[Contender]") -> None:
    names = [each.name for each in contenders]
    if main and main not in names:
        raise typer.BadParameter(f"--main {main}: the routers are {', '.join(names) or 'none'}.")


def _read(
    files: "Sequence[Path]", fields: "ScoreFields", limit: int | None, *, strict: bool
) -> "ScoreTable":
    from evaluation.errors import EvaluationError
    from evaluation.scores import read_scores

    try:
        reading = read_scores(files, fields, strict=strict)
    except EvaluationError as error:
        raise failure(str(error)) from None
    show_bad_rows(reading.bad_rows)
    if not len(reading.table):
        raise failure("No prompt with scores is readable; see --help for how to name the fields.")
    count = len(reading.table)
    return reading.table if limit is None or limit >= count else reading.table.rows(range(limit))


def _loaded(directories: "Mapping[str, Path]", bench: "Bench") -> "Iterator[Contender]":
    from server.cli.evaluate_contenders import artefact_contender

    for name, directory in directories.items():
        yield artefact_contender(name, directory, bench)


def _facts(
    data: "Sequence[Path]", training: "Sequence[Path]", bench: "Bench"
) -> "list[tuple[str, str]]":
    facts = [
        ("Data", ", ".join(each.name for each in data)),
        ("Prompts", f"{len(bench.table):,}"),
        ("Fingerprint of the data", bench.table.fingerprint),
    ]
    if bench.training is not None:
        facts.append(("Training rows", f"{len(bench.training):,}"))
        facts.append(("Found in", ", ".join(each.name for each in training)))
    return facts
