"""What routers say."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RouterFallback:
    """Why a router did otherwise than it is meant to."""

    reason: str
    """Upper case, for programs."""
    message: str
    """One sentence for a person."""


class RouterScores(NamedTuple):
    """How well each of K models is expected to answer each of n prompts.

    Attributes:
        models: Names of the K models.
        scores: (n, K) float64, higher is better; NaN where nothing is known of the
            model. Only their order means the same from router to router.
        neighbours_used: (n,) int64, samples that the scores rest on; 0 for routers
            that recall none.
        voters_used: (n,) int64, models that have a score because of them; 0 for
            routers that recall none.
        fallback: n reasons why the router did otherwise, absent where it didn't.
        recall_seconds: Of the call, spent on finding neighbours; 0 for routers that
            recall none.
    """

    models: tuple[str, ...]
    scores: NDArray[np.float64]
    neighbours_used: NDArray[np.int64]
    voters_used: NDArray[np.int64]
    fallback: tuple[RouterFallback | None, ...]
    recall_seconds: float = 0.0

    def of_prompt(self, place: int) -> "RouterScores":
        """The scores of one prompt; `recall_seconds` stays that of all."""
        one = slice(place, place + 1)
        return self._replace(
            scores=self.scores[one],
            neighbours_used=self.neighbours_used[one],
            voters_used=self.voters_used[one],
            fallback=self.fallback[one],
        )
