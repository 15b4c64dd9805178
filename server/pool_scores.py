"""The scores of routers over pools, for prompts that come together."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scoring.memory import EmbeddingSpace
from scoring.routers import OutcomeRouter, RouterScores, SmoothieRouter
from server.together import Together

PoolRouter: TypeAlias = SmoothieRouter | OutcomeRouter


class Unscored(NamedTuple):
    """A prompt (d,) of some space, and the router that is to score it."""

    router: PoolRouter
    space: EmbeddingSpace
    prompt: NDArray[np.float32]


class Scored(NamedTuple):
    """The scores of one prompt, and the seconds that they took, and those of others with them."""

    scores: RouterScores
    seconds: float


class PoolScores(Together[Unscored, Scored]):
    """Scores prompts as `SmoothieRouter.score` and `OutcomeRouter.score` do.

    Args:
        thread: As for `Together`, and so is the other.
        alone: Likewise.
    """

    def __init__(self, thread: Executor, alone: Callable[[], bool]) -> None:
        super().__init__(score_alike, _kind, thread, alone)


def _kind(unscored: Unscored) -> tuple[PoolRouter, EmbeddingSpace]:
    return unscored.router, unscored.space


def score_alike(unscored: Sequence[Unscored]) -> list[Scored]:
    """Scores prompts of one space by one router.

    Raises:
        InvalidArrayError: A prompt has another shape than the pool's, or isn't finite.
        SpaceMismatchError: The pool has another space.
        RouterUnreadyError: The pool has nothing to score by.
    """
    began, first = time.perf_counter(), unscored[0]
    scores = first.router.score(np.stack([each.prompt for each in unscored]), first.space)
    seconds = time.perf_counter() - began
    return [Scored(scores.of_prompt(place), seconds) for place in range(len(unscored))]
