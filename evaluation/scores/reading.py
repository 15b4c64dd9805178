"""Reads files of scores, whatever their format, into one table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UnreadableDataError
from evaluation.rows import BadRow, Row, read_rows
from evaluation.scores.csv_rows import read_csv
from evaluation.scores.fields import RecordError, ScoreFields
from evaluation.scores.formats import Format, data_files, format_of, task_of
from evaluation.scores.lines import read_lines
from evaluation.scores.parquet import read_parquet
from evaluation.scores.records import ScoredPrompt, scored_prompt
from evaluation.scores.table import ScoreTable

_NO_FILES = "holds no .csv, .json, .jsonl, .ndjson or .parquet file"


@dataclass(frozen=True, slots=True)
class ScoreReading:
    """What the files hold.

    Attributes:
        table: The rows that could be read, in their order.
        bad_rows: Those that could not, in their order.
    """

    table: ScoreTable
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class PromptReading:
    """Prompts, and their scores where the files have any.

    Attributes:
        prompts: In their order.
        tasks: What each is an example of.
        table: The same rows with their scores; None where no row has one.
        bad_rows: What could not be read.
    """

    prompts: tuple[str, ...]
    tasks: tuple[str, ...]
    table: ScoreTable | None
    bad_rows: tuple[BadRow, ...]

    def first(self, limit: int | None) -> "PromptReading":
        """Keeps the first prompts; all if None."""
        if limit is None or limit >= len(self.prompts):
            return self
        table = None if self.table is None else self.table.rows(range(limit))
        return PromptReading(self.prompts[:limit], self.tasks[:limit], table, self.bad_rows)


def read_scores(
    files: Iterable[Path],
    fields: ScoreFields | None = None,
    *,
    strict: bool = False,
    models: Sequence[str] = (),
) -> ScoreReading:
    """Reads how well each model did on each prompt.

    JSONL, a JSON list (RouterDC's own among them), CSV (RouterBench's own among
    them) and Parquet, told apart by content and suffix; see `docs/scores.md`.

    Args:
        files: The files, read one after the other; a directory stands for those in it.
        fields: Where the parts of a record stand; the names of `ScoreFields` if None.
        strict: Whether the first bad row ends the reading.
        models: The models in their order, where they are known: a row that scores
            another is bad, and every one has a column. Else all that are found.

    Returns:
        The table, which may be empty, and the rows that could not be read.

    Raises:
        UnreadableDataError: There is a bad row and `strict` is set.
    """
    reader = _Reader(fields or ScoreFields(), require_scores=True, models=models)
    read, bad_rows = reader.read(files, strict=strict)
    return ScoreReading(_table(read, models), bad_rows)


def read_prompts(
    files: Iterable[Path], fields: ScoreFields | None = None, *, strict: bool = False
) -> PromptReading:
    """Reads prompts from the same files, whether they have scores or not, and from plain text.

    A file that is none of the formats has a prompt on each line that is not blank.

    Args:
        files: As for `read_scores`.
        fields: As for `read_scores`.
        strict: Whether the first bad row ends the reading.

    Raises:
        UnreadableDataError: There is a bad row and `strict` is set.
    """
    reader = _Reader(fields or ScoreFields(), require_scores=False)
    read, bad_rows = reader.read(files, strict=strict)
    table = _table(read)
    scored = bool(np.isfinite(table.scores).any())
    return PromptReading(table.prompts, table.tasks, table if scored else None, bad_rows)


class _Reader:
    """Turns files into checked records."""

    def __init__(
        self, fields: ScoreFields, *, require_scores: bool, models: Sequence[str] = ()
    ) -> None:
        self._fields = fields
        self._require_scores = require_scores
        self._models = frozenset(models)

    def read(
        self, files: Iterable[Path], *, strict: bool
    ) -> tuple[list[ScoredPrompt], tuple[BadRow, ...]]:
        read: list[ScoredPrompt] = []
        bad_rows: list[BadRow] = []
        for each in (each for file in data_files(files) for each in self._checked(file)):
            if isinstance(each, ScoredPrompt):
                read.append(each)
            elif strict:
                raise UnreadableDataError(str(each))
            else:
                bad_rows.append(each)
        return read, tuple(bad_rows)

    def _checked(self, file: Path) -> Iterator[ScoredPrompt | BadRow]:
        task = task_of(file)
        for row in self._rows(file):
            yield row if isinstance(row, BadRow) else self._take(row, task)

    def _rows(self, file: Path) -> Iterator[Row | BadRow]:
        try:
            found = format_of(file)
        except OSError as error:
            problem = f"can't be read ({error.strerror})"
            return iter([BadRow(file, "", _NO_FILES if file.is_dir() else problem)])
        if found is Format.UTF16:
            return iter([BadRow(file, "", "is UTF-16; save it as UTF-8")])
        if found is Format.JSON:
            return read_rows(file)
        if found is Format.PARQUET:
            return read_parquet(file, self._fields, require_scores=self._require_scores)
        if found is Format.TEXT and not self._require_scores:
            return read_lines(file, self._fields)
        return read_csv(file, self._fields, require_scores=self._require_scores)

    def _take(self, row: Row, task: str) -> ScoredPrompt | BadRow:
        try:
            taken = scored_prompt(
                row.value, self._fields, task, require_scores=self._require_scores
            )
            self._require_known(taken)
        except RecordError as error:
            return BadRow(row.file, row.place, str(error))
        return taken

    def _require_known(self, taken: ScoredPrompt) -> None:
        unknown = [model for model in taken.scores if self._models and model not in self._models]
        if unknown:
            raise RecordError(f"scores {unknown[0]}, which is none of the models")


def _table(read: Sequence[ScoredPrompt], models: Sequence[str] = ()) -> ScoreTable:
    names = tuple(models) or tuple(dict.fromkeys(model for each in read for model in each.scores))
    position = {model: column for column, model in enumerate(names)}
    scores = _matrix([each.scores for each in read], position)
    costs = _matrix([each.costs for each in read], position)
    return ScoreTable.of(
        [each.prompt for each in read],
        [each.task for each in read],
        names,
        scores,
        costs if np.isfinite(costs).any() else None,
    )


def _matrix(
    rows: Sequence[Mapping[str, float | None]], position: Mapping[str, int]
) -> NDArray[np.float64]:
    numbers = np.full((len(rows), len(position)), np.nan)
    for row, values in enumerate(rows):
        for model, value in values.items():
            if value is not None:
                numbers[row, position[model]] = value
    return numbers
