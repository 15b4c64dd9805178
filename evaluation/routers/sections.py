"""The sections of the report that are tables, and who gets the calls."""

import math
from collections.abc import Sequence

from evaluation.report import (
    Column,
    Section,
    Shares,
    Table,
    cost,
    percent,
    seconds,
    signed_points,
    spread,
)
from evaluation.routers.reliability import Reliability
from evaluation.routers.standings import Role, RouterFacts, RoutingEvaluation, Standing

_LABELS = {
    "best single": "best single",
    "best per task": "best model per task",
    "best task in hindsight": "oracle per task",
    "oracle": "oracle per prompt",
    "voting": "majority voting",
    "cheapest": "cheapest",
    "random": "random",
}


def label_of(standing: Standing) -> str:
    """Returns what a way to choose is called, with the model behind it where there is one."""
    if standing.role in (Role.ROUTER, Role.MODEL):
        return standing.way.name
    label = _LABELS[standing.key]
    return f"{label}: {standing.way.name}" if standing.key in _OF_MODELS else label


_OF_MODELS = frozenset({"best single", "cheapest"})


def way_section(evaluation: RoutingEvaluation) -> Section:
    """Returns every way to choose, with where it stands."""
    standings = evaluation.all_standings
    best = frozenset() if evaluation.best is None else frozenset({evaluation.best})
    table = Table(
        title="Ways to choose, average over tasks, in %",
        columns=(
            Column("Way", numeric=False),
            Column("Accuracy"),
            Column("95 % interval"),
            Column("Lead"),
            Column("its interval"),
            Column("To oracle"),
            Column("Closed"),
            Column("Cost"),
        ),
        rows=tuple(_way_row(each) for each in standings),
        note=_way_note(evaluation),
        strong=best,
        narrow=(0, 1, 2, 3, 4, 6, 7) if evaluation.zero else (0, 1, 2, 3, 4, 6),
    )
    return Section("Every way to choose a model", (table,))


def _way_row(standing: Standing) -> tuple[str, ...]:
    way = standing.way
    return (
        label_of(standing),
        percent(way.average.mean),
        spread(way.average),
        signed_points(standing.lead.mean),
        spread(standing.lead, signed=True),
        signed_points(standing.gap.mean),
        percent(standing.closed.mean, 0),
        cost(way.mean_cost),
    )


def _way_note(evaluation: RoutingEvaluation) -> str:
    found = "the training rows" if evaluation.trained else "these prompts themselves"
    several = (
        " The interval in the headline is wider than the one here: it allows for picking the best."
        if evaluation.compared > 1 or (evaluation.routers and not evaluation.trained)
        else ""
    )
    return (
        f"Lead: over best single, {evaluation.best_single}, in points. To oracle: per prompt. "
        f"Closed: share of the gap between the two. Best single and the best model per task were "
        f"found on {found}.{several}"
    )


def task_section(evaluation: RoutingEvaluation) -> Section:
    """Returns a row per task, for the best router, what it must beat, and the other routers."""
    best = None if evaluation.best is None else evaluation.routers[evaluation.best]
    others = [each for each in evaluation.routers if each is not best]
    references = [evaluation.reference(key) for key in ("best single", "best per task", "oracle")]
    known = [each for each in references if each is not None]
    shown = [*([best] if best else []), *known, *others]
    columns = [Column("Task", numeric=False), Column("Rows")]
    for each in shown:
        columns.append(Column(each.way.name if each.role is Role.ROUTER else _LABELS[each.key]))
        if each is best:
            columns.append(Column("95 % interval"))
    rows = [_task_row(evaluation, shown, best, index) for index in range(len(evaluation.tasks))]
    note = "* Any score above 0 counts as right." if any(evaluation.positive) else ""
    narrow = tuple(range(2 + len(known) + (2 if best else 0)))
    table = Table("Accuracy by task, in %", tuple(columns), tuple(rows), note, narrow=narrow)
    return Section("Tasks", (table,))


def _task_row(
    evaluation: RoutingEvaluation, shown: Sequence[Standing], best: Standing | None, index: int
) -> tuple[str, ...]:
    mark = " *" if evaluation.positive[index] else ""
    cells = [(evaluation.tasks[index] or "(no task)") + mark, f"{evaluation.rows[index]:,}"]
    for each in shown:
        cells.append(percent(each.way.tasks[index].mean))
        if each is best:
            cells.append(spread(each.way.tasks[index]))
    return tuple(cells)


def calls_section(evaluation: RoutingEvaluation) -> Section | None:
    """Returns who gets the calls."""
    if not evaluation.routers:
        return None
    best = evaluation.routers[evaluation.best or 0]
    names = [each.way.name for each in evaluation.routers]
    plot = Shares(
        title="Share of the calls that each model gets",
        alt=f"With {best.way.name}: {_said(evaluation, best)}.",
        rows=tuple(names),
        parts=evaluation.models,
        values=tuple(each.shares for each in evaluation.routers),
    )
    columns = (Column("Model", numeric=False), *(Column(name) for name in names))
    rows = tuple(
        (model, *(percent(each.shares[place]) for each in evaluation.routers))
        for place, model in enumerate(evaluation.models)
    )
    narrow = (0, 1 + (evaluation.best or 0))
    return Section(
        "Who gets the calls", (plot, Table("Share of calls, in %", columns, rows, narrow=narrow))
    )


def _said(evaluation: RoutingEvaluation, standing: Standing) -> str:
    shares = zip(evaluation.models, standing.shares, strict=True)
    return ", ".join(f"{model} {percent(share, 0)} %" for model, share in shares)


def router_section(evaluation: RoutingEvaluation) -> Section | None:
    """Returns what each router takes, and what its scores would allow."""
    if not evaluation.facts:
        return None
    table = Table(
        title="What each router takes",
        columns=(
            Column("Router", numeric=False),
            Column("Kind", numeric=False),
            Column("A prompt, p50"),
            Column("p99"),
            Column("of it scoring"),
            Column("Training"),
            Column("ECE"),
            Column("of quality"),
        ),
        rows=tuple(_router_row(each) for each in evaluation.facts),
        note=" ".join(f"{each.name}: {each.note}" for each in evaluation.facts if each.note),
    )
    return Section("Latency, training and what the scores allow", (table, _bound_table(evaluation)))


def _router_row(facts: RouterFacts) -> tuple[str, ...]:
    latency = facts.latency
    return (
        facts.name,
        facts.kind,
        seconds(latency.quantile(0.5)) if latency else "",
        seconds(latency.quantile(0.99)) if latency else "",
        seconds(latency.median_score()) if latency else "",
        seconds(facts.training_seconds) if math.isfinite(facts.training_seconds) else "",
        _error(facts.reliability),
        _error(facts.quality),
    )


def _error(found: Reliability | None) -> str:
    return f"{found.error:.3f}" if found and math.isfinite(found.error) else ""


def _bound_table(evaluation: RoutingEvaluation) -> Table:
    most = max(len(each.bounds.top) for each in evaluation.facts)
    columns = (
        Column("Router", numeric=False),
        *(Column(f"best of top {place}" if place > 1 else "top 1") for place in range(1, most + 1)),
        Column("best of the confident"),
        Column("confident models"),
    )
    rows = tuple(
        (
            each.name,
            *(percent(value) for value in each.bounds.top),
            percent(each.bounds.confident),
            f"{each.bounds.confident_models:.1f}"
            if math.isfinite(each.bounds.confident_models)
            else "",
        )
        for each in evaluation.facts
    )
    threshold = evaluation.facts[0].bounds.threshold
    return Table(
        title="Upper bounds: accuracy in % if the last choice among its favourites were perfect",
        columns=columns,
        rows=rows,
        note=f"Confident: models with a score of {threshold:g} or more, where scores are expected "
        "qualities; else the best score.",
    )
