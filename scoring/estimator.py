"""Smoothie on one request: alone, over its neighbourhood, or over a whole pool.

Guha, Chen, Chow, Khare and Ré, "Smoothie: Label Free Language Model Routing",
NeurIPS 2024: an answer that lies close to the others carries less noise.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.answers import Answers
from scoring.errors import InvalidArrayError
from scoring.evidence import Neighbourhood, Totals
from scoring.kernels.request import Sums, estimate
from scoring.kernels.solve import solve_each, solve_noise
from scoring.pairs import pair_count
from scoring.validation import as_distances, as_list, as_rows, as_vector

_Number = TypeVar("_Number", bound=np.generic)

_NO_SUMS, _NO_COUNTS = np.zeros(0), np.zeros(0, np.int64)
_NO_ROWS = np.zeros((0, 0), np.float32)
_NO_TOTALS: Sums = (_NO_SUMS, _NO_COUNTS, _NO_SUMS, _NO_SUMS, _NO_COUNTS, _NO_COUNTS)


class Estimate(NamedTuple):
    """How noisy the voters of a request are.

    Attributes:
        voters: Names of the request's K voters.
        noise_variance: (K,) float64, expected squared distance of the voter's
            answer from the latent true one. An unbiased estimate, so it may be
            zero or negative. NaN where too few voters identify it.
        weight: (K,) float64, in proportion to 1 / max(noise, floor), where floor
            is a thousandth of the scale; sums to 1. The scale is the mean squared
            distance between the request's voters over the samples used; over all
            pairs of those samples, where that is 0.
        order: (K,) int64, voters by noise ascending, NaN last; ties with the best
            keep the request's order.
        samples_used: (K,) int64, samples, the current one included, in which the
            voter had at least one pair.
        neighbours_used: Samples the estimate rests on, the current one included:
            those in which at least one of the request's voters had a pair. Totals
            don't tell how the samples of several voters overlap: there it is the
            largest of `samples_used`. At least 1.
        margin: Noise of the second less that of the best, over the scale; 0 for a
            tie, NaN for one voter and where nobody's noise is identified.
        margin_standard_error: Of the margin, over the samples that tell both
            voters apart; NaN with fewer than two of them.
        tied: Voters whose noise is within 1e-9 of the scale from the best, the
            best included; all, where nobody's noise is identified;
            empty where the best is alone.
    """

    voters: tuple[str, ...]
    noise_variance: NDArray[np.float64]
    weight: NDArray[np.float64]
    order: NDArray[np.int64]
    samples_used: NDArray[np.int64]
    neighbours_used: int
    margin: float
    margin_standard_error: float
    tied: tuple[int, ...]


def estimate_alone(answers: Answers) -> Estimate:
    """Estimates noise from one prompt's answers alone."""
    found = _try_estimate(answers, (), _NO_TOTALS, _NO_ROWS)
    if found is None:
        raise _unusable("answers.pairs")
    return found


def estimate_local(answers: Answers, neighbourhood: Neighbourhood) -> Estimate:
    """Estimates noise over the nearest prompts and this one (Smoothie-Local).

    Voters of the pool that didn't answer this prompt take part, since their pairs
    identify the others; they aren't in the result.

    Raises:
        InvalidArrayError: The rows don't fit the neighbourhood's voters, or hold
            anything but squared distances and NaN.
    """
    pool, field = neighbourhood.voters, "neighbourhood.rows"
    rows = as_rows(neighbourhood.rows, field=field, pairs=pair_count(len(pool)))
    found = _try_estimate(answers, pool, _NO_TOTALS, rows)
    if found is None:
        as_distances(rows, field=field, pairs=rows.shape[1])
        raise _unusable(field)
    return found


def estimate_global(answers: Answers, totals: Totals) -> Estimate:
    """Estimates noise over every sample of a pool and this one (Smoothie-Global).

    Voters of the pool that didn't answer this prompt take part, as in
    `estimate_local`. `samples_used` counts the pool's samples in which the voter
    answered, with or without others.

    Raises:
        InvalidArrayError: The sums don't fit the pool's voters, or aren't finite.
    """
    found = _try_estimate(answers, totals.voters, _sums_of(totals, as_vector), _NO_ROWS)
    if found is None:
        _sums_of(totals, as_list)
        raise _unusable("totals")
    return found


def noise_of_neighbourhoods(
    neighbourhoods: Sequence[Neighbourhood],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Estimates noise from the nearest prompts alone, with no current sample, for n prompts.

    What Smoothie-Local says before anything is generated: equation (3) of
    `docs/estimators.md` over the neighbours only.

    Args:
        neighbourhoods: Of each prompt, one or more, in the same pool.

    Returns:
        (n, V) noise variances of the pool's voters, NaN where they aren't identified; and
        (n,) how many samples of each neighbourhood have a pair.

    Raises:
        InvalidArrayError: As for `estimate_local`.
    """
    voters, field = len(neighbourhoods[0].voters), "neighbourhood.rows"
    pairs = pair_count(voters)
    parts = [as_rows(each.rows, field=field, pairs=pairs) for each in neighbourhoods]
    rows, ends = np.concatenate(parts), np.cumsum([len(part) for part in parts])
    noise, usable = np.empty((len(parts), voters)), np.empty(len(parts), np.int64)
    if not solve_each(rows, ends, voters, noise, usable):
        as_distances(rows, field=field, pairs=pairs)
        raise _unusable(field)
    return noise, usable


def noise_of_totals(totals: Totals) -> NDArray[np.float64]:
    """Estimates noise from a pool alone, with no current sample.

    Returns:
        (V,) noise variance of the pool's voters, NaN where it isn't identified.

    Raises:
        InvalidArrayError: As for `estimate_global`.
    """
    sums, counts, *_ = _sums_of(totals, as_list)
    return solve_noise(sums, counts, len(totals.voters))


class _Read(Protocol):
    """Brings one of the sums of a pool into the form that the kernel takes."""

    def __call__(
        self, array: ArrayLike, dtype: type[_Number], *, field: str, length: int
    ) -> NDArray[_Number]: ...


def _sums_of(totals: Totals, read: _Read) -> Sums:
    """The sums of a pool, in the shapes that they should have."""
    voters = len(totals.voters)
    pairs = pair_count(voters)
    return (
        read(totals.sums, np.float64, field="totals.sums", length=pairs),
        read(totals.counts, np.int64, field="totals.counts", length=pairs),
        read(totals.contrast_sums, np.float64, field="totals.contrast_sums", length=pairs),
        read(totals.contrast_squares, np.float64, field="totals.contrast_squares", length=pairs),
        read(totals.contrast_counts, np.int64, field="totals.contrast_counts", length=pairs),
        read(totals.voter_samples, np.int64, field="totals.voter_samples", length=voters),
    )


def _unusable(field: str) -> InvalidArrayError:
    return InvalidArrayError(f"{field} holds a negative number, NaN or infinity.", field=field)


def _try_estimate(
    answers: Answers, pool: tuple[str, ...], totals: Sums, rows: NDArray[np.float32]
) -> Estimate | None:
    """Estimates; None where the kernel met a number that it can't use, which slow checks name."""
    own = len(answers.voters)
    pairs = pair_count(own)
    current = as_vector(answers.pairs, np.float32, field="answers.pairs", length=pairs)
    position, voters = _together(tuple(pool), tuple(answers.voters))
    noise, weight = np.empty(own), np.empty(own)
    order, used = np.empty(own, np.int64), np.empty(own, np.int64)
    ties, neighbours, margin, error, usable = estimate(
        totals, rows, len(pool), current, position, voters, noise, weight, order, used
    )
    if not usable:
        as_list(current, np.float32, field="answers.pairs", length=pairs)
        return None
    tied = tuple(order[:ties].tolist()) if ties > 1 else ()
    return Estimate(answers.voters, noise, weight, order, used, neighbours, margin, error, tied)


@lru_cache(maxsize=256)
def _together(pool: tuple[str, ...], voters: tuple[str, ...]) -> tuple[NDArray[np.int64], int]:
    """Places the request's voters among the pool's; new ones follow them.

    The array is for the kernel, which doesn't write to it, though it is compiled for
    arrays that may be written to.
    """
    places = {voter: place for place, voter in enumerate(pool)}
    position = [places.setdefault(voter, len(places)) for voter in voters]
    return np.array(position, np.int64), len(places)


class Ranking(NamedTuple):
    """The generations of a request in order.

    Attributes:
        best_index: Index of the best generation.
        rank: (g,) int64, 1 for the best; every rank occurs once.
        weight: (g,) float64, the voter's weight divided evenly among its
            generations; sums to 1.
        tied: For each voter tied with the best, its best generation, in rank
            order; empty where the best voter is alone.
    """

    best_index: int
    rank: NDArray[np.int64]
    weight: NDArray[np.float64]
    tied: tuple[int, ...]


def rank_generations(answers: Answers, estimate: Estimate) -> Ranking:
    """Ranks generations by their voter, then by their distance to other voters' answers."""
    if len(answers.voter_of) == len(answers.voters):
        return _rank_one_each(estimate)
    # Lists: a request has few generations, and NumPy takes ten times as long to begin.
    voter_of, distance = answers.voter_of.tolist(), answers.mean_squared_distance.tolist()
    own: list[list[int]] = [[] for _ in answers.voters]
    for generation, voter in enumerate(voter_of):
        own[voter].append(generation)
    best_first: list[int] = []
    tied: list[int] = []
    for place, voter in enumerate(estimate.order.tolist()):
        generations = sorted(own[voter], key=distance.__getitem__)
        if place < len(estimate.tied):
            tied.append(generations[0])
        best_first += generations
    rank = np.empty(len(voter_of), np.int64)
    rank[best_first] = range(1, len(voter_of) + 1)
    weight = estimate.weight.tolist()
    share = np.array([weight[voter] / len(own[voter]) for voter in voter_of])
    return Ranking(best_first[0], rank, share, tuple(tied))


def _rank_one_each(estimate: Estimate) -> Ranking:
    """The same where generations are voters, in one order."""
    order = estimate.order.tolist()
    rank = np.empty(len(order), np.int64)
    rank[order] = range(1, len(order) + 1)
    return Ranking(order[0], rank, estimate.weight, estimate.tied)
