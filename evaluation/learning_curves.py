"""How fast outcomes teach: win rates by how many of them are known.

Pools of voters are drawn at random; of each, some outcomes are recorded, and every
way to choose is judged on the prompts that have none. The fit and the expected
qualities are those that serve.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.bootstrap import Interval
from scoring.calibrated import (
    PRIOR,
    JudgedAnswers,
    Prior,
    expected_quality,
    fit_calibration,
    relative_features,
)
from scoring.dataset import fit_global

Floats = NDArray[np.float64]
Form = Literal["whole", "single"]

COUNTS = (0, 5, 10, 20, 50, 100, 200)
"""Outcomes, or wholly judged prompts, that a curve has points at."""
CALIBRATED, LABELS_ONLY, AGREEMENT = "calibrated", "labels only", "agreement"
BEST_VOTER, RANDOM, LONGEST = "best voter", "random", "longest answer"
WAYS = (CALIBRATED, LABELS_ONLY, AGREEMENT, LONGEST, RANDOM, BEST_VOTER)
"""Ways to choose. `BEST_VOTER` knows every outcome: a bound."""

_TIE = 1e-9
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, eq=False)
class PoolData:
    """n prompts with the answers of K voters, all of them judged.

    Attributes:
        wins: (n, K) float64, quality of each answer, in [0, 1].
        features: (n, K, 3) float64, as from `relative_features`.
        noise: (K,) float64, over all n prompts, without labels.
        longest: (n,) index of the longest answer; -1 where lengths aren't known.
    """

    wins: Floats
    features: Floats
    noise: Floats
    longest: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What every way to choose is worth, with so many outcomes known.

    Attributes:
        form: "whole" where all answers to a prompt are judged, "single" where a
            random one is.
        outcomes: Prompts with outcomes.
        rates: For each of `WAYS`, the mean win rate over pools on the prompts
            without outcomes; the interval is a bootstrap over pools.
        gain: Of `CALIBRATED` over `LABELS_ONLY`, pool by pool.
        pools: How many pools it is over.
    """

    form: Form
    outcomes: int
    rates: dict[str, Interval]
    gain: Interval
    pools: int


def pool_data(
    wins: Floats, prompts: NDArray[np.float32], answers: NDArray[np.float32], log_length: Floats
) -> PoolData:
    """Measures a pool of K voters; prompts that aren't judged for all of them are left out.

    Args:
        wins: (n, K) quality of each answer, in [0, 1]; NaN where it wasn't judged.
        prompts: (n, d) vectors of the prompts.
        answers: (n, K, d) vectors of the answers.
        log_length: (n, K) log(1 + characters) of the answers; NaN where unknown.
    """
    judged = np.flatnonzero(np.isfinite(wins).all(axis=1))
    vectors = np.ascontiguousarray(answers[judged], np.float32)
    relevance = np.einsum("nd,nkd->nk", _unit(prompts[judged]), _unit(vectors))
    lengths = log_length[judged]
    longest = np.argmax(np.where(np.isnan(lengths), np.inf, lengths), axis=1)
    known = np.isfinite(lengths).all(axis=1)
    return PoolData(
        wins=wins[judged],
        features=relative_features(_distances(vectors), relevance, lengths),
        noise=fit_global(vectors).noise_variance,
        longest=np.where(known, longest, -1).astype(np.int64),
    )


def draw_pools(voters: int, size: int, pools: int, seed: int) -> list[NDArray[np.int64]]:
    """Draws different pools of voters at random; all there are, where they are fewer."""
    if math.comb(voters, size) <= pools:
        return [np.array(each) for each in itertools.combinations(range(voters), size)]
    generator, drawn = np.random.default_rng(seed), dict[tuple[int, ...], None]()
    while len(drawn) < pools:
        drawn[tuple(sorted(generator.choice(voters, size, replace=False).tolist()))] = None
    return [np.array(each) for each in drawn]


def learning_curves(
    pools: Sequence[PoolData],
    *,
    counts: Sequence[int] = COUNTS,
    forms: Sequence[Form] = ("whole", "single"),
    repeats: int = 4,
    seed: int = 0,
    prior: Prior = PRIOR,
    progress: Callable[[int, int], None] | None = None,
) -> list[CurvePoint]:
    """Simulates the curves; a pool takes part in the points for which it has prompts left.

    Args:
        pools: As from `pool_data`.
        counts: Prompts with outcomes.
        forms: How they were judged.
        repeats: How often outcomes are drawn anew for each pool.
        seed: Makes it repeatable: pool, repeat and count have draws of their own.
        prior: Of the fit.
        progress: Is told how many of all points are done.
    """
    points = []
    plan = [(form, count) for form in forms for count in counts]
    for done, (form, count) in enumerate(plan, start=1):
        rows = [
            np.mean(list(_repeats(pool, form, count, (seed, place), repeats, prior)), axis=0)
            for place, pool in enumerate(pools)
            if len(pool.wins) > count
        ]
        if rows:
            points.append(_point(form, count, np.array(rows)))
        if progress is not None:
            progress(done, len(plan))
    return points


def draw_outcomes(
    pool: PoolData, form: Form, count: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Returns (n, K) which answers are judged: those of `count` random prompts, all or one."""
    prompts, voters = pool.wins.shape
    rows = generator.permutation(prompts)[:count]
    judged = np.zeros((prompts, voters), np.bool_)
    if form == "whole":
        judged[rows] = True
    else:
        judged[rows, generator.integers(voters, size=count)] = True
    return judged


def judged_answers(pool: PoolData, judged: NDArray[np.bool_]) -> JudgedAnswers:
    """Returns the outcomes of the answers marked in (n, K), as the memory hands them over."""
    subject, voter = np.nonzero(judged)
    return JudgedAnswers(
        voters=_names(pool),
        subject=subject,
        voter=voter,
        quality=pool.wins[judged],
        count=np.ones(len(subject), np.int64),
        features=pool.features[judged],
    )


def labels_only(wins: Floats, judged: NDArray[np.bool_]) -> Floats:
    """Returns (K,) how probably each voter is chosen by the mean of its outcomes alone.

    A voter without outcomes counts as the mean of all outcomes; equals share the
    choice, and so do all voters where there is no outcome.
    """
    counts, sums = judged.sum(axis=0), np.where(judged, wins, 0.0).sum(axis=0)
    overall = sums.sum() / max(int(counts.sum()), 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    best = means >= means.max() - _TIE
    shares: Floats = best / best.sum()
    return shares


def calibrated_choice(pool: PoolData, judged: NDArray[np.bool_], prior: Prior) -> NDArray[np.int64]:
    """Returns (n,) the voter of the best expected quality, equals by noise."""
    fit = fit_calibration(judged_answers(pool, judged), pool.noise, prior)
    by_noise = np.argsort(pool.noise, kind="stable")
    if fit.outcomes == 0:
        return np.full(len(pool.wins), by_noise[0])
    quality = expected_quality(_names(pool), pool.noise, pool.features, fit)[:, by_noise]
    best = quality >= quality.max(axis=1, keepdims=True) - _TIE
    chosen: NDArray[np.int64] = by_noise[best.argmax(axis=1)]
    return chosen


def _repeats(
    pool: PoolData, form: Form, count: int, seeds: tuple[int, int], repeats: int, prior: Prior
) -> Iterator[Floats]:
    """Yields for each drawing the (W,) win rates of `WAYS` on prompts without outcomes."""
    for repeat in range(repeats):
        generator = np.random.default_rng([*seeds, repeat, count, form == "whole"])
        judged = draw_outcomes(pool, form, count, generator)
        yield _rates(pool, judged, prior)


def _rates(pool: PoolData, judged: NDArray[np.bool_], prior: Prior) -> Floats:
    rest = ~judged.any(axis=1)
    wins, longest = pool.wins[rest], pool.longest[rest]
    chosen = calibrated_choice(pool, judged, prior)[rest]
    means = wins.mean(axis=0)
    rows = np.arange(len(wins))
    by_length = np.where(longest >= 0, wins[rows, longest], wins.mean(axis=1))
    rates = {
        CALIBRATED: wins[rows, chosen].mean(),
        LABELS_ONLY: means @ labels_only(pool.wins, judged),
        AGREEMENT: means[np.argmin(pool.noise)],
        LONGEST: by_length.mean(),
        RANDOM: means.mean(),
        BEST_VOTER: means.max(),
    }
    return np.array([rates[way] for way in WAYS])


def _point(form: Form, count: int, rates: Floats) -> CurvePoint:
    """Averages (pools, W) rates."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(rates), size=(_RESAMPLES, len(rates)))
    gains = rates[:, WAYS.index(CALIBRATED)] - rates[:, WAYS.index(LABELS_ONLY)]
    return CurvePoint(
        form=form,
        outcomes=count,
        rates={way: _interval(rates[:, place], drawn) for place, way in enumerate(WAYS)},
        gain=_interval(gains, drawn),
        pools=len(rates),
    )


def _interval(values: Floats, drawn: NDArray[np.int64]) -> Interval:
    return Interval.of(float(values.mean()), values[drawn].mean(axis=1))


def _names(pool: PoolData) -> tuple[str, ...]:
    return tuple(map(str, range(pool.wins.shape[1])))


def _unit(vectors: NDArray[np.float32]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float64)
    unit: Floats = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return unit


def _distances(answers: NDArray[np.float32]) -> Floats:
    """Returns (n, K) mean squared distance of each answer to the others of its prompt."""
    others = answers.shape[1] - 1
    if others == 0:
        return np.full(answers.shape[:2], np.nan)
    vectors = answers.astype(np.float64)
    norms, total = np.square(vectors).sum(axis=2), vectors.sum(axis=1, keepdims=True)
    sums = answers.shape[1] * norms - 2 * (vectors * total).sum(axis=2)
    means: Floats = np.maximum(sums + norms.sum(axis=1, keepdims=True), 0.0) / others
    return means
