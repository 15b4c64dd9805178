"""Answers with judgements, from folders and files in any of three shapes.

A folder as AlpacaEval's, with a `model_outputs.json` and an `annotations.json`
per model; RouterBench's tables, with a column `MODEL` of scores and one
`MODEL|model_response` of answers; or records of prompts and answers, wide or long
(see `evaluation.generations`), with a quality beside each answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.errors import UnreadableDataError
from evaluation.generations import (
    Ensemble,
    FieldMapping,
    Generation,
    read_generations,
    voters_of,
)
from evaluation.judging.tables import read_table
from evaluation.preferences import JudgedAnswers, read_judged
from evaluation.rows import BadRow
from evaluation.scores.formats import Format, data_files, format_of

JUDGED = FieldMapping(quality="quality")
"""The fields of records with judgements."""


@dataclass(frozen=True, slots=True)
class JudgedReading:
    """What the files hold.

    Attributes:
        judged: The prompts with their answers and judgements, at least one of each.
        bad_rows: What could not be read, in order.
    """

    judged: JudgedAnswers
    bad_rows: tuple[BadRow, ...]


def read_judgements(
    folders: Sequence[Path] = (),
    files: Sequence[Path] = (),
    fields: FieldMapping = JUDGED,
    *,
    strict: bool = False,
) -> JudgedReading:
    """Reads judged answers, of which every prompt has those of one or more voters.

    Args:
        folders: As AlpacaEval's; only prompts that every model of one answered are kept.
        files: RouterBench's tables as CSV or Parquet, JSONL files or JSON lists; a
            directory stands for those in it.
        fields: Where the parts of a record stand.
        strict: Whether the first bad row ends the reading.

    Raises:
        UnreadableDataError: Nothing is readable, nothing is judged, or there is a bad
            row and `strict` is set.
    """
    ensembles = [each for folder in folders for each in _of_folder(read_judged(folder))]
    named = list(data_files(files))
    tables = [file for file in named if _is_table(file)]
    bad_rows: list[BadRow] = []
    for file in tables:
        found, bad = read_table(file, fields.prompt, strict=strict)
        ensembles += found
        bad_rows += bad
    # Records of one prompt may stand in several files, which are read as one.
    records = [file for file in named if file not in tables]
    reading = read_generations(records, fields, strict=strict)
    ensembles += reading.ensembles
    bad_rows += reading.bad_rows
    if not ensembles and bad_rows:
        raise UnreadableDataError(f"Nothing is readable; the first bad row: {bad_rows[0]}")
    return JudgedReading(judged_answers(ensembles), tuple(bad_rows))


def judged_answers(ensembles: Sequence[Ensemble]) -> JudgedAnswers:
    """Lays ensembles out by voter; the first answer of each voter is the one judged.

    Raises:
        UnreadableDataError: No answer has a quality.
    """
    voters = voters_of(ensembles)
    rows = [_by_voter(each, voters) for each in ensembles]
    wins = np.array([[_quality(each) for each in row] for row in rows], np.float64)
    if not np.isfinite(wins).any():
        raise UnreadableDataError(
            "No answer has a quality; give each one from 0 to 1, or name the field that has it."
        )
    answered = np.array([[bool(each) for each in row] for row in rows])
    further = tuple(tuple(tuple(g.text for g in each[1:]) for each in row) for row in rows)
    return JudgedAnswers(
        voters,
        tuple(each.prompt for each in ensembles),
        tuple(tuple(each[0].text if each else "" for each in row) for row in rows),
        wins,
        None if answered.all() else answered,
        further if any(each for row in further for each in row) else (),
    )


def _by_voter(ensemble: Ensemble, voters: Sequence[str]) -> list[list[Generation]]:
    answers: dict[str, list[Generation]] = {voter: [] for voter in voters}
    for generation in ensemble.generations:
        answers[generation.voter].append(generation)
    return list(answers.values())


def _quality(answers: Sequence[Generation]) -> float:
    known = answers[0].quality if answers else None
    return np.nan if known is None else known


def _of_folder(judged: JudgedAnswers) -> Iterator[Ensemble]:
    for prompt, texts, wins in zip(judged.prompts, judged.texts, judged.wins, strict=True):
        answers = zip(judged.voters, texts, wins.tolist(), strict=True)
        generations = (
            Generation(voter, text, None if np.isnan(win) else win) for voter, text, win in answers
        )
        yield Ensemble(prompt, tuple(generations))


def _is_table(file: Path) -> bool:
    try:
        return format_of(file) in {Format.CSV, Format.PARQUET}
    except OSError:
        return False
