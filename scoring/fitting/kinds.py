"""How each kind is learned: parameters, what it is made of, and scores for a whole fold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from scoring.errors import InvalidArrayError
from scoring.fitting.fold import Fold, Study
from scoring.fitting.logistic import fit_logistic
from scoring.fitting.means import group_means
from scoring.fitting.network import Course, fit_network
from scoring.fitting.values import Fitted, Settings
from scoring.routers.build import build_router
from scoring.routers.clusters import LEAST_TEMPERATURE, by_clusters
from scoring.routers.features import features_of
from scoring.routers.local import Locality, shrunk, weights_of
from scoring.routers.parameters import Json, Parameters
from scoring.routers.shrinkage import prior_of

Floats = NDArray[np.float64]
Parts = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of router, and how to learn it.

    Attributes:
        defaults: Every parameter, with its value where none is given.
        grid: Those that are chosen where they aren't given, with the values to try.
        parts: From a study and a setting to the arrays.
        scores: A quick way to score a fold, where building the router would repeat
            what settings share.
    """

    defaults: Settings
    grid: Mapping[str, Sequence[Json]]
    parts: Callable[[Study, Parameters], Parts]
    scores: Callable[[Fold, Parameters], Floats] | None = None


def _nothing(_: Study, __: Parameters) -> Parts:
    return {}


def _best_single(study: Study, _: Parameters) -> Parts:
    return {"scores": study.means}


def _fixed(study: Study, method: Parameters) -> Parts:
    name = method.choice("model", study.rows.models)
    return {"scores": np.array([float(model == name) for model in study.rows.models])}


def _labelled_knn(study: Study, method: Parameters) -> Parts:
    Locality.of(method)
    method.number("pseudo_count")
    return {
        "centre": study.centre,
        "prompts": study.rows.vectors,
        "qualities": study.rows.qualities,
        "means": study.means,
    }


def _labelled_knn_scores(fold: Fold, method: Parameters) -> Floats:
    sums, counts = _nearby(fold, fold.study.rows.qualities, Locality.of(method))
    return shrunk(sums, counts, fold.study.means, method.number("pseudo_count"))


def _nearby(fold: Fold, qualities: Floats, locality: Locality) -> tuple[Floats, Floats]:
    """Weighted sums (m, K) and weights (m, K), as `LocalQualities.near` for each prompt."""
    rows, squared = fold.nearest(locality.k)
    starts = np.arange(0, rows.size + 1, rows.shape[1])
    table = (weights_of(squared, locality).ravel(), rows.ravel(), starts)
    weights = csr_array(table, shape=(len(rows), len(qualities)))
    known = ~np.isnan(qualities)
    return weights @ np.where(known, qualities, 0.0), weights @ known.astype(np.float64)


def _clusters(study: Study, method: Parameters) -> Parts:
    method.whole("nearest", least=1)
    method.number("temperature", least=LEAST_TEMPERATURE)
    centroids, places = study.clusters(method.whole("clusters", least=1))
    means = group_means(study.rows.qualities, places, len(centroids), method.number("pseudo_count"))
    return {"centre": study.centre, "centroids": centroids, "means": means}


def _clusters_scores(fold: Fold, method: Parameters) -> Floats:
    parts = _clusters(fold.study, method)
    directions = features_of(parts["centroids"].astype(np.float32), np.zeros_like(parts["centre"]))
    return by_clusters(
        fold.features @ directions.T,
        parts["means"],
        method.whole("nearest", least=1),
        method.number("temperature", least=LEAST_TEMPERATURE),
    )


def _logistic(study: Study, method: Parameters) -> Parts:
    weights, biases = fit_logistic(
        study.features, study.rows.qualities, _regularisation(method, len(study.rows.models))
    )
    return {"centre": study.centre, "weights": weights, "biases": biases}


def _regularisation(method: Parameters, models: int) -> Floats:
    """Returns (K,): one number for all, or one for each."""
    given = method.values.get("regularisation")
    if not isinstance(given, list | tuple):
        return np.full(models, method.number("regularisation", least=1e-9))
    if len(given) != models:
        raise InvalidArrayError(
            f"regularisation has {len(given)} numbers; give one, or {models}.",
            field="method.regularisation",
        )
    each = [Parameters({"regularisation": value}) for value in given]
    return np.array([one.number("regularisation", least=1e-9) for one in each])


def _network(study: Study, method: Parameters) -> Parts:
    network = fit_network(study.features, study.rows.qualities, _course(method), study.seed)
    return {"centre": study.centre, **network._asdict()}


def _separate_networks(study: Study, method: Parameters) -> Parts:
    course = _course(method)
    networks = [
        fit_network(study.features, qualities[:, None], course, study.seed)
        for qualities in study.rows.qualities.T
    ]
    return {
        "centre": study.centre,
        "hidden_weights": np.stack([each.hidden_weights for each in networks]),
        "hidden_biases": np.stack([each.hidden_biases for each in networks]),
        "weights": np.concatenate([each.weights for each in networks]),
        "biases": np.concatenate([each.biases for each in networks]),
    }


def _course(method: Parameters) -> Course:
    return Course(
        units=method.whole("units", least=1),
        steps=method.whole("steps", least=1),
        learning_rate=method.number("learning_rate", least=1e-9),
        weight_decay=method.number("weight_decay"),
    )


def _shrinkage(study: Study, method: Parameters) -> Parts:
    _labelled_knn(study, method)
    classifier = study.classifier(method.number("inverse_regularisation", least=1e-6))
    means = group_means(study.rows.qualities, study.tasks, study.task_count, _TASK_PSEUDO_COUNT)
    return {
        "centre": study.centre,
        "prompts": study.rows.vectors,
        "qualities": study.rows.qualities,
        "task_weights": classifier.weights,
        "task_biases": classifier.biases,
        "task_means": means,
    }


def _shrinkage_scores(fold: Fold, method: Parameters) -> Floats:
    study = fold.study
    parts = _shrinkage(study, method)
    tasks = (parts["task_weights"], parts["task_biases"], parts["task_means"])
    departures = study.rows.qualities - prior_of(study.features, *tasks)
    sums, counts = _nearby(fold, departures, Locality.of(method))
    departure = shrunk(sums, counts, np.zeros(1), method.number("pseudo_count"))
    return prior_of(fold.features, *tasks) + departure


_TASK_PSEUDO_COUNT = 1.0

_LOCALITY: Settings = {"k": 100, "weighting": "uniform", "bandwidth": 0.5}
_NETWORK: Settings = {"steps": 1500, "learning_rate": 0.01, "weight_decay": 1.0}

KINDS: Mapping[str, Kind] = {
    "random": Kind({"seed": 0}, {}, _nothing),
    "best-single": Kind({}, {}, _best_single),
    "fixed": Kind({"model": ""}, {}, _fixed),
    "labelled-knn": Kind(
        {**_LOCALITY, "pseudo_count": 10.0},
        {
            "k": (10, 30, 100, 300),
            "weighting": ("uniform", "adaptive", "similarity"),
            "pseudo_count": (0.0, 10.0, 30.0),
        },
        _labelled_knn,
        _labelled_knn_scores,
    ),
    "clusters": Kind(
        {"clusters": 32, "nearest": 4, "temperature": 0.1, "pseudo_count": 10.0},
        {
            "clusters": (8, 16, 32, 64),
            "nearest": (1, 4),
            "temperature": (0.03, 0.1),
            "pseudo_count": (10.0,),
        },
        _clusters,
        _clusters_scores,
    ),
    "logistic": Kind(
        {"regularisation": 3.0}, {"regularisation": (1.0, 3.0, 10.0, 30.0)}, _logistic
    ),
    "separate-logistic": Kind(
        {"regularisation": 3.0}, {"regularisation": (1.0, 3.0, 10.0, 30.0)}, _logistic
    ),
    "network": Kind({"units": 32, **_NETWORK}, {"weight_decay": (0.5, 1.0)}, _network),
    "separate-networks": Kind(
        {"units": 8, **_NETWORK}, {"weight_decay": (0.5, 1.0)}, _separate_networks
    ),
    "shrinkage": Kind(
        {**_LOCALITY, "k": 30, "pseudo_count": 100.0, "inverse_regularisation": 30.0},
        {
            "k": (30, 100, 200),
            "weighting": ("uniform", "adaptive"),
            "pseudo_count": (30.0, 100.0, 300.0),
        },
        _shrinkage,
        _shrinkage_scores,
    ),
}
"""Every kind that is learned here, save the stack, which is made of these."""


def with_defaults(kind: str, given: Mapping[str, object]) -> dict[str, Json]:
    """Returns every parameter of a kind.

    Raises:
        InvalidArrayError: The kind isn't learned here, or has no such parameter.
    """
    if kind not in KINDS:
        raise InvalidArrayError(
            f"A router of kind {kind!r} isn't fitted from vectors by itself; it may be "
            f"{', '.join(sorted(KINDS))}.",
            field="kind",
        )
    defaults = KINDS[kind].defaults
    if unknown := sorted(set(given) - set(defaults)):
        allowed = ", ".join(sorted(defaults)) or "none"
        raise InvalidArrayError(
            f"A router of kind {kind} has no parameter {unknown[0]}; it has {allowed}.",
            field=f"parameters.{unknown[0]}",
        )
    return {**defaults, **given}  # type: ignore[dict-item]


def learn(kind: str, study: Study, settings: Settings) -> Fitted:
    """Learns one router with all its parameters given."""
    parts = KINDS[kind].parts(study, Parameters(settings))
    arrays = {name: np.asarray(part, np.float32) for name, part in parts.items()}
    return Fitted(kind, arrays, dict(settings))


def most_neighbours(kind: str, settings: Settings) -> int:
    """Returns how many neighbours a setting asks of a fold; 1 where none."""
    return Parameters(settings).whole("k", least=1) if "k" in KINDS[kind].defaults else 1


def scores_of(kind: str, fold: Fold, settings: Settings) -> Floats:
    """Returns the scores (m, K) of a fold's prompts, as the learned router's, up to rounding."""
    quick = KINDS[kind].scores
    if quick is not None:
        return quick(fold, Parameters(settings))
    fitted = learn(kind, fold.study, settings)
    router = build_router(kind, fold.study.rows.models, fitted.arrays, fitted.method)
    return router.score(fold.vectors).scores
