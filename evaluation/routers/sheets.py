"""The evaluation as sheets: routers.csv, per_task.csv, curve.csv and choices.csv."""

from collections.abc import Iterator

from evaluation.bootstrap import Interval
from evaluation.routers.standings import RoutingEvaluation

Row = tuple[object, ...]


def sheets_of(evaluation: RoutingEvaluation) -> dict[str, tuple[tuple[str, ...], Iterator[Row]]]:
    """Returns the header and the rows of each sheet by its name; shares are from 0 to 1."""
    names = (each.way.name for each in evaluation.routers)
    return {
        "routers.csv": (_WAY_HEADER, _ways(evaluation)),
        "per_task.csv": (_TASK_HEADER, _tasks(evaluation)),
        "curve.csv": (_CURVE_HEADER, _curves(evaluation)),
        "choices.csv": (("row", "task", *names), _choices(evaluation)),
    }


_WAY_HEADER = (
    "role", "key", "name", "router", "policy", "average", "low", "high", "lead", "lead_low",
    "lead_high", "gap_to_oracle", "gap_low", "gap_high", "gap_closed", "mean_cost", "unscored",
)  # fmt: skip
_TASK_HEADER = ("role", "name", "task", "rows", "mean", "low", "high")
_CURVE_HEADER = ("name", "penalty", "mean_cost", "average")


def _ways(evaluation: RoutingEvaluation) -> Iterator[Row]:
    for each in evaluation.all_standings:
        names = (each.role.value, each.key.replace(" ", "_"), each.way.name)
        figures = (*_ends(each.way.average), *_ends(each.lead), *_ends(each.gap), each.closed.mean)
        yield (
            *names, each.router, each.policy, *figures, each.way.mean_cost, each.way.unscored,
        )  # fmt: skip


def _tasks(evaluation: RoutingEvaluation) -> Iterator[Row]:
    for each in evaluation.all_standings:
        tasks = zip(evaluation.tasks, evaluation.rows, each.way.tasks, strict=True)
        for task, rows, interval in tasks:
            yield (each.role.value, each.way.name, task, rows, *_ends(interval))


def _curves(evaluation: RoutingEvaluation) -> Iterator[Row]:
    curves = [each.curve for each in evaluation.facts if each.curve]
    for curve in ([evaluation.zero] if evaluation.zero else []) + curves:
        for point in zip(curve.penalties, curve.costs, curve.qualities, strict=True):
            yield (curve.name, *map(float, point))


def _choices(evaluation: RoutingEvaluation) -> Iterator[Row]:
    for row, task in enumerate(evaluation.row_tasks):
        chosen = (evaluation.models[int(each[row])] for each in evaluation.choices)
        yield (row, task, *chosen)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high
