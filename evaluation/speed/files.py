"""Records of benchmarks as JSON files, which appear when they are whole."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evaluation.errors import UnreadableDataError
from evaluation.report import json_value, write_json
from evaluation.speed.record import Record

SCHEMA = 1
"""Of the file; a reader refuses any other."""

_RECORD = TypeAdapter(Record)


def write_record(file: Path, record: Record) -> None:
    """Writes a record; raises OSError where the file can't be written."""
    value = json_value(record)
    assert isinstance(value, dict)  # noqa: S101 — a record is a dataclass
    write_json(file, {"schema": SCHEMA, **value})


def read_record(file: Path) -> Record:
    """Reads what `write_record` wrote.

    Raises:
        UnreadableDataError: There is no such file, or it is no whole record of this schema;
            names the file, and the field that is not what it should be.
    """
    try:
        text = file.read_text(encoding="utf-8")
        _require_schema(file, json.loads(text))
        return _RECORD.validate_json(text, strict=True)
    except OSError as error:
        raise UnreadableDataError(f"{file} can't be read: {error.strerror}.") from None
    except ValidationError as error:
        raise UnreadableDataError(f"{file} is no record of benchmarks: {_first(error)}.") from None
    except (ValueError, RecursionError):
        raise UnreadableDataError(f"{file} is not JSON; was it cut short?") from None


def _require_schema(file: Path, value: object) -> None:
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema is None:
        raise UnreadableDataError(
            f"{file} is no record of benchmarks: it has no `schema`; name a file that"
            " `python -m benchmarks.speed --json` wrote."
        )
    if type(schema) is not int or schema != SCHEMA:
        raise UnreadableDataError(
            f"{file} has schema {json.dumps(schema)}, and this version reads {SCHEMA};"
            " measure again."
        )


def _first(error: ValidationError) -> str:
    """Returns the path of the first bad field, and what is wrong with it."""
    wrong = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in wrong["loc"])
    message = wrong["msg"].removeprefix("Value error, ").rstrip(".")
    return f"`{path}`: {message[:1].lower()}{message[1:]}"
