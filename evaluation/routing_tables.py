"""A report on routing, as tables for a person and as JSON for a program."""

import math
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from evaluation.bootstrap import Interval
from evaluation.measured import Way
from evaluation.routing import RoutingReport


def routing_tables(report: RoutingReport) -> Group:
    """Returns a table of the tasks, one of the models, and what a reader must know of them."""
    notes = [Text(line) for line in _notes(report)]
    return Group(task_table(report), model_table(report), *notes)


def task_table(report: RoutingReport) -> Table:
    """Returns a row per task with the accuracy of the choices and of what they compare with."""
    table = Table(title="Accuracy in %", title_justify="left", show_footer=False)
    table.add_column("Task", overflow="fold")
    for title in ("Rows", "Router", "95 % interval", *map(_title, _NAMES)):
        table.add_column(title, justify="right")
    for index, task in enumerate(report.tasks):
        mark = " *" if report.positive[index] else ""
        ways = [way.tasks[index] for way in (report.chosen, *report.baselines)]
        table.add_row(plain(task) + mark, str(report.rows[index]), *_figures(ways))
    table.add_section()
    averages = [way.average for way in (report.chosen, *report.baselines)]
    table.add_row("average", str(sum(report.rows)), *_figures(averages))
    costs = [_cost(way.mean_cost) for way in (report.chosen, *report.baselines)]
    if any(costs):
        table.add_row("mean cost", "", costs[0], "", *costs[1:])
    return table


def model_table(report: RoutingReport) -> Table:
    """Returns a row per model: how often it was chosen, and what it reaches alone."""
    table = Table(title="Models", title_justify="left")
    table.add_column("Model", overflow="fold")
    for title in ("Share of calls", "Alone, average", "95 % interval", "Mean cost"):
        table.add_column(title, justify="right")
    for way, share in zip(report.models, report.shares, strict=True):
        alone = (percent(way.average.mean), spread(way.average))
        table.add_row(plain(way.name), f"{share:.1%}", *alone, _cost(way.mean_cost))
    return table


def calls_table(models: Sequence[str]) -> Table:
    """Returns a row per model with its share of the calls, for prompts without scores.

    Args:
        models: The model chosen for each prompt, at least one.
    """
    table = Table(title=f"{len(models)} prompts", title_justify="left")
    table.add_column("Model", overflow="fold")
    table.add_column("Share of calls", justify="right")
    for model in sorted(set(models), key=lambda each: (-models.count(each), each)):
        table.add_row(plain(model), f"{models.count(model) / len(models):.1%}")
    return table


def report_record(report: RoutingReport) -> dict[str, object]:
    """Returns the report as a JSON object; rates are from 0 to 1, and null where undefined."""
    return {
        "tasks": [
            {"task": task, "rows": rows, "positive": positive}
            for task, rows, positive in zip(report.tasks, report.rows, report.positive, strict=True)
        ],
        "router": _way_record(report.chosen, report.tasks),
        **{
            name: _way_record(way, report.tasks)
            for name, way in zip(_NAMES, report.baselines, strict=True)
        },
        "lead_over_best_single": interval_record(report.lead),
        "baselines_found_on": "training rows" if report.trained else "these rows",
        "unscored": report.unscored,
        "models": [
            {"share_of_calls": share, **_way_record(way, report.tasks)}
            for way, share in zip(report.models, report.shares, strict=True)
        ],
    }


def plain(text: str) -> str:
    """Takes out of a name what a terminal or rich might obey."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown.replace("[", "\\[")


_NAMES = ("random", "best_single", "best_per_task", "oracle")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _notes(report: RoutingReport) -> list[str]:
    found = "the training rows" if report.trained else "these rows themselves, which flatters them"
    lead = report.lead
    notes = [
        f"Best single is {report.best_single.name}; it and the best per task were found on "
        f"{found}.",
        f"The router leads it by {100 * lead.mean:+.2f} points "
        f"({100 * lead.low:+.2f} to {100 * lead.high:+.2f}).",
    ]
    if any(report.positive):
        notes.append("* Any score above 0 counts as right.")
    if report.unscored:
        notes.append(f"{report.unscored} prompts are left out: the chosen model has no score.")
    return notes


def _figures(ways: Sequence[Interval]) -> list[str]:
    first, *others = ways
    return [percent(first.mean), spread(first), *(percent(each.mean) for each in others)]


def percent(rate: float) -> str:
    """Writes a rate in %."""
    return f"{100 * rate:.2f}" if math.isfinite(rate) else "unknown"


def spread(interval: Interval) -> str:
    """Writes the ends of an interval in %."""
    if not math.isfinite(interval.low):
        return ""
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _cost(cost: float) -> str:
    return f"{cost:.3g}" if math.isfinite(cost) else ""


def _way_record(way: Way, tasks: Sequence[str]) -> dict[str, object]:
    return {
        "name": way.name,
        "average": interval_record(way.average),
        "tasks": {task: interval_record(each) for task, each in zip(tasks, way.tasks, strict=True)},
        "mean_cost": finite(way.mean_cost),
    }


def interval_record(interval: Interval) -> dict[str, float | None]:
    """Returns an interval as a JSON object."""
    return {
        "mean": finite(interval.mean),
        "low": finite(interval.low),
        "high": finite(interval.high),
    }


def finite(number: float) -> float | None:
    """Returns a number as JSON may have it."""
    return number if math.isfinite(number) else None
