"""Routers and policies on prompts whose scores are known, beside all that they must beat."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from evaluation.bootstrap import Interval
from evaluation.measured import Measured, measure
from evaluation.routers.bounds import upper_bounds
from evaluation.routers.contenders import Applied, Contender, choices_of
from evaluation.routers.curve import Curve, curves_of
from evaluation.routers.reliability import quality_reliability_of, reliability_of
from evaluation.routers.standings import Role, RouterFacts, RoutingEvaluation, Standing
from evaluation.routing import shares_of
from evaluation.scores.table import ScoreTable
from evaluation.texts import Progress
from evaluation.ways import (
    Choices,
    Chosen,
    TaskRows,
    best_single,
    means_with_unseen_tasks,
    reference_ways,
)

_BASELINES = ("random", "voting", "cheapest", "best single", "best per task")
_BOUNDS = ("best task in hindsight", "oracle")


def evaluate_routers(
    table: ScoreTable,
    contenders: Sequence[Contender],
    policies: Sequence[Applied],
    positive_tasks: Collection[str] = (),
    *,
    training: ScoreTable | None = None,
    main: str = "",
    confidence: float = 0.5,
    seed: int = 0,
    resamples: int = 2000,
    progress: Progress | None = None,
) -> RoutingEvaluation:
    """Compares routers with each other, and with all that they must beat.

    Args:
        table: n rows, at least 1, with a score in each task; with costs where they are known.
        contenders: Routers with their scores of the n rows; may be none.
        policies: Every router is taken with every one of them.
        positive_tasks: Tasks in which a score above 0 counts as 1.
        training: Rows on which the best single model, and that of each task, are found.
        main: Name of the router that was chosen beforehand, which the answer is about;
            the best of all if empty.
        confidence: The score that counts as confident in the upper bounds.
        seed: Makes the intervals repeatable.
        resamples: How often the rows of each task are drawn anew.
        progress: Called as routers are measured.

    Raises:
        UnreadableDataError: A positive task has no rows, no row has a score, or the training
            rows lack a model.
        ScoringError: A policy can't be had of a router.
    """
    rows = TaskRows.of(table, positive_tasks)
    means = means_with_unseen_tasks(rows, training, positive_tasks)
    references = reference_ways(rows, means)
    pairs = [(router, policy) for router in contenders for policy in policies]
    choices = [choices_of(table.models, *pair) for pair in pairs]
    names = [_name(router.name, policy.name, len(policies)) for router, policy in pairs]
    routed = {
        f"router {place}": Chosen.of(name, rows, made)
        for place, (name, made) in enumerate(zip(names, choices, strict=True))
    }
    measured = measure({**routed, **references}, rows, seed=seed, resamples=resamples)
    standings = [
        _standing(measured, f"router {place}", Role.ROUTER, pair, made, len(table.models))
        for place, (pair, made) in enumerate(zip(pairs, choices, strict=True))
    ]
    # Who is the best single model was found on these very rows, or on others.
    rivals = [f"model {k}" for k in range(len(table.models))] if training is None else []
    best, lead, pooled, compared = _answer(measured, standings, main, rivals)
    curves = curves_of(rows, tuple(contenders), seed=seed)
    return RoutingEvaluation(
        models=table.models,
        tasks=rows.tasks,
        rows=tuple(each.size for each in rows.strata),
        positive=tuple(task in positive_tasks for task in rows.tasks),
        routers=tuple(standings),
        baselines=_references(measured, _BASELINES, Role.BASELINE),
        bounds=_references(measured, _BOUNDS, Role.BOUND),
        alone=_references(measured, [f"model {k}" for k in range(len(table.models))], Role.MODEL),
        best_single=table.models[best_single(means)],
        trained=training is not None,
        best=best,
        lead=lead,
        pooled=pooled,
        compared=compared,
        differing=0 if best is None else _differing(routed[f"router {best}"], references),
        facts=_facts(rows, contenders, curves, confidence, progress),
        zero=curves[0] if curves else None,
        choices=tuple(choices),
        row_tasks=table.tasks,
        seed=seed,
    )


def _name(router: str, policy: str, policies: int) -> str:
    return router if policies == 1 and policy == "arg-max" else f"{router}, {policy}"


def _standing(
    measured: Measured,
    name: str,
    role: Role,
    pair: tuple[Contender, Applied] | None = None,
    choices: Choices | None = None,
    models: int = 0,
) -> Standing:
    return Standing(
        role=role,
        key=name,
        router=pair[0].name if pair else "",
        policy=pair[1].name if pair else "",
        way=measured.ways[name],
        lead=measured.difference(name, "best single"),
        pooled=measured.pooled_difference(name, "best single"),
        gap=measured.difference(name, "oracle"),
        closed=measured.closed(name, "best single", "oracle"),
        shares=() if choices is None else shares_of(choices, models),
    )


def _references(measured: Measured, names: Sequence[str], role: Role) -> tuple[Standing, ...]:
    return tuple(_standing(measured, name, role) for name in names if name in measured.ways)


def _answer(
    measured: Measured, standings: Sequence[Standing], main: str, rivals: Sequence[str]
) -> tuple[int | None, Interval, Interval, int]:
    """Returns the router that the answer is about, its leads, and how many it was chosen among."""
    nothing = Interval(np.nan, np.nan, np.nan)
    places = [
        place
        for place, each in enumerate(standings)
        if main in ("", each.router, each.way.name) and not np.isnan(each.lead.mean)
    ]
    if not places:
        return None, nothing, nothing, 0
    names = [f"router {place}" for place in places]
    leads = measured.surely_all(names, "best single", rivals)
    first = max(range(len(places)), key=lambda each: _hope(leads[each]))
    pooled = measured.surely_all(names, "best single", rivals, pooled=True)
    return places[first], leads[first], pooled[first], len(places)


def _hope(lead: Interval) -> tuple[bool, bool, float]:
    """Orders leads: what is surely ahead, then what may be, then the rest, each by its mean."""
    return lead.low > 0, lead.high > 0, lead.mean


def _differing(chosen: Chosen, references: Mapping[str, Chosen]) -> int:
    """Returns on how many rows a way comes to something else than the best single model."""
    apart = chosen.outcomes - references["best single"].outcomes
    return int(np.count_nonzero(np.nan_to_num(apart)))


def _facts(
    rows: TaskRows,
    contenders: Sequence[Contender],
    curves: Sequence[Curve],
    confidence: float,
    progress: Progress | None,
) -> tuple[RouterFacts, ...]:
    by_name: Mapping[str, Curve] = {curve.name: curve for curve in curves[1:]}
    made = []
    for done, each in enumerate(contenders, 1):
        made.append(
            RouterFacts(
                name=each.name,
                kind=each.kind,
                latency=each.latency,
                training_seconds=each.training_seconds,
                bounds=upper_bounds(rows, each, threshold=confidence),
                reliability=reliability_of(each, rows.outcomes),
                quality=quality_reliability_of(each, rows.outcomes),
                curve=by_name.get(each.name),
                note=each.note,
            )
        )
        if progress:
            progress(done, len(contenders))
    return tuple(made)
