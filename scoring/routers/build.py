"""Routers from what an artefact holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidArrayError
from scoring.routers.arrays import Arrays, Shapes, take
from scoring.routers.clusters import CLUSTERS_SHAPES, LEAST_TEMPERATURE, ClusterScorer
from scoring.routers.constant import CONSTANT_SHAPES, ConstantScorer, RandomScorer
from scoring.routers.cosine import COSINE_SHAPES, CosineRouter, CosineScorer
from scoring.routers.linear import (
    LOGISTIC_SHAPES,
    NETWORK_SHAPES,
    SEPARATE_NETWORKS_SHAPES,
    LogisticScorer,
    NetworkScorer,
)
from scoring.routers.local import LABELLED_KNN_SHAPES, LabelledKnnScorer, Locality
from scoring.routers.parameters import Parameters
from scoring.routers.router import Router
from scoring.routers.shrinkage import SHRINKAGE_SHAPES, ShrinkageScorer
from scoring.routers.stack import STACK_WEIGHTS, StackScorer
from scoring.routers.trained import Scorer, TrainedRouter

COSINE_KINDS = frozenset({"routerdc", "zooter", "cosine-classifier", "multi-label"})
"""Kinds that are trained with their encoder, and infer by cosine."""

RECALLING_KINDS = frozenset({"labelled-knn", "shrinkage", "stack"})
"""Kinds that look up neighbours among the prompts that they were taught, or may."""

_LARGEST_SEED = 2**53

Maker = Callable[[Arrays, Parameters, int], Scorer]
"""From arrays that fit, the method and the number of models."""


def _random(_: Arrays, method: Parameters, models: int) -> Scorer:
    return RandomScorer(models, method.whole("seed", least=0, most=_LARGEST_SEED))


def _constant(arrays: Arrays, _: Parameters, __: int) -> Scorer:
    return ConstantScorer(arrays["scores"])


def _labelled_knn(arrays: Arrays, method: Parameters, _: int) -> Scorer:
    return LabelledKnnScorer(arrays, Locality.of(method), method.number("pseudo_count"))


def _clusters(arrays: Arrays, method: Parameters, _: int) -> Scorer:
    return ClusterScorer(
        arrays,
        nearest=method.whole("nearest", least=1),
        temperature=method.number("temperature", least=LEAST_TEMPERATURE),
    )


def _shrinkage(arrays: Arrays, method: Parameters, _: int) -> Scorer:
    return ShrinkageScorer(arrays, Locality.of(method), method.number("pseudo_count"))


_MAKERS: Mapping[str, tuple[Shapes, Maker]] = {
    "random": ({}, _random),
    "best-single": (CONSTANT_SHAPES, _constant),
    "fixed": (CONSTANT_SHAPES, _constant),
    "labelled-knn": (LABELLED_KNN_SHAPES, _labelled_knn),
    "clusters": (CLUSTERS_SHAPES, _clusters),
    "logistic": (LOGISTIC_SHAPES, lambda arrays, *_: LogisticScorer(arrays)),
    "separate-logistic": (LOGISTIC_SHAPES, lambda arrays, *_: LogisticScorer(arrays)),
    "network": (NETWORK_SHAPES, lambda arrays, *_: NetworkScorer(arrays)),
    "separate-networks": (SEPARATE_NETWORKS_SHAPES, lambda arrays, *_: NetworkScorer(arrays)),
    "shrinkage": (SHRINKAGE_SHAPES, _shrinkage),
    **dict.fromkeys(
        COSINE_KINDS, (COSINE_SHAPES, lambda arrays, *_: CosineScorer(arrays["llm_embeddings"]))
    ),
}

ROUTER_KINDS = frozenset(_MAKERS) | {"stack"}
"""Every kind that `build_router` builds."""


def build_router(
    kind: str,
    models: Sequence[str],
    arrays: Mapping[str, NDArray[np.float32]],
    method: Mapping[str, object] | None = None,
) -> Router:
    """Builds the router that was trained.

    Args:
        kind: One of `ROUTER_KINDS`.
        models: K distinct names.
        arrays: What `docs/routers.md` says of the kind, and nothing else: an array
            that no router reads would be a part of the method that is not served.
        method: The parameters; those that inference doesn't read may be anything.

    Raises:
        InvalidArrayError: The kind isn't known, an array is missing or unknown or
            doesn't fit, or a parameter is missing or out of its range.
    """
    if kind in COSINE_KINDS:
        taken = take(arrays, COSINE_SHAPES, models)
        return CosineRouter(kind, models, taken["llm_embeddings"])
    return TrainedRouter(kind, models, _scorer(kind, models, arrays, Parameters(method or {})))


def _scorer(
    kind: str,
    models: Sequence[str],
    arrays: Mapping[str, NDArray[np.float32]],
    method: Parameters,
) -> Scorer:
    if kind == "stack":
        return _stack(models, arrays, method)
    return _single(kind, models, arrays, method, _Place("", "kind", ROUTER_KINDS))


class _Place(NamedTuple):
    """Where a router stands: by itself, or in a stack."""

    arrays: str
    """What the names of its arrays begin with."""
    kind: str
    """The field that names its kind."""
    allowed: frozenset[str]


def _single(
    kind: str,
    models: Sequence[str],
    arrays: Mapping[str, NDArray[np.float32]],
    method: Parameters,
    place: _Place,
) -> Scorer:
    if kind not in _MAKERS:
        raise InvalidArrayError(
            f"There is no trained router of kind {kind!r}; it may be "
            f"{', '.join(sorted(place.allowed))}.",
            field=place.kind,
        )
    shapes, make = _MAKERS[kind]
    return make(take(arrays, shapes, models, place.arrays), method, len(models))


def _stack(
    models: Sequence[str], arrays: Mapping[str, NDArray[np.float32]], method: Parameters
) -> Scorer:
    """Builds the members, none of which may be a stack."""
    members = method.members("members")
    parts: dict[str, dict[str, NDArray[np.float32]]] = {
        str(number): {} for number in range(len(members))
    }
    own = {}
    for name, array in arrays.items():
        place, _, rest = name.partition(".")
        if rest and place in parts:
            parts[place][rest] = array
        else:
            own[name] = array
    taken = take(own, {STACK_WEIGHTS: ("members",)}, models)
    if len(taken[STACK_WEIGHTS]) != len(members):
        raise InvalidArrayError(
            f"The array {STACK_WEIGHTS} has {len(taken[STACK_WEIGHTS])} numbers; give "
            f"{len(members)}, one for each member.",
            field=f"arrays.{STACK_WEIGHTS}",
        )
    scorers = [
        _single(
            each.text("kind"),
            models,
            part,
            each.inner("method"),
            _Place(f"{number}.", f"method.{each.within}kind", frozenset(_MAKERS)),
        )
        for (number, part), each in zip(parts.items(), members, strict=True)
    ]
    return StackScorer(scorers, taken[STACK_WEIGHTS])
