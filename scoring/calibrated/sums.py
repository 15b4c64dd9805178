"""One pass over the outcomes: the sums that a fit rests on."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.calibrated.features import known_features
from scoring.calibrated.values import Floats, JudgedAnswers, Prior
from scoring.errors import InvalidArrayError
from scoring.validation import kernel_form

_QUALITY_SLOPE = 4.0

N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeSums:
    """What is left of the outcomes, with the effect of each prompt integrated out.

    Over one indicator column per voter and one per feature, V + 3 together.

    Attributes:
        gram: (V + 3, V + 3) float64, X' C^-1 X.
        moments: (V + 3,) float64, X' C^-1 y, y the quality less the prior's.
        square: y' C^-1 y.
        judged: (V,) float64, outcomes of each voter, as many as they are worth.
        slope: (V,) float64, as in `CalibrationFit`.
        outcomes: How many there are.
        rows: How many answers were judged.
    """

    gram: Floats
    moments: Floats
    square: float
    judged: Floats
    slope: Floats
    outcomes: int
    rows: int


def checked(judged: JudgedAnswers) -> JudgedAnswers:
    """Returns the same with every array in the form that the sums want.

    Raises:
        InvalidArrayError: A shape, type or value doesn't fit.
    """
    rows = len(np.atleast_1d(judged.quality))
    subject = _column(judged.subject, np.int64, field="subject", rows=rows)
    voter = _column(judged.voter, np.int64, field="voter", rows=rows)
    quality = _column(judged.quality, np.float64, field="quality", rows=rows)
    count = _column(judged.count, np.int64, field="count", rows=rows)
    _within(voter, 0, len(judged.voters) - 1, field="voter")
    _within(quality, 0, 1, field="quality")
    _within(count, 1, np.inf, field="count")
    features = known_features(judged.features, field="features", rows=rows)
    return JudgedAnswers(judged.voters, subject, voter, quality, count, features)


def sum_outcomes(judged: JudgedAnswers, prior: Prior) -> OutcomeSums:
    """Adds up checked outcomes.

    Outcomes of one answer aren't independent: what is that answer's own they share.
    With half of the variance its own, n of them are worth 2n / (n + 1).
    """
    voters = len(judged.voters)
    worth = 2.0 * judged.count / (judged.count + 1.0)
    per_voter = _totals(judged.voter, worth, voters)
    slope = _slopes(_totals(judged.voter, worth * judged.quality, voters), per_voter, prior)
    y = judged.quality - prior.quality
    x = judged.features * slope[judged.voter, None]
    weight = worth / slope[judged.voter]
    columns = np.concatenate([x, y[:, None]], axis=1)
    products = _products(judged.voter, voters, columns, weight)
    products -= _of_prompts(judged, voters, columns, worth, slope, prior)
    return OutcomeSums(
        gram=products[:-1, :-1],
        moments=products[:-1, -1],
        square=float(products[-1, -1]),
        judged=per_voter,
        slope=slope,
        outcomes=int(judged.count.sum()),
        rows=len(y),
    )


def _slopes(sums: Floats, worth: Floats, prior: Prior) -> Floats:
    """Returns 4 m (1 - m) of each voter's mean m: the variance of an outcome of 0 or 1."""
    mean = (sums + prior.slope_outcomes * prior.quality) / (worth + prior.slope_outcomes)
    return np.maximum(_QUALITY_SLOPE * mean * (1.0 - mean), prior.least_slope)


def _products(voter: NDArray[np.int64], voters: int, columns: Floats, weight: Floats) -> Floats:
    """Returns the weighted products of indicators and columns, (V + 4, V + 4)."""
    products = np.zeros((voters + columns.shape[1],) * 2)
    places = np.arange(voters)
    products[places, places] = _totals(voter, weight, voters)
    weighted = columns * weight[:, None]
    for place, column in enumerate(weighted.T, start=voters):
        products[:voters, place] = _totals(voter, column, voters)
        products[place, :voters] = products[:voters, place]
    products[voters:, voters:] = weighted.T @ columns
    return products


def _of_prompts(
    judged: JudgedAnswers,
    voters: int,
    columns: Floats,
    worth: Floats,
    slope: Floats,
    prior: Prior,
) -> Floats:
    """Returns what the unknown effects of the prompts take from the products.

    A prompt's effect on a voter is in proportion to its slope, so that weight
    times loading is the worth of the outcome (Woodbury's identity, rank one for
    each prompt).
    """
    names, subject = np.unique(judged.subject, return_inverse=True)
    prompts = len(names)
    sums = np.empty((prompts, voters + columns.shape[1]))
    cells = subject * voters + judged.voter
    sums[:, :voters] = _totals(cells, worth, prompts * voters).reshape(prompts, voters)
    for place, column in enumerate(columns.T, start=voters):
        sums[:, place] = _totals(subject, worth * column, prompts)
    loading = _totals(subject, worth * slope[judged.voter], prompts)
    sums /= np.sqrt(prior.prompt**-2 + loading)[:, None]
    return sums.T @ sums


def _totals(places: NDArray[np.int64], values: Floats, size: int) -> Floats:
    """Returns (size,) sums of the values at each place."""
    totals: Floats = np.bincount(places, values, size).astype(np.float64, copy=False)
    return totals


def _column(values: ArrayLike, dtype: type[N], *, field: str, rows: int) -> NDArray[N]:
    column = kernel_form(values, dtype, field=field)
    if column.shape != (rows,):
        raise InvalidArrayError(
            f"{field} has shape {column.shape}; give ({rows},), one for each judged answer.",
            field=field,
        )
    return column


def _within(values: NDArray[np.int64] | Floats, low: float, high: float, *, field: str) -> None:
    if not ((values >= low) & (values <= high)).all():
        raise InvalidArrayError(f"{field} must hold numbers from {low} to {high}.", field=field)
