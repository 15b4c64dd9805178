"""What each column of a table is, told by its name."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.scores.fields import RecordError, ScoreFields

_RESPONSE, _TOTAL_COST = "|model_response", "|total_cost"
_ROUTERBENCH_TASK = "eval_name"


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what; any other is passed over.

    Attributes:
        prompt: Name of the column of prompts.
        task: Name of the column of tasks, empty where there is none.
        scores: Column by model.
        costs: Column by model.
        listed: Prompts and responses are written as Python lists of strings, as in
            RouterBench.
        responses: Column by model, where they are wanted.
    """

    prompt: str
    task: str
    scores: Mapping[str, str]
    costs: Mapping[str, str]
    listed: bool = False
    responses: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, names: Sequence[str], fields: ScoreFields, *, require_scores: bool = True
    ) -> "Columns":
        """Tells the columns by their names.

        A table that has a column `MODEL|total_cost` or `MODEL|model_response` is
        RouterBench's: its scores stand in the columns `MODEL`, its task in
        `eval_name`.

        Raises:
            RecordError: A name occurs twice, or a column that is needed is absent.
        """
        _require_once(names)
        if fields.prompt not in names:
            raise RecordError(f"has no column {fields.prompt}; {_listing(names)}")
        if routerbench := _routerbench(names, fields):
            return routerbench
        columns = cls(
            fields.prompt,
            fields.task if fields.task in names else "",
            {**_prefixed(names, fields.score_prefix), **_named(names, fields.score_columns)},
            _prefixed(names, fields.cost_prefix),
        )
        if require_scores and not columns.scores:
            raise RecordError(f"has no column {fields.score_prefix}MODEL; {_listing(names)}")
        return columns

    def record(self, row: Mapping[str, object], fields: ScoreFields) -> dict[str, object]:
        """Puts a row of cells into the shape of a JSON record."""
        record = {
            fields.prompt: _listed(row[self.prompt]) if self.listed else row[self.prompt],
            fields.task: row[self.task] if self.task else None,
            fields.scores: {model: _number(row[name]) for model, name in self.scores.items()},
            fields.costs: {model: _number(row[name]) for model, name in self.costs.items()},
        }
        if self.responses:
            responses = {model: _listed(row[name]) for model, name in self.responses.items()}
            record[fields.responses] = responses
        return record


def _routerbench(names: Sequence[str], fields: ScoreFields) -> Columns | None:
    marked = {
        name.removesuffix(mark)
        for mark in (_RESPONSE, _TOTAL_COST)
        for name in names
        if name.endswith(mark)
    }
    if not marked:
        return None
    task = next((name for name in (fields.task, _ROUTERBENCH_TASK) if name in names), "")
    costs = {model: f"{model}{_TOTAL_COST}" for model in names if f"{model}{_TOTAL_COST}" in names}
    models = {model: model for model in names if model in marked}
    if absent := sorted(marked - models.keys()):
        raise RecordError(f"has a response or a cost of {absent[0]}, but no column of its scores")
    responses = {
        model: f"{model}{_RESPONSE}"
        for model in models
        if fields.responses and f"{model}{_RESPONSE}" in names
    }
    return Columns(fields.prompt, task, models, costs, listed=True, responses=responses)


def _prefixed(names: Sequence[str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}


def _named(names: Sequence[str], wanted: Iterable[str]) -> dict[str, str]:
    for name in wanted:
        if name not in names:
            raise RecordError(f"has no column {name}; {_listing(names)}")
    return {name: name for name in wanted}


def _require_once(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RecordError(f"has two columns {name!r}")
        seen.add(name)


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:8])
    return f"its columns are {shown}" + (", …" if len(names) > 8 else "")


def _number(cell: object) -> object:
    """Returns a number for a cell that holds one, None for an empty one, else the cell."""
    if not isinstance(cell, str):
        return cell
    if not cell.strip():
        return None
    try:
        return cell if "_" in cell else float(cell)
    except ValueError:
        return cell


def _listed(cell: object) -> object:
    """Returns the text of a cell such as `['What is ...?']`, several joined by blank lines."""
    if not (isinstance(cell, str) and cell.startswith("[")):
        return cell
    try:
        parts = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return cell
    return "\n\n".join(map(str, parts)) if isinstance(parts, list) else cell
