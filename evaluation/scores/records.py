"""One record of a data set, checked: a prompt and what each model made of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.scores.fields import RecordError, ScoreFields

_ROUTERDC_PROMPT = "question"


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """One prompt.

    Attributes:
        prompt: What was asked; not blank.
        task: What it is an example of.
        scores: By model, in [0, 1]; None where it is missing.
        costs: By model, 0 or more; None where it is missing.
    """

    prompt: str
    task: str
    scores: Mapping[str, float | None]
    costs: Mapping[str, float | None]


def scored_prompt(
    record: object, fields: ScoreFields, task: str, *, require_scores: bool = True
) -> ScoredPrompt:
    """Checks a record.

    Args:
        record: A JSON object, or what another format makes that looks like one.
        fields: Where its parts stand. `question`, as RouterDC's files have it,
            is read where the prompt's own field is absent.
        task: Of a record that names none.
        require_scores: Whether a record without a score is wrong.

    Raises:
        RecordError: The record can't be used.
    """
    if not isinstance(record, Mapping):
        raise RecordError("is not a JSON object")
    prompt, named = _prompt(record, fields), _task(record, fields, task)
    scores = _numbers(record, fields.scores, "score", most=1.0)
    costs = _numbers(record, fields.costs, "cost", most=math.inf)
    if require_scores:
        _require_scores(record, scores, fields.scores)
    for model in costs.keys() - scores.keys():
        raise RecordError(f"has a cost of {model}, but no score of it")
    return ScoredPrompt(prompt, named, scores, costs)


def _require_scores(
    record: Mapping[str, object], scores: Mapping[str, float | None], field: str
) -> None:
    if record.get(field) is None:
        raise RecordError(f"has no {field}")
    if all(each is None for each in scores.values()):
        raise RecordError("has no score of any model")


def _prompt(record: Mapping[str, object], fields: ScoreFields) -> str:
    absent = fields.prompt not in record and _ROUTERDC_PROMPT in record
    name = _ROUTERDC_PROMPT if absent else fields.prompt
    if record.get(name) is None:
        raise RecordError(f"has no {name}")
    return _text(record[name], name)


def _task(record: Mapping[str, object], fields: ScoreFields, default: str) -> str:
    value = record.get(fields.task)
    return default if value is None or value == "" else _text(value, fields.task)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise RecordError(f"has a {name} that is not a string")
    if not value.strip():
        raise RecordError(f"has an empty {name}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordError(f"has a {name} with half of a surrogate pair") from None
    return value


def _numbers(
    record: Mapping[str, object], field: str, noun: str, *, most: float
) -> dict[str, float | None]:
    values = record.get(field)
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise RecordError(f"has {field} that are not an object of numbers by model")
    return {
        _text(model, f"model in {field}"): _number(value, f"{noun} of {model}", most)
        for model, value in values.items()
    }


def _number(value: object, name: str, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecordError(f"has a {name} that is not a number")
    if not 0 <= value <= most:
        wanted = "0 or more" if math.isinf(most) else "from 0 to 1"
        raise RecordError(f"has a {name} of {_short(value)}, which is not {wanted}")
    return _finite(value, name)


def _finite(value: float, name: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise RecordError(f"has a {name} that is infinite")
    return number


def _short(value: float) -> str:
    digits = str(value)
    return digits if len(digits) <= 20 else f"{digits[:20]}…"
