"""Win rates of ways to choose among answers, and how sure they are.

Every rate is a mean over prompts of (n,) float64 outcomes, the win probability
of the chosen answer; a prompt whose outcome is NaN was not judged and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 200


@dataclass(frozen=True, slots=True)
class WinRate:
    """A mean with a bootstrap interval.

    Attributes:
        mean: In [0, 1]; NaN where nothing was judged.
        low: Lower end of the interval.
        high: Upper end.
        prompts: How many prompts it is over.
    """

    mean: float
    low: float
    high: float
    prompts: int


def win_rate(
    outcomes: NDArray[np.float64], *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> WinRate:
    """Averages outcomes, with a percentile bootstrap interval over prompts.

    Args:
        outcomes: (n,) win probability of the choice for each prompt.
        seed: Makes the interval repeatable.
        resamples: How often the prompts are drawn anew.
        level: Share of resampled means inside the interval.
    """
    judged = outcomes[~np.isnan(outcomes)]
    if not judged.size:
        return WinRate(np.nan, np.nan, np.nan, 0)
    means = _resampled_means(judged, np.random.default_rng(seed), resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return WinRate(float(judged.mean()), float(low), float(high), judged.size)


def choice_outcomes(wins: NDArray[np.float64], choice: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the (n,) outcomes of choosing voter `choice[i]` for prompt i.

    Args:
        wins: (n, K) win probability of each answer.
        choice: (n,) index of a voter.
    """
    chosen: NDArray[np.float64] = np.take_along_axis(wins, choice[:, None], axis=1)[:, 0]
    return chosen


def random_outcomes(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (n,) expected outcomes of a voter drawn at random among the judged."""
    judged = ~np.isnan(wins)
    sums, counts = np.where(judged, wins, 0).sum(axis=1), judged.sum(axis=1)
    outcomes = np.full(len(wins), np.nan)
    np.divide(sums, counts, out=outcomes, where=counts > 0)
    return outcomes


def oracle_outcomes(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the (n,) outcomes of always choosing the answer that the judge likes best."""
    best = np.where(np.isnan(wins), -np.inf, wins).max(axis=1)
    return np.where(np.isneginf(best), np.nan, best)


def longest_choice(texts: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Returns the (n,) voter whose answer has most characters, the first of equals."""
    return np.array([np.argmax([len(text) for text in each]) for each in texts], np.int64)


def best_single(wins: NDArray[np.float64]) -> int:
    """Returns the voter that wins most, over the prompts where it was judged.

    It is found with the judge's own outcomes: a bound, not a way to choose.
    """
    rates = [win_rate(wins[:, voter], resamples=1).mean for voter in range(wins.shape[1])]
    return int(np.nanargmax(rates))


def _resampled_means(
    outcomes: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Draws in blocks, so that memory stays small however many prompts there are."""
    blocks = [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]
    drawn = (generator.integers(outcomes.size, size=(rows, outcomes.size)) for rows in blocks)
    return np.concatenate([outcomes[each].mean(axis=1) for each in drawn])
