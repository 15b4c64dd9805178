"""Several routers on the same vectors, weighed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.routers.trained import PromptScore, Scorer

STACK_WEIGHTS = "weights"
"""The stack's own array (members,); those of member 0 begin with "0."."""


class StackScorer:
    """score_m = sum over members j of w_j score_jm (Wolpert, "Stacked Generalization", 1992)."""

    def __init__(self, members: Sequence[Scorer], weights: NDArray[np.float32]) -> None:
        """Takes members of the same models.

        Args:
            members: One or more.
            weights: (members,) float32.

        Raises:
            InvalidArrayError: Members take vectors of different dimensions.
        """
        dimensions = {each.dimension for each in members if each.dimension is not None}
        if len(dimensions) > 1:
            raise InvalidArrayError(
                f"The members take vectors of {' and '.join(map(str, sorted(dimensions)))} "
                "dimensions; a stack's must take the same.",
                field="arrays",
            )
        self._members = tuple(members)
        self._weights = weights.astype(np.float64)
        self.dimension = next(iter(dimensions), None)

    def score(self, prompt: NDArray[np.float32]) -> PromptScore:
        """Scores a prompt (d,); neighbours and voters are the most that a member has."""
        said = [member.score(prompt) for member in self._members]
        return PromptScore(
            self._weights @ np.stack([each.scores for each in said]),
            max(each.neighbours for each in said),
            max(each.voters for each in said),
            sum(each.recall_seconds for each in said),
        )
