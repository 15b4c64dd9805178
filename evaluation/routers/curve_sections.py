"""The sections of the report that are curves: cost against quality, and calibration."""

from collections.abc import Sequence

import numpy as np

from evaluation.report import (
    Column,
    Line,
    Lines,
    Point,
    Section,
    Table,
    Tone,
    percent,
    signed_points,
    spread,
)
from evaluation.routers.curve import Curve
from evaluation.routers.reliability import Reliability
from evaluation.routers.standings import RoutingEvaluation
from evaluation.ways import Floats

_MOST_LINES = 6
_SAMPLES = 80
# Ratio of costs from which on their axis is logarithmic.
_WIDE = 20
# Fewer prompts in a bin are noise to the eye.
_LEAST_SHOWN = 5


def cost_section(evaluation: RoutingEvaluation) -> Section | None:
    """Returns the cost-quality curves, where every cost is known."""
    if evaluation.zero is None:
        return None
    curves = [each.curve for each in evaluation.facts if each.curve is not None]
    parts = (_cost_plot(evaluation, evaluation.zero, curves), _area_table(evaluation.zero, curves))
    return Section("Cost and quality", parts)


def _cost_plot(evaluation: RoutingEvaluation, zero: Curve, curves: Sequence[Curve]) -> Lines:
    shown = sorted(curves, key=lambda each: -each.area.mean)[:_MOST_LINES]
    costs = zero.costs
    logarithmic = bool(costs.min() > 0 and costs.max() / costs.min() > _WIDE)
    space = np.geomspace if logarithmic else np.linspace
    at = space(float(costs.min()), float(costs.max()), _SAMPLES)
    lines = [_hull(zero, at, dashed=True), *(_hull(each, at) for each in shown)]
    points = (
        Point(each.way.name, each.way.mean_cost, 100 * each.way.average.mean)
        for each in evaluation.alone
    )
    areas = ", ".join(f"{each.name} {percent(each.area.mean)}" for each in (zero, *shown))
    return Lines(
        title="What can be had for how much: higher and further to the left is better",
        alt=f"Cost-quality curves; mean accuracy in % over the range of costs: {areas}.",
        x_label="mean cost of a call",
        y_label="accuracy in %",
        lines=tuple(lines),
        points=tuple(points),
        logarithmic=logarithmic,
    )


def _hull(curve: Curve, at: Floats, *, dashed: bool = False) -> Line:
    """Draws a hull at many costs, for a straight line is none over a logarithmic axis."""
    return Line(
        name="single models, mixed at random" if dashed else curve.name,
        x=tuple(at.tolist()),
        y=tuple((100 * np.interp(at, curve.hull[:, 0], curve.hull[:, 1])).tolist()),
        tone=Tone.BASE if dashed else Tone.OTHER,
        dashed=dashed,
    )


def _area_table(zero: Curve, curves: Sequence[Curve]) -> Table:
    rows = [
        (
            each.name,
            percent(each.area.mean, 2),
            spread(each.area, 2),
            signed_points(each.lead.mean, 2) if each is not zero else "",
            spread(each.lead, 2, signed=True),
        )
        for each in (zero, *curves)
    ]
    return Table(
        title="Area under the cost-quality hull",
        columns=(
            Column("Router", numeric=False),
            Column("Area (AIQ), %"),
            Column("95 % interval"),
            Column("Over zero router"),
            Column("its interval"),
        ),
        rows=tuple(rows),
        note="The zero router draws among the single models without looking at the prompt.",
    )


def calibration_section(evaluation: RoutingEvaluation) -> Section | None:
    """Returns how far what the routers say of their choices is from what came."""
    plots = [
        _reliability_plot(
            "When it expects so many right answers, how many are right?",
            "expected quality of the chosen model's answer",
            "mean quality that came",
            [(each.name, each.quality) for each in evaluation.facts],
        ),
        _reliability_plot(
            "When it is so sure that a model is the best, how often is it?",
            "probability of the best score's model to be the best one, by the calibration",
            "how often it was, ties shared",
            [(each.name, each.reliability) for each in evaluation.facts],
        ),
    ]
    shown = tuple(each for each in plots if each is not None)
    return Section("Does it know how sure it is?", shown) if shown else None


def _reliability_plot(
    title: str, said: str, came: str, measured: Sequence[tuple[str, Reliability | None]]
) -> Lines | None:
    given = [(name, each) for name, each in measured if each is not None and each.bins]
    if not given:
        return None
    lines = [
        Line(
            f"{name} (ECE {each.error:.3f})",
            tuple(one.said for one in each.bins if one.prompts >= _LEAST_SHOWN),
            tuple(one.came for one in each.bins if one.prompts >= _LEAST_SHOWN),
            marked=True,
        )
        for name, each in given[:_MOST_LINES]
    ]
    errors = ", ".join(f"{name} {each.error:.3f}" for name, each in given)
    perfect = Line("as it should be", (0.0, 1.0), (0.0, 1.0), tone=Tone.BOUND, dashed=True)
    return Lines(
        title=title,
        alt=f"{title} Expected calibration error: {errors}.",
        x_label=said,
        y_label=came,
        lines=(perfect, *lines),
    )
