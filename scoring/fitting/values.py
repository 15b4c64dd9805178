"""What routers are learned from, and what comes of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.routers.parameters import Json
from scoring.routers.validation import as_vectors

Floats = NDArray[np.float64]
Settings = dict[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """n prompts, and how well each of K models did on each.

    Attributes:
        vectors: (n, d) float32 of the prompts.
        qualities: (n, K) float64 from 0 to 1, NaN where unknown: what counts as the gain of
            choosing the model.
        tasks: n names of the task of each row; all "" where there are none.
        models: K distinct names.

    Raises:
        InvalidArrayError: The parts don't fit each other, a vector isn't finite, or a
            quality is out of its range.
    """

    vectors: NDArray[np.float32]
    qualities: Floats
    tasks: tuple[str, ...]
    models: tuple[str, ...]

    def __post_init__(self) -> None:
        vectors = as_vectors(self.vectors, field="vectors", each="prompt")
        qualities = np.asarray(self.qualities, np.float64)
        _check(len(vectors), qualities, self.tasks, self.models)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "qualities", qualities)

    def __len__(self) -> int:
        return len(self.vectors)

    def task_names(self) -> tuple[str, ...]:
        """Returns the T distinct names, in order of first appearance."""
        return tuple(dict.fromkeys(self.tasks))

    def task_numbers(self) -> NDArray[np.int64]:
        """Returns the (n,) place of each row's task in `task_names`."""
        place = {task: number for number, task in enumerate(self.task_names())}
        return np.array([place[task] for task in self.tasks], np.int64)


def _check(rows: int, qualities: Floats, tasks: tuple[str, ...], models: tuple[str, ...]) -> None:
    if qualities.shape != (rows, len(models)) or not models:
        raise InvalidArrayError(
            f"qualities has shape {qualities.shape}; give ({rows}, {len(models)}), of a model or "
            "more.",
            field="qualities",
        )
    if len(tasks) != rows:
        raise InvalidArrayError(f"tasks has {len(tasks)} names; give {rows}.", field="tasks")
    if len(set(models)) != len(models):
        raise InvalidArrayError("models has a name twice; give distinct ones.", field="models")
    known = ~np.isnan(qualities)
    if not ((qualities >= 0) & (qualities <= 1))[known].all():
        raise InvalidArrayError(
            "qualities holds numbers that aren't from 0 to 1; bring them into that range.",
            field="qualities",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A router that was learned, as `scoring.routers.build_router` takes it.

    Attributes:
        kind: How it works.
        arrays: What it is made of, by name.
        method: Every parameter that inference reads, and those that it was learned with.
    """

    kind: str
    arrays: dict[str, NDArray[np.float32]]
    method: Settings


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One setting, and how it did on rows that it had not seen.

    Attributes:
        kind: Of the router.
        parameters: That it was learned with.
        average: Mean over tasks, with equal weight, of the mean gain.
        trusted: What it is chosen by: such an average with the noise of small tasks taken
            out, on rows dealt at random and on rows unlike those learned from.
        error: Standard error of the difference in `average` from the most trusted setting's.
    """

    kind: str
    parameters: Settings
    average: float
    trusted: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A router with the parameters that won.

    Attributes:
        fitted: On all training rows.
        held_out: (n, K) float64 scores by routers that had not seen the row: of the
            training rows out of fold, or of the validation rows where they were given.
        average: Mean over tasks, with equal weight, of the mean gain of the model with the
            best such score.
        tasks: The mean gain on each task; NaN where nothing is known.
        tried: Every setting, the most trusted first; of several kinds, the best of each.
    """

    fitted: Fitted
    held_out: Floats
    average: float
    tasks: dict[str, float]
    tried: tuple[Tried, ...]
