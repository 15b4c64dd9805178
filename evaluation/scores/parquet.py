"""The rows of a Parquet file, where pyarrow is installed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.rows import BadRow, Row
from evaluation.scores.columns import Columns
from evaluation.scores.fields import RecordError, ScoreFields

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_BATCH = 1024


def read_parquet(
    file: Path, fields: ScoreFields, *, require_scores: bool = True
) -> Iterator[Row | BadRow]:
    """Reads a table as records that look like those of JSON.

    Its columns are named as those of CSV; or scores and costs are one column
    each, a struct or a map from model to number.

    Args:
        file: The file.
        fields: What the columns are called.
        require_scores: Whether a table without scores is wrong.

    Yields:
        Rows with the place `index 3`, from 0; a `BadRow` where the file can't be read.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        yield BadRow(file, "", "is Parquet, which needs pyarrow; install the extra `parquet`")
        return
    try:
        with parquet.ParquetFile(file) as stored:
            yield from _records(file, stored, fields, require_scores=require_scores)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).split("\n", maxsplit=1)[0].rstrip(".")
        yield BadRow(file, "", f"can't be read as Parquet ({reason})")
    except RecordError as error:
        yield BadRow(file, "", str(error))


def _records(
    file: Path, stored: "ParquetFile", fields: ScoreFields, *, require_scores: bool
) -> Iterator[Row | BadRow]:
    names = stored.schema_arrow.names
    nested = fields.scores in names
    columns = Columns.of(names, fields, require_scores=require_scores and not nested)
    by_model = (columns.scores, columns.costs, columns.responses)
    used = {columns.prompt, columns.task, *(name for each in by_model for name in each.values())}
    wanted = [name for name in names if name in used | {fields.scores, fields.costs}]
    index = 0
    for batch in stored.iter_batches(_BATCH, columns=wanted):
        for row in batch.to_pylist():
            record = _nested(row, fields) if nested else columns.record(row, fields)
            yield Row(file, f"index {index}", record)
            index += 1


def _nested(row: Mapping[str, object], fields: ScoreFields) -> dict[str, object]:
    by_model = (fields.scores, fields.costs)
    return {name: _mapping(value) if name in by_model else value for name, value in row.items()}


def _mapping(value: object) -> object:
    """Returns a map, which comes as a list of pairs, as a dict; a struct is one already."""
    if not isinstance(value, list):
        return value
    unique: dict[object, object] = dict(each for each in value if isinstance(each, tuple))
    # What lists something else, or a model twice, is left for the record's check to refuse.
    return unique if len(unique) == len(value) else value
