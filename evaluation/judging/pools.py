"""Many pools of some of the voters: what choosing comes to when the voters are others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.judging.comparison import Comparison, Measured, compare
from evaluation.judging.roster import Roster
from evaluation.judging.ways import BEST_SINGLE, RANDOM, Floats
from evaluation.texts import Progress
from evaluation.ways import mean_of
from evaluation.win_rate import best_single


@dataclass(frozen=True, slots=True)
class PoolWay:
    """How a way fared over many pools.

    Attributes:
        name: Of the way.
        least: Its smallest lead over random in a pool.
        most: Its largest.
        over_random: Share of pools in which it is above random.
        over_best: Share of pools in which it is above the pool's best single model.
    """

    name: str
    least: float
    most: float
    over_random: float
    over_best: float


@dataclass(frozen=True, slots=True, eq=False)
class PoolStudy:
    """All ways over many pools of one size.

    Attributes:
        size: Voters in a pool.
        pools: How many.
        comparison: Of each prompt's mean over the pools; `found` is the share of pools and
            prompts in which the pool's best single model was chosen.
        ways: Pool by pool.
    """

    size: int
    pools: int
    comparison: Comparison
    ways: tuple[PoolWay, ...]


def study_pools(
    roster: Roster,
    pools: Sequence[NDArray[np.int64]],
    *,
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
) -> PoolStudy:
    """Measures every way in every pool.

    Args:
        roster: The ways.
        pools: The columns of each; at least one, all of one size.
        seed: Of the intervals.
        done: Called after each pool.
    """
    found: list[dict[str, Measured]] = []
    for pool in pools:
        found.append({each.name: each for each in _measured(roster, pool)})
        done()
    names = list(found[0])
    averaged = [_over_pools([each[name] for each in found]) for name in names]
    means = {name: np.array([_rate(each[name].outcomes) for each in found]) for name in names}
    return PoolStudy(
        len(pools[0]),
        len(pools),
        compare(averaged, "the best model of each pool", seed=seed),
        tuple(_pool_way(name, means) for name in names),
    )


def curve_sizes(voters: int) -> range:
    """Returns the sizes of pools that a curve goes over: 3 to 10, or to all voters."""
    return range(3, min(10, voters) + 1)


def study_sizes(
    roster: Roster, pools: int, *, seed: int = 0, progress: Progress | None = None
) -> Iterator[PoolStudy]:
    """Yields a study for each of `curve_sizes`.

    A smaller pool is part of a larger one, so that sizes are compared on like pools.

    Args:
        roster: The ways.
        pools: Most pools of each size.
        seed: Of the pools and the intervals.
        progress: Told how many of all pools are measured.
    """
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(roster.voters) for _ in range(pools)]
    drawn = [_beginnings(orders, size) for size in curve_sizes(roster.voters)]
    total, measured = sum(map(len, drawn)), 0

    def one_more() -> None:
        nonlocal measured
        measured += 1
        if progress:
            progress(measured, total)

    for each in drawn:
        yield study_pools(roster, each, seed=seed, done=one_more)


def _beginnings(orders: Sequence[NDArray[np.int64]], size: int) -> list[NDArray[np.int64]]:
    """Returns the different pools that the first voters of each order make."""
    pools = dict.fromkeys(tuple(sorted(order[:size].tolist())) for order in orders)
    return [np.array(pool, np.int64) for pool in pools]


def _measured(roster: Roster, columns: NDArray[np.int64]) -> Iterator[Measured]:
    wins = roster.embedded.judged.wins[:, columns]
    best = best_single(wins)
    for way in roster.ways(columns):
        yield Measured.of(way, wins, best)


def _over_pools(measured: Sequence[Measured]) -> Measured:
    outcomes = mean_of(np.stack([each.outcomes for each in measured]))
    found = float(np.mean([each.found for each in measured]))
    return Measured(measured[0].name, measured[0].kind, outcomes, found)


def _rate(outcomes: Floats) -> float:
    return float(mean_of(outcomes))


def _pool_way(name: str, means: dict[str, Floats]) -> PoolWay:
    lead = means[name] - means[RANDOM]
    above = means[name] > means[BEST_SINGLE]
    return PoolWay(
        name, float(lead.min()), float(lead.max()), float((lead > 0).mean()), float(above.mean())
    )
