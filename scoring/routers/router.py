"""The one interface of all routers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.routers.values import RouterScores


class Router(Protocol):
    """Scores models for prompts before anything is generated.

    Any thread may ask. What a router knows may grow between two calls.
    """

    @property
    def kind(self) -> str:
        """How it works, as the settings name it."""
        ...

    def models(self) -> tuple[str, ...]:
        """Names of the models it can score now; none where it knows nothing yet."""
        ...

    def score(self, prompts: NDArray[np.float32]) -> RouterScores:
        """Scores every model for each prompt.

        The scores of a prompt don't depend on the others in the call.

        Args:
            prompts: (n, d) float32 embeddings, n at least 1.

        Raises:
            InvalidArrayError: The prompts have another shape, or aren't finite.
            RouterUnreadyError: The router has nothing to score any model with.
        """
        ...
