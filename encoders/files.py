"""Reading what lies on a disk: JSON objects and hashes."""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path

from encoders.errors import EncoderInvalidError, EncoderNotFoundError


def read_json(path: Path) -> object:
    """Parses a JSON file.

    Raises:
        EncoderNotFoundError: The file can't be read.
        EncoderInvalidError: It is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        message = f"{path} can't be read ({error.strerror}); give the directory of an encoder"
        raise EncoderNotFoundError(message) from error
    except ValueError as error:
        raise EncoderInvalidError(f"{path} is not JSON; fetch the encoder again") from error


def read_object(path: Path, *, optional: bool = False) -> dict[str, object]:
    """Parses a JSON file that holds an object; an absent optional one is empty.

    Raises:
        EncoderNotFoundError: The file can't be read.
        EncoderInvalidError: It is not a JSON object.
    """
    if optional and not path.exists():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise EncoderInvalidError(f"{path} does not hold a JSON object; fetch the encoder again")
    return value


def whole_number(values: dict[str, object], key: str, path: Path, *, least: int = 1) -> int | None:
    """A whole number of a parsed file; None where it is absent or null.

    Raises:
        EncoderInvalidError: The value is something else.
    """
    value = values.get(key)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not least <= value < math.inf
    ):
        raise EncoderInvalidError(f"{key} in {path} is {value!r}; it must be at least {least}")
    return int(value)


def sha256_of(paths: Iterable[Path], *notes: str) -> str:
    """Hashes files, one after the other, and then some notes, as 64 hex characters."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    for note in notes:
        total.update(hashlib.sha256(note.encode()).digest())
    return total.hexdigest()
