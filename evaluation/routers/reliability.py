"""Whether what a router says of its choice means what it says.

A router may say two things: how probable its choice is to be the best of the models, by its
calibration, and how good it expects the answer to be, where its scores are expected qualities.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.routers.contenders import Contender
from evaluation.ways import Floats
from scoring.routers import COSINE_KINDS, TemperatureCalibration

BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Prompts on which a router says about the same.

    Attributes:
        prompts: How many.
        said: What it says, its mean over them.
        came: What came, its mean over them.
    """

    prompts: int
    said: float
    came: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far what a router says is from what came.

    Attributes:
        prompts: That tell anything.
        error: Expected calibration error, the mean over the prompts of |came - said| of their
            bin (Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks",
            ICML 2017, equation 3); NaN where no prompt tells anything.
        bins: Those that aren't empty, by what was said.
    """

    prompts: int
    error: float
    bins: tuple[Bin, ...]


def reliability_of(contender: Contender, outcomes: Floats) -> Reliability | None:
    """Measures how probable the best score is to be of the best model, by the calibration.

    The probability is shared by models that tie for the best, and so is what came: 1 over how
    many do, where the choice is one of them, else 0. Prompts on which all models are equally
    good tell nothing and are left out, as they are where the temperature is fitted.

    Args:
        contender: A router and its scores of n prompts.
        outcomes: (n, K) float64 of choosing each model.
    """
    if contender.temperature is None:
        return None
    part = ~(np.isnan(contender.scores) | np.isnan(outcomes))
    least = np.where(part, outcomes, np.inf).min(axis=1, keepdims=True)
    most = np.where(part, outcomes, -np.inf).max(axis=1, keepdims=True)
    telling = (most > least)[:, 0]
    best = part & (outcomes == most)
    shown = np.where(part, contender.scores, np.nan)[telling]
    shares = (best / np.maximum(best.sum(axis=1, keepdims=True), 1))[telling]
    if not len(shown):
        return reliability(np.empty(0), np.empty(0))
    probabilities = TemperatureCalibration(contender.temperature).probabilities(shown)
    top, rows = probabilities.argmax(axis=1), np.arange(len(shown))
    return reliability(probabilities[rows, top], shares[rows, top])


def quality_reliability_of(contender: Contender, outcomes: Floats) -> Reliability | None:
    """Measures how good the best score says that the answer is, against how good it was.

    Args:
        contender: A router and its scores of n prompts.
        outcomes: (n, K) float64 of choosing each model.
    """
    if not expects_quality(contender):
        return None
    filled = np.where(np.isnan(contender.scores), -np.inf, contender.scores)
    top, rows = filled.argmax(axis=1), np.arange(len(filled))
    said, came = filled[rows, top], outcomes[rows, top]
    known = np.isfinite(said) & ~np.isnan(came)
    return reliability(said[known], came[known])


def expects_quality(contender: Contender) -> bool:
    """Whether its scores are expected qualities: all from 0 to 1, and no cosines."""
    known = contender.scores[~np.isnan(contender.scores)]
    within = bool(known.size) and bool(((known >= 0) & (known <= 1)).all())
    return within and contender.kind not in COSINE_KINDS


def reliability(said: Floats, came: Floats, bins: int = BINS) -> Reliability:
    """Puts prompts into bins of equal width by what was said.

    Args:
        said: (n,) float64 from 0 to 1.
        came: (n,) float64 from 0 to 1.
        bins: How many; the b-th holds ((b-1) / bins, b / bins].
    """
    place = np.clip(np.ceil(said * bins).astype(np.int64) - 1, 0, bins - 1)
    made = []
    for each in np.unique(place):
        inside = place == each
        mean_said, mean_came = float(said[inside].mean()), float(came[inside].mean())
        made.append(Bin(int(inside.sum()), mean_said, mean_came))
    total = sum(each.prompts * abs(each.came - each.said) for each in made)
    return Reliability(len(said), total / len(said) if len(said) else np.nan, tuple(made))
