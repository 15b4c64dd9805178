"""Which rows are learned from and which are scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.fitting.tasks import fit_clusters
from scoring.fitting.values import TrainingRows
from scoring.routers.features import features_of
from scoring.routers.twins import first_twins

Places = NDArray[np.int64]

_BLOCKS_PER_FOLD = 2
_LEAST_TASKS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows to learn from, and rows to score.

    Attributes:
        training: Of the first.
        scored: Of the second.
        places: (m,) of those among all rows that are scored.
    """

    training: TrainingRows
    scored: TrainingRows
    places: Places


def random_splits(rows: TrainingRows, folds: int, seed: int) -> list[Split]:
    """Deals the rows of each task, shuffled, to the folds in turn.

    Rows with equal vectors go to one fold: what looks nearby would find its own prompt.

    Raises:
        InvalidArrayError: There are fewer rows than folds, fewer than two folds, or all
            rows have the same vector.
    """
    _require_folds(rows, folds)
    rng = np.random.default_rng(seed)
    numbers = np.zeros(len(rows), np.int64)
    twin = first_twins(rows.vectors)
    if not twin.any():
        raise InvalidArrayError(
            "All rows are the same prompt, so none can be held out; give different ones.",
            field="vectors",
        )
    dealt = 0
    for places in _by_task(rows):
        own = places[twin[places] == places]
        # Where one task ends the next goes on, lest small ones all land in the first folds.
        numbers[rng.permutation(own)] = (dealt + np.arange(len(own))) % folds
        dealt += len(own)
    return _splits(rows, numbers[twin], folds)


def blocked_splits(rows: TrainingRows, folds: int, seed: int) -> list[Split]:
    """Deals whole clusters of each task's rows to the folds, the largest to the emptiest.

    A row is then scored by what was learned of rows less like it, as at prompts that
    the training data lack. Rows dealt at random have near twins among those learned
    from, which flatters what looks nearby (Roberts et al., "Cross-validation
    strategies for data with temporal, spatial, hierarchical, or phylogenetic
    structure", Ecography 2017).

    Raises:
        InvalidArrayError: There are fewer rows than folds, or fewer than two folds.
    """
    _require_folds(rows, folds)
    numbers = np.empty(len(rows), np.int64)
    for places in _by_task(rows):
        vectors = rows.vectors[places]
        features = features_of(vectors, vectors.mean(axis=0))
        _, blocks = fit_clusters(features, min(_BLOCKS_PER_FOLD * folds, len(places)), seed)
        numbers[places] = _dealt(blocks, folds)
    return _splits(rows, numbers, folds)


def task_splits(rows: TrainingRows, folds: int) -> list[Split]:
    """Deals whole tasks to the folds, the largest to the emptiest: nothing is known of a task.

    Returns:
        None where there are fewer than three tasks: one isn't enough to learn from.

    Raises:
        InvalidArrayError: There are fewer rows than folds, or fewer than two folds.
    """
    _require_folds(rows, folds)
    if len(rows.task_names()) < _LEAST_TASKS:
        return []
    return _splits(rows, _dealt(rows.task_numbers(), folds), folds)


def _dealt(blocks: Places, folds: int) -> Places:
    """The fold of each row (n,), given its block: the largest goes to the emptiest."""
    sizes = np.bincount(blocks)
    filled = np.zeros(folds, np.int64)
    fold_of = np.empty(len(sizes), np.int64)
    for block in np.argsort(-sizes, kind="stable").tolist():
        fold_of[block] = filled.argmin()
        filled[fold_of[block]] += sizes[block]
    return fold_of[blocks]


def validation_split(rows: TrainingRows, validation: TrainingRows) -> list[Split]:
    """Scores rows that were given for that.

    Raises:
        InvalidArrayError: They are of other models, or vectors of another length.
    """
    same = rows.vectors.shape[1] == validation.vectors.shape[1]
    if validation.models != rows.models or not same:
        raise InvalidArrayError(
            "The validation rows have other models than the training rows, in another order, or "
            "vectors of another length; give the same.",
            field="validation",
        )
    return [Split(rows, validation, np.arange(len(validation)))]


def subset(rows: TrainingRows, places: Places) -> TrainingRows:
    """Returns some of the rows."""
    return TrainingRows(
        rows.vectors[places],
        rows.qualities[places],
        tuple(rows.tasks[place] for place in places.tolist()),
        rows.models,
    )


def _splits(rows: TrainingRows, numbers: Places, folds: int) -> list[Split]:
    dealt = (
        (np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(folds)
    )
    return [
        Split(subset(rows, training), subset(rows, scored), scored)
        for training, scored in dealt
        if len(training) and len(scored)
    ]


def _by_task(rows: TrainingRows) -> Sequence[Places]:
    tasks = rows.task_numbers()
    return [np.flatnonzero(tasks == task) for task in range(len(rows.task_names()))]


def _require_folds(rows: TrainingRows, folds: int) -> None:
    if not 2 <= folds <= len(rows):
        raise InvalidArrayError(
            f"{len(rows)} rows can't be dealt to {folds} folds; give 2 folds or more, and a row "
            "for each.",
            field="folds",
        )
