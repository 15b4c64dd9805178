"""The neighbours of requests to score."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.evidence import Neighbourhood
from scoring.memory import EmbeddingSpace, Memory
from server.together import Together


class Asked(NamedTuple):
    """What a request wants recalled: see `Memory.recall`."""

    pool: str
    space: EmbeddingSpace
    prompt: NDArray[np.float32]
    k: int
    without: str


class Recalled(NamedTuple):
    """Its neighbours, and the seconds that it took to find them, and those of others with them."""

    neighbourhood: Neighbourhood
    seconds: float


class Recalls(Together[Asked, Recalled]):
    """Asks a memory for the neighbours of prompts, as `Memory.recall` does.

    Args:
        memory: The pools.
        thread: As for `Together`, and so is the other.
        alone: Likewise.
    """

    def __init__(self, memory: Memory, thread: Executor, alone: Callable[[], bool]) -> None:
        super().__init__(partial(_recall, memory), _kind, thread, alone)


def _kind(asked: Asked) -> tuple[str, EmbeddingSpace, int]:
    return asked.pool, asked.space, asked.k


def _recall(memory: Memory, asked: Sequence[Asked]) -> list[Recalled]:
    began, first = time.perf_counter(), asked[0]
    prompts, names = [each.prompt for each in asked], [each.without for each in asked]
    found = memory.recall_each(first.pool, first.space, prompts, first.k, names)
    seconds = time.perf_counter() - began
    return [Recalled(each, seconds) for each in found]
