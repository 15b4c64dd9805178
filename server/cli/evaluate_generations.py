"""`pointsman evaluate generations`: does choosing among answers beat always calling the best?"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.delivery import failure, progress_bar, show_bad_rows
from server.cli.report_folder import default_cache, deliver_report, require_folder

if TYPE_CHECKING:
    from evaluation.generations import FieldMapping
    from evaluation.judging.embedded import EmbeddedAnswers
    from evaluation.judging.pairwise import PairwiseWins
    from evaluation.judging.study import GenerationStudy, Plan
    from evaluation.preferences import JudgedAnswers
    from evaluation.texts import Progress, TextEncoder

_FIELDS = "Names of fields"
_RANKERS = "Rankers that compare answers two at a time"


def generations(
    *,
    judged: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder as AlpacaEval's: model_outputs.json and annotations.json per model.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, help="JSONL with a quality per answer, or RouterBench's CSV; repeatable."
        ),
    ] = None,
    voter: Annotated[
        list[str] | None, typer.Option(help="Keep only this voter's answers; may be repeated.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Measure only on the first prompts.")
    ] = None,
    neighbours: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Prompts that Smoothie-Local rests on; 5 and 20 if none."),
    ] = None,
    labels: Annotated[
        int, typer.Option(min=0, help="Labelled prompts that labelled ways learn from; 0 for none.")
    ] = 50,
    label_neighbours: Annotated[
        int, typer.Option(min=1, help="Labelled prompts nearest to each that are looked at.")
    ] = 10,
    repeats: Annotated[
        int, typer.Option(min=1, help="How often labelled prompts are drawn anew.")
    ] = 5,
    pools: Annotated[
        int, typer.Option(min=0, help="Random pools of some of the voters to try; 0 for none.")
    ] = 30,
    pool_size: Annotated[int, typer.Option(min=2, help="Voters in a pool.")] = 5,
    pair_ranker: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Directory of a pairwise ranker such as PairRM.",
            rich_help_panel=_RANKERS,
        ),
    ] = None,
    judge_url: Annotated[
        str,
        typer.Option(
            help="OpenAI-compatible endpoint of a judge, as in http://host:8000/v1.",
            rich_help_panel=_RANKERS,
        ),
    ] = "",
    judge_model: Annotated[
        str, typer.Option(help="Name of the judge there.", rich_help_panel=_RANKERS)
    ] = "",
    judge_key_variable: Annotated[
        str,
        typer.Option(
            help="Environment variable that holds the judge's key.", rich_help_panel=_RANKERS
        ),
    ] = "",
    prompt_field: Annotated[
        str, typer.Option(help="Dotted name of the prompt.", rich_help_panel=_FIELDS)
    ] = "prompt",
    generations_field: Annotated[
        str,
        typer.Option(
            help="Dotted name of a record's answers, where it has several.",
            rich_help_panel=_FIELDS,
        ),
    ] = "generations",
    voter_field: Annotated[
        str, typer.Option(help="Dotted name of who answered.", rich_help_panel=_FIELDS)
    ] = "voter",
    text_field: Annotated[
        str, typer.Option(help="Dotted name of the answer.", rich_help_panel=_FIELDS)
    ] = "text",
    quality_field: Annotated[
        str, typer.Option(help="Dotted name of its quality, 0 to 1.", rich_help_panel=_FIELDS)
    ] = "quality",
    encoder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of an ONNX encoder; the embedded one if none.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json and CSV files.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON in place of tables.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and intervals.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps vectors of texts from run to run.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no vectors.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail at the first bad row.")] = False,
) -> None:
    """Say whether choosing among answers beats always taking the best model's, and how surely."""
    from encoders.errors import EncodersError
    from evaluation.errors import EvaluationError
    from evaluation.generations import FieldMapping
    from evaluation.judging.page import generation_record, generation_report, generation_sheets
    from evaluation.judging.study import Plan

    if not judged and not data:
        raise typer.BadParameter("Name judged answers, --judged FOLDER or --data FILE.")
    require_folder(out)
    fields = FieldMapping(prompt_field, generations_field, voter_field, text_field, quality_field)
    plan = Plan(
        tuple(dict.fromkeys(neighbours or (5, 20))), labels, label_neighbours, repeats, pools,
        pool_size, seed,
    )  # fmt: skip
    rankers = _Rankers(pair_ranker, judge_url, judge_model, judge_key_variable)
    rankers.require_whole()
    try:
        answers = _read(judged or [], data or [], fields, strict=strict)
        answers = _kept(answers, voter or [], limit)
        kept = None if no_cache else cache or default_cache()
        embedded = _embedded(answers, load_encoder(encoder, kept), plan)
        study = _studied(embedded, plan, list(rankers.compared(answers)))
    except (EncodersError, EvaluationError) as error:
        raise failure(str(error)) from None
    files = ", ".join(each.name for each in [*(judged or []), *(data or [])])
    report = generation_report(study, [("Data", files)])
    sheets = generation_sheets(study)
    deliver_report(report, generation_record(study), sheets, out, as_json=as_json)


def load_encoder(directory: Path | None, cache: Path | None) -> "TextEncoder":
    """Loads the encoder of a folder, or the embedded one, with a memory where one is wanted.

    Raises:
        EncodersError: The folder holds no encoder, or the embedded one is not installed.
    """
    from encoders import SentenceEncoder, embedded_encoder
    from evaluation.vector_cache import CachingEncoder

    home = Path("~/.cache/pointsman").expanduser()
    loaded = SentenceEncoder.load(directory or embedded_encoder(home))
    return loaded if cache is None else CachingEncoder(loaded, cache)


@dataclass(frozen=True, slots=True)
class _Rankers:
    """The pairwise rankers that were asked for."""

    directory: Path | None
    url: str
    model: str
    key_variable: str

    def require_whole(self) -> None:
        """Refuses half a judge."""
        if bool(self.url) != bool(self.model):
            raise typer.BadParameter("A judge takes both --judge-url and --judge-model.")
        if self.key_variable and self.key_variable not in os.environ:
            raise typer.BadParameter(f"The environment has no variable {self.key_variable}.")

    def compared(self, judged: "JudgedAnswers") -> "Iterator[PairwiseWins]":
        """Compares every two answers to every prompt, by each ranker."""
        from evaluation.judging.pairwise import PairwiseWins

        if self.directory is not None:
            from encoders.pairwise import PairRanker

            with progress_bar("Comparing") as report:
                ranker = PairRanker.load(self.directory)
                yield PairwiseWins.of("pairwise ranker", ranker, judged, report)
        if self.url:
            from evaluation.endpoint import Endpoint
            from evaluation.judge import JudgeRanker

            key = os.environ[self.key_variable] if self.key_variable else ""
            judge = JudgeRanker(Endpoint(self.url, key), self.model)
            with judge, progress_bar("Judging") as report:
                yield PairwiseWins.of(f"judge {self.model}", judge, judged, report)


def _read(
    folders: Sequence[Path], files: Sequence[Path], fields: "FieldMapping", *, strict: bool
) -> "JudgedAnswers":
    from evaluation.judging.reading import read_judgements

    reading = read_judgements(folders, files, fields, strict=strict)
    show_bad_rows(reading.bad_rows)
    return reading.judged


def _kept(judged: "JudgedAnswers", voters: Sequence[str], limit: int | None) -> "JudgedAnswers":
    """Keeps some voters and the first prompts, which must leave something to choose from."""
    if unknown := [each for each in voters if each not in judged.voters]:
        raise typer.BadParameter(
            f"No answer is by {unknown[0]}; the voters are {', '.join(judged.voters)}."
        )
    kept = (judged.of(voters) if voters else judged).first(limit)
    if len(kept.voters) < 2:
        raise failure("There is one voter only, so there is nothing to choose.")
    if all(math.isnan(win) for row in kept.wins.tolist() for win in row):
        raise failure("None of the answers that are kept is judged.")
    return kept


def _embedded(judged: "JudgedAnswers", encoder: "TextEncoder", plan: "Plan") -> "EmbeddedAnswers":
    from evaluation.judging.embedded import EmbeddedAnswers

    with progress_bar("Encoding") as report:
        return EmbeddedAnswers.of(judged, encoder, max(plan.neighbours), report)


def _studied(
    embedded: "EmbeddedAnswers", plan: "Plan", pairwise: "Sequence[PairwiseWins]"
) -> "GenerationStudy":
    from contextlib import ExitStack

    from evaluation.judging.study import study_generations

    with ExitStack() as bars:

        def begun(stage: str) -> "Progress":
            bars.close()
            return bars.enter_context(progress_bar(stage))

        return study_generations(embedded, plan, pairwise, begun)
