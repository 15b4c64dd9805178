"""Prompts and the answers to them, from files in either of two shapes.

Wide, one record per prompt::

    {"prompt": "...", "generations": [{"voter": "a", "text": "..."}, ...]}
    {"prompt": "...", "generations": {"a": "...", "b": ["...", "..."], "c": null}}

Long, one record per answer::

    {"prompt": "...", "voter": "a", "text": "..."}
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import UnreadableDataError
from evaluation.rows import BadRow, Row, read_rows

_MISSING = object()


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Where the parts of a record stand, as dotted names.

    `meta.prompt` is the member `prompt` of the member `meta`, `turns.0.content`
    goes through a list; a member whose own name has the dots wins.

    Attributes:
        prompt: What was asked.
        generations: The answers of a wide record.
        voter: Who answered: in a long record, or in an item of `generations`.
        text: The answer, in the same place.
        quality: How good the answer is, in the same place; not read if empty.
    """

    prompt: str = "prompt"
    generations: str = "generations"
    voter: str = "voter"
    text: str = "text"
    quality: str = ""


ALPACA_EVAL = FieldMapping(prompt="instruction", voter="generator", text="output")
"""The fields of AlpacaEval's `model_outputs.json`."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer: who gave it, its text, which may be empty, and its quality.

    The quality is in [0, 1]; None where it is not known, or was not read.
    """

    voter: str
    text: str
    quality: float | None = None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The answers to one prompt; at least one, several of a voter being its samples."""

    prompt: str
    generations: tuple[Generation, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files hold.

    Attributes:
        ensembles: In order of first appearance.
        bad_rows: What could not be read, in order.
    """

    ensembles: tuple[Ensemble, ...]
    bad_rows: tuple[BadRow, ...]


class _RecordError(Exception):
    """What is wrong with a record, as a predicate."""


def read_generations(
    files: Iterable[Path], fields: FieldMapping | None = None, *, strict: bool = False
) -> Reading:
    """Reads prompts and answers from JSONL files or JSON lists.

    Every record tells its own shape: one with the generations field is wide and
    makes an ensemble of its own; one without is long, and long records of the
    same prompt, in whatever file, make one ensemble. A voter may lack a prompt.

    Args:
        files: The files, read one after the other.
        fields: Where the parts of a record stand; the names above if None.
        strict: Whether the first bad row ends the reading.

    Returns:
        The ensembles, and the rows that could not be read.

    Raises:
        UnreadableDataError: There is a bad row and `strict` is set.
    """
    names = fields or FieldMapping()
    gathered = _Gathered()
    bad_rows: list[BadRow] = []
    for row in (row for file in files for row in read_rows(file)):
        bad_row = row if isinstance(row, BadRow) else _take(row, names, gathered)
        if bad_row and strict:
            raise UnreadableDataError(str(bad_row))
        if bad_row:
            bad_rows.append(bad_row)
    return Reading(tuple(gathered.ensembles()), tuple(bad_rows))


def select(
    ensembles: Sequence[Ensemble], voters: Sequence[str] = (), limit: int | None = None
) -> tuple[Ensemble, ...]:
    """Keeps the answers of some voters, and then the first prompts.

    Args:
        ensembles: What to choose from.
        voters: Whose answers to keep; everybody's if empty.
        limit: How many prompts to keep; all if None.

    Returns:
        The ensembles that still have an answer.

    Raises:
        UnreadableDataError: A voter of that name never answers.
    """
    if voters:
        _require_known(voters, ensembles)
        kept = ((each, _of_voters(each, voters)) for each in ensembles)
        ensembles = [Ensemble(each.prompt, answers) for each, answers in kept if answers]
    return tuple(ensembles[:limit])


def voters_of(ensembles: Iterable[Ensemble]) -> tuple[str, ...]:
    """Returns the names of all voters, in order of first appearance."""
    return tuple(dict.fromkeys(g.voter for each in ensembles for g in each.generations))


class _Gathered:
    """The ensembles so far; long records join the one that their prompt began."""

    def __init__(self) -> None:
        self._all: list[tuple[str, list[Generation]]] = []
        self._long: dict[str, list[Generation]] = {}

    def add_wide(self, prompt: str, generations: list[Generation]) -> None:
        self._all.append((prompt, generations))

    def add_long(self, prompt: str, generation: Generation) -> None:
        if prompt not in self._long:
            self._long[prompt] = []
            self._all.append((prompt, self._long[prompt]))
        self._long[prompt].append(generation)

    def ensembles(self) -> Iterator[Ensemble]:
        return (Ensemble(prompt, tuple(generations)) for prompt, generations in self._all)


def _take(row: Row, fields: FieldMapping, gathered: _Gathered) -> BadRow | None:
    try:
        _add(row.value, fields, gathered)
    except _RecordError as error:
        return BadRow(row.file, row.place, str(error))
    return None


def _add(record: object, fields: FieldMapping, gathered: _Gathered) -> None:
    if not isinstance(record, Mapping):
        raise _RecordError("is not a JSON object")
    prompt = _text(_lookup(record, fields.prompt), fields.prompt, empty=False)
    answers = _lookup(record, fields.generations)
    if answers is not _MISSING:
        gathered.add_wide(prompt, _wide(answers, fields))
    elif _lookup(record, fields.voter) is _MISSING and _lookup(record, fields.text) is _MISSING:
        raise _RecordError(
            f"has neither {fields.generations} nor {fields.voter} and {fields.text}; "
            "name the fields that it has"
        )
    else:
        gathered.add_long(prompt, _generation(record, fields))


def _wide(answers: object, fields: FieldMapping) -> list[Generation]:
    if isinstance(answers, Mapping):
        generations = list(_of_mapping(answers, fields.generations))
    elif isinstance(answers, list):
        generations = [_generation(each, fields) for each in answers]
    else:
        raise _RecordError(f"has {fields.generations} that are neither a list nor an object")
    if not generations:
        raise _RecordError(f"has no answers in {fields.generations}")
    return generations


def _of_mapping(answers: Mapping[str, object], field: str) -> Iterator[Generation]:
    for voter, value in answers.items():
        name = _text(voter, f"voter in {field}", empty=False)
        samples = value if isinstance(value, list) else [value] if value is not None else []
        for text in samples:
            yield Generation(name, _text(text, f"{field}.{voter}"))


def _generation(record: object, fields: FieldMapping) -> Generation:
    voter = _text(_lookup(record, fields.voter), fields.voter, empty=False)
    text = _text(_lookup(record, fields.text), fields.text)
    return Generation(voter, text, _quality(record, fields.quality) if fields.quality else None)


def _quality(record: object, field: str) -> float | None:
    value = _lookup(record, field)
    if value is _MISSING or value is None:
        return None
    if type(value) not in {int, float, bool} or not 0 <= value <= 1:  # type: ignore[operator]
        raise _RecordError(f"has {field} that is not a number from 0 to 1")
    return float(value)  # type: ignore[arg-type]


def _lookup(record: object, name: str) -> object:
    if isinstance(record, Mapping) and name in record:
        found: object = record[name]
        return found
    first, dot, rest = name.partition(".")
    if not dot:
        return _item(record, first)
    return _lookup(_item(record, first), rest)


def _item(record: object, name: str) -> object:
    if isinstance(record, Mapping):
        return record.get(name, _MISSING)
    if isinstance(record, list) and name.isdecimal() and int(name) < len(record):
        return record[int(name)]
    return _MISSING


def _text(value: object, field: str, *, empty: bool = True) -> str:
    if value is _MISSING:
        raise _RecordError(f"has no {field}")
    if not isinstance(value, str):
        raise _RecordError(f"has {field} that is not a string")
    if not empty and not value.strip():
        raise _RecordError(f"has an empty {field}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _RecordError(f"has {field} with half of a surrogate pair") from None
    return value


def _of_voters(ensemble: Ensemble, voters: Sequence[str]) -> tuple[Generation, ...]:
    return tuple(each for each in ensemble.generations if each.voter in voters)


def _require_known(voters: Sequence[str], ensembles: Sequence[Ensemble]) -> None:
    known = voters_of(ensembles)
    for name in voters:
        if name not in known:
            raise UnreadableDataError(f"No answer is by {name}; the voters are {', '.join(known)}.")
