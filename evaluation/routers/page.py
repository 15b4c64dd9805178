"""The evaluation as a report for a person."""

import math
from collections.abc import Iterator, Sequence

from evaluation.report import (
    Bar,
    IntervalBars,
    KeyFigure,
    Report,
    Section,
    Tone,
    cost,
    percent,
    points,
    signed_points,
    spread,
)
from evaluation.routers.curve_sections import calibration_section, cost_section
from evaluation.routers.definitions import definitions_of
from evaluation.routers.headline import headline_of
from evaluation.routers.sections import (
    calls_section,
    label_of,
    router_section,
    task_section,
    way_section,
)
from evaluation.routers.standings import Role, RoutingEvaluation, Standing

_MOST_BARS = 10


def routing_page(evaluation: RoutingEvaluation, facts: Sequence[tuple[str, str]] = ()) -> Report:
    """Makes a report: its first sentence is the answer.

    Args:
        evaluation: What was found.
        facts: Name and value of what it was made from, for the foot.
    """
    headline = headline_of(evaluation)
    sections = (
        way_section(evaluation),
        cost_section(evaluation),
        task_section(evaluation),
        calls_section(evaluation),
        router_section(evaluation),
        calibration_section(evaluation),
    )
    prompts, models = sum(evaluation.rows), len(evaluation.models)
    return Report(
        title=f"Does routing pay? Measured on {prompts:,} prompts and {models} models",
        verdict=headline.verdict,
        headline=headline.sentence,
        summary=tuple(_summary(evaluation)),
        figures=tuple(_figures(evaluation)),
        first=_bars(evaluation),
        sections=tuple(each for each in sections if isinstance(each, Section)),
        definitions=definitions_of(evaluation),
        facts=(*facts, ("Seed", str(evaluation.seed))),
    )


def _summary(evaluation: RoutingEvaluation) -> Iterator[str]:
    yield from _cost_sentence(evaluation)
    yield from _pooled_sentence(evaluation)
    yield from _task_sentence(evaluation)
    turned_out = max(evaluation.alone, key=_worth)
    if not evaluation.trained:
        yield (
            f"{evaluation.best_single} was found to be the best single model on these very "
            "prompts, which flatters it; name training rows to find it on."
        )
    elif turned_out.way.name != evaluation.best_single:
        yield (
            f"{evaluation.best_single} was best on the training rows; on these prompts "
            f"{turned_out.way.name} turned out best, with "
            f"{percent(turned_out.way.average.mean)} %."
        )
    if unscored := max((each.way.unscored for each in evaluation.routers), default=0):
        yield f"Up to {unscored} prompts are left out, for the chosen model has no score on them."


def _cost_sentence(evaluation: RoutingEvaluation) -> Iterator[str]:
    single = evaluation.standing_of_best_single().way.mean_cost
    if evaluation.best is None or not single > 0:
        return
    routed = evaluation.routers[evaluation.best].way.mean_cost
    if math.isfinite(routed):
        yield (
            f"A call costs {cost(routed)} on average, and {cost(single)} with "
            f"{evaluation.best_single}: {_change(routed / single - 1)}."
        )
    router = _best_router(evaluation)
    curve = next((each.curve for each in evaluation.facts if each.name == router), None)
    if curve is not None:
        yield (
            f"Over all that a call may cost, {router} with a penalty on costs is "
            f"{_beside(curve.lead.mean)} single models mixed at random (95 % interval "
            f"{spread(curve.lead, signed=True)})."
        )
    quality = evaluation.standing_of_best_single().way.average.mean
    least = curve.cheapest_reaching(quality) if curve else math.nan
    if math.isfinite(least) and least < min(single, routed):
        yield (
            f"With a penalty on costs it reaches the accuracy of {evaluation.best_single} for "
            f"{cost(least)} a call, {_change(least / single - 1)}; that penalty was found on these "
            "prompts."
        )


def _pooled_sentence(evaluation: RoutingEvaluation) -> Iterator[str]:
    if evaluation.best is None or len(evaluation.tasks) < 2:
        return
    pooled = evaluation.pooled
    few = min(range(len(evaluation.tasks)), key=lambda each: evaluation.rows[each])
    yield (
        f"Each task counts the same here, {evaluation.tasks[few]} with its "
        f"{evaluation.rows[few]:,} prompts as much as any. Were each prompt to count the same, the "
        f"difference would be {signed_points(pooled.mean)} points "
        f"(95 % interval {spread(pooled, signed=True)})."
    )


def _task_sentence(evaluation: RoutingEvaluation) -> Iterator[str]:
    known = evaluation.reference("best per task")
    if known is None or len(evaluation.tasks) < 2:
        return
    sentence = (
        "To know the task of each prompt and nothing else, and call that task's best model, "
        f"reaches {percent(known.way.average.mean)} %"
    )
    if evaluation.best is None:
        yield f"{sentence}."
        return
    apart = evaluation.routers[evaluation.best].way.average.mean - known.way.average.mean
    yield f"{sentence}: the router is {_beside(apart)} that."


def _figures(evaluation: RoutingEvaluation) -> Iterator[KeyFigure]:
    single = evaluation.standing_of_best_single()
    best_single = _accuracy_figure("Always the best model", single, evaluation.best_single)
    if evaluation.best is None:
        yield best_single
        if oracle := evaluation.reference("oracle"):
            yield _accuracy_figure("Oracle", oracle, "the best model of every prompt")
        return
    standing = evaluation.routers[evaluation.best]
    yield _accuracy_figure("Routing", standing, standing.way.name)
    yield best_single
    apart = spread(evaluation.lead, signed=True)
    yield KeyFigure(
        "Difference, in points", signed_points(evaluation.lead.mean), f"95 % interval {apart}"
    )
    yield from _last_figure(standing, single)


def _last_figure(standing: Standing, single: Standing) -> Iterator[KeyFigure]:
    """The cost where it is known, else how much of what is possible was reached."""
    routed, alone = standing.way.mean_cost, single.way.mean_cost
    if alone > 0 and math.isfinite(routed):
        yield KeyFigure("Cost of a call", cost(routed), _change(routed / alone - 1))
    elif math.isfinite(standing.closed.mean):
        yield KeyFigure(
            "Of what is possible",
            f"{percent(standing.closed.mean, 0)} %",
            "of the gap to an oracle that knows the best model of every prompt",
        )


def _accuracy_figure(label: str, standing: Standing, name: str) -> KeyFigure:
    average = standing.way.average
    return KeyFigure(label, f"{percent(average.mean)} %", f"{name}; {spread(average)}")


def _bars(evaluation: RoutingEvaluation) -> IntervalBars:
    routers = sorted(evaluation.routers, key=lambda each: -_worth(each))[:_MOST_BARS]
    shown = (*evaluation.baselines, *reversed(routers), *evaluation.bounds)
    single = evaluation.standing_of_best_single().way.average.mean
    bars = tuple(_bar(evaluation, each) for each in shown)
    said = ", ".join(f"{bar.label} {bar.value:.1f}" for bar in bars)
    return IntervalBars(
        title="Average accuracy of each way to choose a model, in %, with 95 % intervals",
        alt=f"Accuracy in %: {said}.",
        x_label="accuracy in %; dashed: the best single model",
        bars=bars,
        reference=100 * single,
    )


def _bar(evaluation: RoutingEvaluation, standing: Standing) -> Bar:
    average = standing.way.average
    main = standing.role is Role.ROUTER and standing.way.name == _best_name(evaluation)
    tones = {
        Role.ROUTER: Tone.MAIN if main else Tone.OTHER,
        Role.BASELINE: Tone.BASE if standing.key == "best single" else Tone.PLAIN,
        Role.BOUND: Tone.BOUND,
        Role.MODEL: Tone.PLAIN,
    }
    return Bar(
        label_of(standing), 100 * average.mean, 100 * average.low, 100 * average.high,
        tones[standing.role],
    )  # fmt: skip


def _beside(difference: float) -> str:
    shown = signed_points(difference)
    side = "above" if shown.startswith("+") else "below" if shown.startswith("-") else "apart from"
    return f"{points(difference)} points {side}"


def _change(share: float) -> str:
    return f"{abs(100 * share):.0f} % {'less' if share < 0 else 'more'}"


def _best_router(evaluation: RoutingEvaluation) -> str:
    return "" if evaluation.best is None else evaluation.routers[evaluation.best].router


def _best_name(evaluation: RoutingEvaluation) -> str:
    return "" if evaluation.best is None else evaluation.routers[evaluation.best].way.name


def _worth(standing: Standing) -> float:
    mean = standing.way.average.mean
    return mean if math.isfinite(mean) else -math.inf
