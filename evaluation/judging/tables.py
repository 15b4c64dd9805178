"""Answers and their scores from RouterBench's tables."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from evaluation.errors import UnreadableDataError
from evaluation.generations import Ensemble, Generation
from evaluation.rows import BadRow, Row
from evaluation.scores.csv_rows import read_csv
from evaluation.scores.fields import RecordError, ScoreFields
from evaluation.scores.formats import Format, format_of, task_of
from evaluation.scores.parquet import read_parquet
from evaluation.scores.records import scored_prompt

_RESPONSES = "responses"


def read_table(
    file: Path, prompt: str = "prompt", *, strict: bool = False
) -> tuple[tuple[Ensemble, ...], tuple[BadRow, ...]]:
    """Reads a table with a column of scores and one of answers for each model.

    Args:
        file: CSV or Parquet; the score of a model stands in the column `MODEL`, its
            answer in `MODEL|model_response`. An empty cell is no answer.
        prompt: Name of the column of prompts.
        strict: Whether the first bad row ends the reading.

    Returns:
        The rows that have an answer, each an ensemble, and those that can't be read.

    Raises:
        UnreadableDataError: There is a bad row and `strict` is set.
    """
    fields = ScoreFields(prompt, responses=_RESPONSES)
    ensembles, bad_rows = [], []
    for row in _rows(file, fields):
        taken = row if isinstance(row, BadRow) else _taken(row, fields, task_of(file))
        if isinstance(taken, Ensemble):
            ensembles.append(taken)
        elif strict:
            raise UnreadableDataError(str(taken))
        else:
            bad_rows.append(taken)
    return tuple(ensembles), tuple(bad_rows)


def _rows(file: Path, fields: ScoreFields) -> Iterator[Row | BadRow]:
    read = read_parquet if format_of(file) is Format.PARQUET else read_csv
    return read(file, fields)


def _taken(row: Row, fields: ScoreFields, task: str) -> Ensemble | BadRow:
    try:
        return _ensemble(row.value, fields, task)
    except RecordError as error:
        return BadRow(row.file, row.place, str(error))


def _ensemble(record: object, fields: ScoreFields, task: str) -> Ensemble:
    scored = scored_prompt(record, fields, task)
    responses = record.get(_RESPONSES) if isinstance(record, Mapping) else None
    if not isinstance(responses, Mapping):
        raise RecordError("has no column MODEL|model_response, which holds the answers")
    generations = tuple(
        Generation(model, text, scored.scores.get(model))
        for model, text in responses.items()
        if isinstance(text, str) and text
    )
    if not generations:
        raise RecordError("has no answer of any model")
    return Ensemble(scored.prompt, generations)
