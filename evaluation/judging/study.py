"""All that is found out about choosing among the answers of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.judging.calibrating import judged_pool
from evaluation.judging.comparison import Comparison, Measured, compare
from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.labelled import LabelledScores, cross_fitting
from evaluation.judging.pairwise import PairwiseWins
from evaluation.judging.pools import PoolStudy, study_pools, study_sizes
from evaluation.judging.roster import Roster
from evaluation.learning_curves import CurvePoint, draw_pools, learning_curves
from evaluation.texts import Progress
from evaluation.win_rate import best_single

_LEAST_CURVE_PROMPTS = 10
_CURVE_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be found out.

    Attributes:
        neighbours: For Smoothie-Local, how many nearest prompts; one way for each.
        labels: Most labelled prompts that the labelled ways rest on; 0 for no such way.
        label_neighbours: How many of them the nearest are.
        repeats: How often labelled prompts are drawn.
        pools: How many pools of some of the voters are tried; 0 for none.
        pool_size: Voters in a pool.
        seed: Of every draw.
    """

    neighbours: tuple[int, ...] = (5, 20)
    labels: int = 50
    label_neighbours: int = 10
    repeats: int = 5
    pools: int = 30
    pool_size: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class GenerationStudy:
    """What was found out.

    Attributes:
        plan: What was asked.
        voters: Names of the V voters.
        prompts: How many prompts there are, n.
        judged: How many answers were judged.
        truncated: Texts that were longer than the encoder reads.
        comparison: Of all ways among all voters.
        pools: Of pools of `plan.pool_size`; None where none were tried.
        sizes: Of pools of 3, 4, ... voters.
        curve: By how many outcomes are known; empty where too little is judged in full.
        curve_pools: How many pools the curve is over.
        curve_size: Voters in each of them.
    """

    plan: Plan
    voters: tuple[str, ...]
    prompts: int
    judged: int
    truncated: int
    comparison: Comparison
    pools: PoolStudy | None
    sizes: tuple[PoolStudy, ...]
    curve: tuple[CurvePoint, ...]
    curve_pools: int
    curve_size: int


def study_generations(
    embedded: EmbeddedAnswers,
    plan: Plan,
    pairwise: Sequence[PairwiseWins] = (),
    progress: Callable[[str], Progress] | None = None,
) -> GenerationStudy:
    """Measures every way to choose.

    Args:
        embedded: The answers, the judgements and where all lie.
        plan: What to find out.
        pairwise: What pairwise rankers said of these answers.
        progress: Given the name of a stage, returns what is told of it.
    """
    judged = embedded.judged
    told = progress or (lambda _: lambda *_: None)
    roster = Roster(embedded, plan.neighbours, _labelled(embedded, plan), pairwise)
    best = best_single(judged.wins)
    ways = [Measured.of(way, judged.wins, best) for way in roster.every_way()]
    columns = _pools(roster.voters, plan)
    sizes: tuple[PoolStudy, ...] = ()
    if columns:
        report = told("Pools")
        sizes = tuple(study_sizes(roster, plan.pools, seed=plan.seed, progress=report))
    curve_columns = columns or [np.arange(roster.voters)]
    return GenerationStudy(
        plan=plan,
        voters=judged.voters,
        prompts=len(judged.prompts),
        judged=int(np.isfinite(judged.wins).sum()),
        truncated=embedded.truncated,
        comparison=compare(ways, judged.voters[best], seed=plan.seed),
        pools=study_pools(roster, columns, seed=plan.seed) if columns else None,
        sizes=sizes,
        curve=_curve(embedded, curve_columns, plan, told("Learning curve")),
        curve_pools=len(curve_columns),
        curve_size=len(curve_columns[0]),
    )


def _labelled(embedded: EmbeddedAnswers, plan: Plan) -> LabelledScores | None:
    wins = embedded.judged.wins
    if plan.labels < 1:
        return None
    draws = cross_fitting(wins, plan.labels, repeats=plan.repeats, seed=plan.seed)
    if not draws:
        return None
    return LabelledScores.of(embedded.prompts, wins, draws, plan.labels, plan.label_neighbours)


def _pools(voters: int, plan: Plan) -> list[NDArray[np.int64]]:
    """Draws pools of fewer voters than there are; none where there are too few."""
    if plan.pools < 1 or voters <= plan.pool_size:
        return []
    return draw_pools(voters, plan.pool_size, plan.pools, plan.seed)


def _curve(
    embedded: EmbeddedAnswers,
    columns: Sequence[NDArray[np.int64]],
    plan: Plan,
    progress: Progress,
) -> tuple[CurvePoint, ...]:
    if plan.labels < 1:
        return ()
    pools = [judged_pool(embedded.of_voters(each)) for each in columns]
    if min(len(each.wins) for each in pools) < _LEAST_CURVE_PROMPTS:
        return ()
    return tuple(learning_curves(pools, repeats=_CURVE_REPEATS, seed=plan.seed, progress=progress))
