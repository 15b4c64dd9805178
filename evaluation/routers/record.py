"""The evaluation as a JSON object; `docs/evaluate.md` has its fields."""

from evaluation.report import json_value
from evaluation.routers.curve import Curve
from evaluation.routers.headline import headline_of
from evaluation.routers.standings import RouterFacts, RoutingEvaluation, Standing

SCHEMA = "pointsman-evaluate-routing/1"


def evaluation_record(evaluation: RoutingEvaluation) -> dict[str, object]:
    """Returns the evaluation as an object; shares are from 0 to 1, null where undefined."""
    headline = headline_of(evaluation)
    best = None if evaluation.best is None else evaluation.routers[evaluation.best].way.name
    record = {
        "schema": SCHEMA,
        "headline": headline.sentence,
        "verdict": headline.verdict.value,
        "best_router": best,
        "best_single": evaluation.best_single,
        "best_single_found_on": "training rows" if evaluation.trained else "these rows",
        "lead": evaluation.lead,
        "lead_with_equal_prompts": evaluation.pooled,
        "compared": evaluation.compared,
        "differing_prompts": evaluation.differing,
        "seed": evaluation.seed,
        "models": evaluation.models,
        "tasks": [
            {"task": task, "rows": rows, "positive": positive}
            for task, rows, positive in zip(
                evaluation.tasks, evaluation.rows, evaluation.positive, strict=True
            )
        ],
        "ways": [_standing(evaluation, each) for each in evaluation.all_standings],
        "routers": [_facts(each) for each in evaluation.facts],
        "zero_router": _curve(evaluation.zero),
    }
    made = json_value(record)
    assert isinstance(made, dict)  # noqa: S101 - a mapping becomes an object
    return made


def _standing(evaluation: RoutingEvaluation, standing: Standing) -> dict[str, object]:
    way = standing.way
    return {
        "role": standing.role.value,
        "key": standing.key.replace(" ", "_"),
        "name": way.name,
        "router": standing.router or None,
        "policy": standing.policy or None,
        "average": way.average,
        "tasks": dict(zip(evaluation.tasks, way.tasks, strict=True)),
        "lead_over_best_single": standing.lead,
        "lead_with_equal_prompts": standing.pooled,
        "gap_to_oracle": standing.gap,
        "gap_closed": standing.closed,
        "mean_cost": way.mean_cost,
        "unscored": way.unscored,
        "share_of_calls": dict(zip(evaluation.models, standing.shares, strict=True))
        if standing.shares
        else None,
    }


def _facts(facts: RouterFacts) -> dict[str, object]:
    latency = facts.latency
    return {
        "name": facts.name,
        "kind": facts.kind,
        "note": facts.note,
        "training_seconds": facts.training_seconds,
        "latency_seconds": latency
        and {
            "prompts": len(latency.encode),
            "p50": latency.quantile(0.5),
            "p99": latency.quantile(0.99),
            "score_p50": latency.median_score(),
        },
        "upper_bounds": facts.bounds,
        "reliability": facts.reliability,
        "quality_reliability": facts.quality,
        "curve": _curve(facts.curve),
    }


def _curve(curve: Curve | None) -> dict[str, object] | None:
    if curve is None:
        return None
    return {
        "points": [
            {"penalty": penalty, "mean_cost": cost, "average": quality}
            for penalty, cost, quality in zip(
                curve.penalties, curve.costs, curve.qualities, strict=True
            )
        ],
        "hull": curve.hull,
        "area": curve.area,
        "lead_over_zero_router": curve.lead,
    }
