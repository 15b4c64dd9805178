"""What a router gives for its money: the cost-quality curve, its hull and its area.

After RouterBench (Hu et al., "RouterBench: A Benchmark for Multi-LLM Routing System",
2024, section 3): a router with a knob is a set of points, mean cost against mean quality;
drawing between two settings for each prompt reaches every point between two of them, so
what can be had is their non-decreasing convex hull; its mean height over a range of costs
is the average improvement in quality, AIQ. The hull of the single models alone is the zero
router: what can be had without looking at a prompt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval, resampled_means
from evaluation.routers.contenders import Contender, penalised_choices
from evaluation.ways import Floats, TaskRows, mean_of

_STEPS = 40
_RESAMPLES = 500


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A router's points, or those of the single models.

    Attributes:
        name: Of the router; `zero router` for the models.
        penalties: (P,) float64, the score given up per unit of cost; NaN for models.
        costs: (P,) float64, mean over the rows.
        qualities: (P,) float64, mean over the tasks with equal weight.
        hull: (H, 2) float64 of costs and qualities, both increasing.
        area: Mean height of the hull between the mean costs of the cheapest and the
            dearest model.
        lead: Of the area over that of the zero router, with draws in common; NaN for itself.
    """

    name: str
    penalties: Floats
    costs: Floats
    qualities: Floats
    hull: Floats
    area: Interval
    lead: Interval

    def cheapest_reaching(self, quality: float) -> float:
        """Returns the least cost of a point with this quality or more, NaN where none has."""
        enough = self.costs[self.qualities >= quality]
        return float(enough.min()) if enough.size else float("nan")


def hull_of(costs: Floats, qualities: Floats) -> Floats:
    """Returns the corners of the non-decreasing convex hull from above, cheapest first.

    Args:
        costs: (P,) float64, P at least 1.
        qualities: (P,) float64.

    Returns:
        (H, 2) float64, costs and qualities both strictly increasing, slopes decreasing.
    """
    corners: list[tuple[float, float]] = []
    for place in np.lexsort((-qualities, costs)):
        cost, quality = float(costs[place]), float(qualities[place])
        if corners and quality <= corners[-1][1]:
            continue
        while len(corners) > 1 and _turns_up(corners[-2], corners[-1], (cost, quality)):
            corners.pop()
        corners.append((cost, quality))
    return np.array(corners, np.float64)


def mean_height(hull: Floats, low: float, high: float) -> float:
    """Returns the mean quality of a hull over the costs from low to high.

    Right of its last corner a hull goes on level, since nobody must spend more; left of its
    first it is taken for level, too, so its first corner should lie at `low` or before.
    """
    if high <= low:
        return float(np.interp(low, hull[:, 0], hull[:, 1]))
    inner = hull[(hull[:, 0] > low) & (hull[:, 0] < high), 0]
    at = np.concatenate([[low], inner, [high]])
    return float(np.trapezoid(np.interp(at, hull[:, 0], hull[:, 1]), at) / (high - low))


def curves_of(
    rows: TaskRows, contenders: tuple[Contender, ...], *, seed: int = 0
) -> tuple[Curve, ...]:
    """Returns the curve of the single models and then one for each router.

    None where some model has no cost. A router whose own costs are not all known, or which
    does not know every model, has none. The cheapest model counts as a point of every
    router, for that is what a penalty without end comes to.

    Args:
        rows: n rows.
        contenders: Routers with their scores of the n rows.
        seed: Makes the intervals repeatable.
    """
    costs = mean_of(rows.costs)
    if np.isnan(costs).any():
        return ()
    zero = _points(rows, np.tile(np.arange(len(rows.models)), (len(rows.outcomes), 1)), seed)
    span = (float(costs.min()), float(costs.max()))
    heights = _areas(zero, span)
    curves = (_curve("zero router", np.full(len(costs), np.nan), zero, heights, None),)
    complete = (
        each for each in contenders if not np.isnan(each.costs).any() | np.isnan(each.scores).any()
    )
    return (*curves, *(_swept(rows, each, zero, span, seed) for each in complete))


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """P points: costs (P,), qualities (1 + R, P), of the rows themselves and as they were drawn."""

    costs: Floats
    qualities: Floats


def _swept(
    rows: TaskRows, contender: Contender, zero: _Points, span: tuple[float, float], seed: int
) -> Curve:
    penalties = penalties_of(contender.scores, contender.costs)
    made = _points(rows, penalised_choices(contender.scores, contender.costs, penalties), seed)
    cheapest = int(zero.costs.argmin())
    whole = _Points(
        np.append(made.costs, zero.costs[cheapest]),
        np.column_stack([made.qualities, zero.qualities[:, cheapest]]),
    )
    return _curve(
        contender.name, np.append(penalties, np.inf), whole, _areas(whole, span), _areas(zero, span)
    )


def penalties_of(scores: Floats, costs: Floats) -> Floats:
    """Returns penalties between the least and the greatest that change a choice, and 0.

    A model overtakes the best one of a row at the penalty (lead in score) / (lead in cost).
    The penalties are spaced evenly by logarithm between the 1st and the 99th percentile of
    these, for the ends may be decades away for the sake of a row.
    """
    best = scores.argmax(axis=1)
    scores_ahead = scores[np.arange(len(scores)), best][:, None] - scores
    costs_ahead = costs[best][:, None] - costs
    matters = (costs_ahead > 0) & (scores_ahead > 0)
    turns = scores_ahead[matters] / costs_ahead[matters]
    if not turns.size:
        return np.zeros(1)
    low, high = np.quantile(turns, [0.01, 0.99])
    return np.concatenate([[0.0], np.geomspace(low, high, _STEPS)])


def _points(rows: TaskRows, choices: NDArray[np.int64], seed: int) -> _Points:
    outcomes = np.take_along_axis(rows.outcomes, choices, axis=1)
    costs = np.take_along_axis(rows.costs, choices, axis=1)
    drawn = resampled_means(outcomes, rows.strata, seed=seed, resamples=_RESAMPLES)
    tasks = np.concatenate([rows.task_means(outcomes)[None], drawn])
    return _Points(mean_of(costs), mean_of(tasks.transpose(1, 0, 2)))


def _areas(points: _Points, span: tuple[float, float]) -> Floats:
    """Returns the (1 + R,) areas of points as they are, and as they were drawn."""
    return np.array([mean_height(hull_of(points.costs, each), *span) for each in points.qualities])


def _curve(
    name: str, penalties: Floats, points: _Points, areas: Floats, zero: Floats | None
) -> Curve:
    leads = np.full_like(areas, np.nan) if zero is None else areas - zero
    return Curve(
        name=name,
        penalties=penalties,
        costs=points.costs,
        qualities=points.qualities[0],
        hull=hull_of(points.costs, points.qualities[0]),
        area=Interval.of(float(areas[0]), areas[1:]),
        lead=Interval.of(float(leads[0]), leads[1:]),
    )


def _turns_up(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Whether the middle lies on or under the line from the first to the last."""
    rise = (middle[1] - first[1]) * (last[0] - first[0])
    return rise <= (last[1] - first[1]) * (middle[0] - first[0])
