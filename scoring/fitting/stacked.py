"""Candidates that are stacks of others."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.fitting.folds import Split, random_splits
from scoring.fitting.judging import Candidate
from scoring.fitting.stacking import stack_weights
from scoring.fitting.trials import Plan, Scores
from scoring.routers.parameters import Json, Parameters
from scoring.routers.twins import first_twins

Floats = NDArray[np.float64]
Member = tuple[str, Mapping[str, object]]
"""A kind, and the parameters that are given."""

STACK_MEMBERS: tuple[str, ...] = ("shrinkage", "labelled-knn", "logistic", "clusters")
"""What a stack is made of, where nothing else is said."""

_CROSSINGS = 5


def members_of(given: Mapping[str, object]) -> list[Member]:
    """Reads the parameter `members`: a list of kinds, or of objects with a kind and a method.

    Raises:
        InvalidArrayError: It is something else, or there is another parameter.
    """
    if unknown := sorted(set(given) - {"members"}):
        raise InvalidArrayError(
            f"A router of kind stack has no parameter {unknown[0]}; it has members.",
            field=f"parameters.{unknown[0]}",
        )
    listed = given.get("members", STACK_MEMBERS)
    if not isinstance(listed, list | tuple):
        listed = None
    else:
        listed = [{"kind": each} if isinstance(each, str) else each for each in listed]
    members = Parameters({"members": listed}).members("members")
    return [(each.text("kind"), each.inner("method").values) for each in members]


def stack_of(plan: Plan, members: Sequence[Candidate]) -> Candidate:
    """Weighs members by their held-out scores.

    The stack's own held-out scores are by weights that hadn't seen the row either. A
    member of no weight is left out: it would cost time and room, and change no score.
    """
    weights = _weights(plan, members, np.arange(len(plan.scored)))
    weighed = tuple((one, weight) for one, weight in zip(members, weights, strict=True) if weight)
    listed: list[Json] = [{"kind": each.kind, "method": each.settings} for each, _ in weighed]
    return Candidate("stack", {"members": listed}, _crossed(plan, members), weighed)


def _crossed(plan: Plan, members: Sequence[Candidate]) -> tuple[Scores, ...]:
    tables = tuple(np.empty_like(table) for table in members[0].tables)
    for split in _crossings(plan):
        others = np.setdiff1d(np.arange(len(plan.scored)), split.places)
        weights = _weights(plan, members, others)
        for regime, table in enumerate(tables):
            table[split.places] = sum(
                weight * each.tables[regime][split.places]
                for weight, each in zip(weights, members, strict=True)
            )
    return tables


def _crossings(plan: Plan) -> list[Split]:
    if not first_twins(plan.scored.vectors).any():
        raise InvalidArrayError(
            "A stack's weights are judged on other rows than they are learned from, so it takes "
            "two different prompts or more; give more rows.",
            field="members",
        )
    return random_splits(plan.scored, min(_CROSSINGS, len(plan.scored)), plan.seed + 1)


def _weights(plan: Plan, members: Sequence[Candidate], places: NDArray[np.int64]) -> list[float]:
    """Learns weights from rows dealt at random, whichever regime they are judged by: as served."""
    rows = plan.scored
    weights: list[float] = stack_weights(
        np.stack([each.tables[0][places].astype(np.float64) for each in members]),
        rows.qualities[places],
        rows.task_numbers()[places],
        len(rows.task_names()),
    ).tolist()
    return weights
