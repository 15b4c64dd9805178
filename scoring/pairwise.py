"""From who beats whom to who is best.

>>> wins = [[0.5, 0.9, 0.6], [0.1, 0.5, 0.2], [0.4, 0.8, 0.5]]
>>> rank_pairwise(wins).order.tolist()
[0, 2, 1]
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import InvalidArrayError

TOLERANCE = 1e-9
"""Largest deviation from 1 of P(i beats j) + P(j beats i); leads below it are ties."""
_SURE = 1e-12


class Strength(enum.StrEnum):
    """What is averaged over the others to say how strong an answer is."""

    WINS = "wins"
    """Win probabilities."""
    LOGITS = "logits"
    """Their logits, as in PairRM's own `max_logits`; probabilities are kept 1e-12 off 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class PairwiseRanking:
    """g answers, ranked by how each fares against the others.

    Attributes:
        wins: (g, g) float64, the probability that the answer of the row beats that of the
            column; 0.5 on the diagonal.
        strengths: (g,) float64, mean of a row without its diagonal. Of wins, in [0, 1], it is
            the probability of beating one of the others, drawn at random, and 0.5 of a lone
            answer; of logits it is 0 there.
        order: (g,) int64, places of the answers, strongest first; equals keep their order.
    """

    wins: NDArray[np.float64]
    strengths: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def best(self) -> int:
        """The place of the strongest answer."""
        return int(self.order[0])


def rank_pairwise(wins: ArrayLike, strength: Strength = Strength.WINS) -> PairwiseRanking:
    """Ranks answers by their mean win probability, or its logit.

    Where every pair is compared, and as often as every other, the order by win probability is
    also that of the strengths which the model of Bradley and Terry (1952) would fit: the row
    sums are sufficient for them. Nothing needs to be fitted.

    Args:
        wins: (g, g), g at least 1: the probability that the answer of the row beats that of
            the column. wins + winsᵀ is 1 to `TOLERANCE`, and so the diagonal 0.5.
        strength: What is averaged.

    Raises:
        InvalidArrayError: The matrix is not such a one.
    """
    known = _checked(wins)
    worth = known
    if strength is Strength.LOGITS:
        unsure = np.clip(known, _SURE, 1 - _SURE)
        worth = np.log(unsure) - np.log1p(-unsure)
    sums = worth.sum(axis=1) - worth.diagonal()
    strengths = sums / (len(worth) - 1) if len(worth) > 1 else worth.diagonal().copy()
    # Rounded first: equal answers may differ in the last bits of their sums.
    places = np.argsort(-np.round(strengths / TOLERANCE), kind="stable")
    return PairwiseRanking(known, strengths, places.astype(np.int64))


def _checked(wins: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(wins, np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise InvalidArrayError(
            f"wins has shape {array.shape}; give (answers, answers), at least one.", field="wins"
        )
    if not ((array >= 0) & (array <= 1)).all():
        raise InvalidArrayError("wins must hold probabilities, from 0 to 1.", field="wins")
    if np.abs(array + array.T - 1).max() > TOLERANCE:
        raise InvalidArrayError(
            "wins must be the probabilities of both sides of each pair, which sum to 1; "
            "average both orders first.",
            field="wins",
        )
    return array
