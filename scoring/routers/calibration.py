"""From scores to probabilities that mean what they say.

The probability of a model is that it is the one to choose. One number, the
temperature, turns scores into probabilities (Guo, Pleiss, Sun and Weinberger, "On
Calibration of Modern Neural Networks", ICML 2017); it moves no rank.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError
from scoring.policies.softmax import softmax, softmax_of

Floats = NDArray[np.float64]

# How far from the scores' spread the temperature is sought, as a logarithm: 1e-4 to 1e4.
_DECADES = math.log(1e4)
# Exponentials beyond this over- or underflow.
_REACH = 700.0
# Halvings of the logarithm's range, down to the last digits of a double.
_HALVINGS = 64


@dataclass(frozen=True, slots=True)
class TemperatureCalibration:
    """Probabilities by softmax(score / temperature).

    Raises:
        InvalidArrayError: The temperature is out of its range.
    """

    temperature: float
    """Finite and above 0, in the unit of the scores."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise InvalidArrayError(
                "temperature must be a finite number above 0.", field="temperature"
            )

    def probabilities(self, scores: ArrayLike) -> Floats:
        """Returns the probability of each model to be the one to choose.

        Args:
            scores: (n, K), K at least 1; NaN gets 0.

        Returns:
            (n, K) float64, rows summing to 1; all 0 where every score is NaN.

        Raises:
            InvalidArrayError: The scores have another shape, or hold infinity.
        """
        return softmax(_table(scores, field="scores"), self.temperature)

    def of_prompt(self, scores: Sequence[float]) -> list[float]:
        """Returns the same for one prompt.

        Args:
            scores: Of K models, at least 1; NaN gets 0.
        """
        return softmax_of(scores, self.temperature)


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """A temperature, and how much better probabilities fit with it than with 1.

    Attributes:
        temperature: The one of least cross-entropy; 1 where no prompt tells.
        prompts: How many prompts told anything; where 0, the figures are NaN.
        nll_before: Cross-entropy in nats at temperature 1, mean over those prompts.
        nll_after: The same at `temperature`; never more.
        ece_before: `expected_calibration_error` at temperature 1, over those prompts.
        ece_after: The same at `temperature`.
    """

    temperature: float
    prompts: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float


def fit_temperature(scores: ArrayLike, qualities: ArrayLike) -> TemperatureFit:
    """Finds the temperature that makes probabilities fit what turned out to be best.

    It minimises the mean cross-entropy between the uniform distribution over each
    prompt's best models and softmax(scores / temperature), which is convex in
    1 / temperature: bisection on the slope. The temperature is sought between 1e-4
    and 1e4 of the mean spread of a prompt's scores, and 1; where scores always, or
    never, point to the best, it lies at a bound.

    A model takes part in a prompt where both its score and its quality are known.
    Prompts with fewer than two such models, or whose such models are all equally
    good, tell nothing and are left out.

    Args:
        scores: (n, K), higher is better, NaN where nothing is known.
        qualities: (n, K), how good the answers turned out to be, NaN where unknown.

    Raises:
        InvalidArrayError: The tables differ in shape, or hold infinity.
    """
    table, best = _informative(*_tables(scores, qualities))
    if not len(table):
        return TemperatureFit(1.0, 0, math.nan, math.nan, math.nan, math.nan)
    temperature = _least(table, best)
    return TemperatureFit(
        temperature=temperature,
        prompts=len(table),
        nll_before=_cross_entropy(table, best, 1.0),
        nll_after=_cross_entropy(table, best, temperature),
        ece_before=_calibration_error(softmax(table, 1.0), best, 15),
        ece_after=_calibration_error(softmax(table, temperature), best, 15),
    )


def expected_calibration_error(
    probabilities: ArrayLike, qualities: ArrayLike, *, bins: int = 15
) -> float:
    """Says how far the top probability is from how often the top model is among the best.

    Prompts are put into bins of equal width by their greatest probability; the
    error is the mean over prompts of |share that was right - mean probability| of
    their bin (Guo et al., 2017, equation 3). Of equal probabilities the first
    counts.

    Args:
        probabilities: (n, K), n at least 1, from 0 to 1.
        qualities: (n, K), NaN where unknown, which is never among the best.
        bins: How many, 1 or more. The b-th holds ((b-1) / bins, b / bins].

    Raises:
        InvalidArrayError: The tables differ in shape or hold infinity, there is no
            prompt, or a probability is out of its range.
    """
    table, known = _tables(probabilities, qualities)
    if not len(table) or not ((table >= 0) & (table <= 1)).all() or bins < 1:
        raise InvalidArrayError(
            "probabilities must hold numbers from 0 to 1 for at least one prompt, and bins "
            "must be 1 or more.",
            field="probabilities",
        )
    return _calibration_error(table, _best(known), bins)


def entropy(probabilities: ArrayLike) -> Floats:
    """Returns -sum p ln p in nats, along the last axis; 0 ln 0 is 0.

    Args:
        probabilities: (..., K), 0 or more.
    """
    shares = np.asarray(probabilities, np.float64)
    logarithms = np.log(shares, out=np.zeros(shares.shape), where=shares > 0)
    # 0 - x, for a certain choice has entropy 0 and not -0.
    return np.asarray(0.0 - (shares * logarithms).sum(axis=-1))


def entropy_of(probabilities: Sequence[float]) -> float:
    """Returns the same for one prompt."""
    return 0.0 - sum(share * math.log(share) for share in probabilities if share > 0)


def _informative(scores: Floats, qualities: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores (m, K), NaN for who takes no part, and flags (m, K) of the best."""
    part = ~(np.isnan(scores) | np.isnan(qualities))
    best = _best(np.where(part, qualities, np.nan))
    telling = (part & ~best).any(axis=1)
    return np.where(part, scores, np.nan)[telling], best[telling]


def _best(qualities: Floats) -> NDArray[np.bool_]:
    """Flags (n, K) of the greatest in each row; none where all are NaN."""
    filled = np.where(np.isnan(qualities), -np.inf, qualities)
    return np.asarray(np.isfinite(filled) & (filled == filled.max(axis=1, keepdims=True)))


def _least(scores: Floats, best: NDArray[np.bool_]) -> float:
    spread = float(np.mean(np.nanmax(scores, axis=1) - np.nanmin(scores, axis=1)))
    if spread == 0:
        return 1.0
    low = max(min(math.log(spread) - _DECADES, 0.0), -_REACH)
    high = min(max(math.log(spread) + _DECADES, 0.0), _REACH)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(scores, best, math.exp(middle)) > 0:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def _slope(scores: Floats, best: NDArray[np.bool_], temperature: float) -> float:
    """Derivative of the cross-entropy by 1 / temperature: E_p[score] - mean score of the best."""
    shares = softmax(scores, temperature)
    return float(np.nansum((shares - _targets(best)) * scores) / len(scores))


def _cross_entropy(scores: Floats, best: NDArray[np.bool_], temperature: float) -> float:
    """Mean over prompts of logsumexp(score / T) - mean score of the best / T."""
    scaled = (scores - np.nanmax(scores, axis=1, keepdims=True)) / temperature
    partition = np.log(np.nansum(np.exp(scaled), axis=1))
    return float(np.mean(partition - np.nansum(_targets(best) * scaled, axis=1)))


def _targets(best: NDArray[np.bool_]) -> Floats:
    return np.asarray(best / np.count_nonzero(best, axis=1, keepdims=True))


def _calibration_error(probabilities: Floats, best: NDArray[np.bool_], bins: int) -> float:
    top = probabilities.argmax(axis=1)
    rows = np.arange(len(top))
    confidence, right = probabilities[rows, top], best[rows, top]
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, right - confidence, bins)
    return float(np.abs(gaps).sum() / len(top))


def _tables(scores: ArrayLike, qualities: ArrayLike) -> tuple[Floats, Floats]:
    table, known = _table(scores, field="scores"), _table(qualities, field="qualities")
    if table.shape != known.shape:
        raise InvalidArrayError(
            f"qualities has shape {known.shape}; give {table.shape}.", field="qualities"
        )
    return table, known


def _table(values: ArrayLike, *, field: str) -> Floats:
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise InvalidArrayError(
            f"{field} has shape {table.shape}; give (prompts, models).", field=field
        )
    if np.isinf(table).any():
        raise InvalidArrayError(
            f"{field} holds infinity; give finite numbers, NaN for what is unknown.", field=field
        )
    return table
