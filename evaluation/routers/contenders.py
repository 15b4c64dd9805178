"""Routers to compare, with all that they say of the prompts, and how a model is chosen from it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import UnreadableDataError
from evaluation.scores.table import ScoreTable
from evaluation.ways import Choices, Floats
from scoring.errors import ScoringError
from scoring.policies import Policy, choose
from scoring.routers import RouterScores


@dataclass(frozen=True, slots=True, eq=False)
class Latency:
    """Seconds of m prompts, each routed alone.

    Attributes:
        encode: (m,) float64, from text to vector.
        score: (m,) float64, from vector to scores.
    """

    encode: Floats
    score: Floats

    def quantile(self, share: float) -> float:
        """Returns the time that this share of the prompts stayed within."""
        return float(np.quantile(self.encode + self.score, share))

    def median_score(self) -> float:
        """Returns the median of the router's own part."""
        return float(np.median(self.score))


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A router and its scores of n prompts.

    Attributes:
        name: As the report calls it.
        kind: How it works.
        scores: (n, K) float64 in the order of the table's models; NaN for a model that the
            router does not know.
        costs: (K,) float64 of a call, by which policies weigh; NaN where unknown.
        temperature: Of the calibration; None where there is none.
        latency: None where it was not measured.
        training_seconds: NaN where it isn't known.
        practice: (m, K) float64 scores of training rows that policies learn from, of rows that
            the router had not seen where that can be had; None where there are none.
        note: What a reader must know of it.
    """

    name: str
    kind: str
    scores: Floats
    costs: Floats
    temperature: float | None = None
    latency: Latency | None = None
    training_seconds: float = float("nan")
    practice: Floats | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy for every prompt.

    Attributes:
        name: As the report calls it.
        of_router: For a router, what gives the policy for the prompt of a row, from 0, as a
            draw has a seed per row.
    """

    name: str
    of_router: Callable[[Contender], Callable[[int], Policy]]


def aligned(table: ScoreTable, scores: RouterScores) -> Floats:
    """Puts a router's scores in the order of a table's models, NaN for those it doesn't know.

    A model that the table has no scores of is left out, as if it might not be called.

    Raises:
        UnreadableDataError: The table has none of the router's models.
    """
    places = {model: column for column, model in enumerate(scores.models)}
    if not places.keys() & set(table.models):
        raise UnreadableDataError(
            f"The data has none of the router's models: {', '.join(scores.models)}; "
            "name the models as the router does."
        )
    made = np.full((len(scores.scores), len(table.models)), np.nan)
    for column, model in enumerate(table.models):
        if model in places:
            made[:, column] = scores.scores[:, places[model]]
    return made


def choices_of(models: tuple[str, ...], contender: Contender, applied: Applied) -> Choices:
    """Chooses a model for each of n prompts, by the code that serves.

    Only the models that the router knows may be called.

    Returns:
        (n,) int64 places among the models.

    Raises:
        ScoringError: The policy can't be had of this router.
        UnreadableDataError: The policy is learned, and there is nothing to learn it from.
    """
    of_row = applied.of_router(contender)
    known = np.flatnonzero(~np.isnan(contender.scores).all(axis=0))
    names, costs = [models[place] for place in known], contender.costs[known]
    chosen = (
        choose(of_row(row), names, scores, costs).index
        for row, scores in enumerate(contender.scores[:, known])
    )
    try:
        return known[np.fromiter(chosen, np.int64, len(contender.scores))]
    except ScoringError as error:
        raise type(error)(f"{contender.name} by {applied.name}: {error}") from error


def penalised_choices(scores: Floats, costs: Floats, penalties: Floats) -> NDArray[np.int64]:
    """Chooses by score - penalty * cost, for many penalties at once.

    It is `scoring.policies.choose` with `CostPenalty`, without a call for every prompt.

    Args:
        scores: (n, K) float64; each row has one that isn't NaN.
        costs: (K,) float64, all known.
        penalties: (P,) float64, 0 or more.

    Returns:
        (n, P) int64 places of models; of equals the cheapest, then the first.
    """
    by_cost = np.argsort(costs, kind="stable")
    ordered = np.where(np.isnan(scores), -np.inf, scores)[:, by_cost]
    worth = [(ordered - penalty * costs[by_cost]).argmax(axis=1) for penalty in penalties]
    return np.asarray(by_cost[np.stack(worth, axis=1)], np.int64)
