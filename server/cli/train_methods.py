"""The methods of `pointsman train`, and which options each one has."""

from collections.abc import Mapping
from typing import Annotated, Literal

import typer

Method = Literal[
    "routerdc",
    "zooter",
    "cosine-classifier",
    "multi-label",
    "auto",
    "random",
    "best-single",
    "fixed",
    "labelled-knn",
    "clusters",
    "logistic",
    "separate-logistic",
    "network",
    "separate-networks",
    "shrinkage",
    "stack",
]
TUNED: frozenset[str] = frozenset({"routerdc", "zooter", "cosine-classifier", "multi-label"})
"""Methods that tune an encoder, by torch; the others are fitted to its vectors."""

_FITTED = "Fitted methods; what is not given is chosen on rows that were held out"

Features = Annotated[
    Literal["sentence", "tf-idf"] | None,
    typer.Option(
        help="Vectors of an encoder, or counted terms of the prompts.", rich_help_panel=_FITTED
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(min=2, help="Of the cross-validation; 5 if none.", rich_help_panel=_FITTED),
]
Model = Annotated[
    str | None, typer.Option(help="Fixed: that is always called.", rich_help_panel=_FITTED)
]
Neighbours = Annotated[
    int | None, typer.Option(min=1, help="Labelled kNN, shrinkage.", rich_help_panel=_FITTED)
]
Weights = Annotated[
    Literal["uniform", "kernel", "adaptive", "similarity"] | None,
    typer.Option(help="Of the neighbours.", rich_help_panel=_FITTED),
]
Bandwidth = Annotated[
    float | None,
    typer.Option(
        help="Of --weights kernel: squared distance; of adaptive: a share of the farthest one's.",
        rich_help_panel=_FITTED,
    ),
]
PseudoOutcomes = Annotated[
    float | None,
    typer.Option(
        help="That each mean of neighbours or of a cluster begins with.", rich_help_panel=_FITTED
    ),
]
Clusters = Annotated[int | None, typer.Option(min=1, help="Of k-means.", rich_help_panel=_FITTED)]
Nearest = Annotated[
    int | None,
    typer.Option(min=1, help="Clusters that a score rests on.", rich_help_panel=_FITTED),
]
Hidden = Annotated[
    int | None,
    typer.Option(min=1, help="Units of a network's hidden layer.", rich_help_panel=_FITTED),
]
Regularisation = Annotated[
    float | None,
    typer.Option(help="Of weights of logistic classifiers.", rich_help_panel=_FITTED),
]
Member = Annotated[
    list[str] | None,
    typer.Option(help="Stack, auto: method to take in; may be repeated.", rich_help_panel=_FITTED),
]

_LOCAL = {
    "neighbours": "k",
    "weights": "weighting",
    "bandwidth": "bandwidth",
    "pseudo_outcomes": "pseudo_count",
}
_NETWORK = {"hidden": "units", "weight_decay": "weight_decay"}
_LOGISTIC = {"regularisation": "regularisation"}
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "auto": {},
    "random": {},
    "best-single": {},
    "fixed": {"model": "model"},
    "labelled-knn": _LOCAL,
    "clusters": {
        "clusters": "clusters",
        "nearest": "nearest",
        "temperature": "temperature",
        "pseudo_outcomes": "pseudo_count",
    },
    "logistic": _LOGISTIC,
    "separate-logistic": _LOGISTIC,
    "network": _NETWORK,
    "separate-networks": _NETWORK,
    "shrinkage": _LOCAL,
    "stack": {},
}
"""Of each fitted method, the options that are its parameters, and their names in `scoring`."""

_COMMON = frozenset(
    {"method", "data", "out", "validation", "count_positive", "prompt_field", "task_field"}
    | {"strict", "encoder", "targets", "seed"}
)
_OF_EVERY_FITTED = frozenset({"features", "folds"})
_WITH_MEMBERS = frozenset({"auto", "stack"})


def require_options(context: typer.Context, method: str) -> None:
    """Refuses an option that a method has no use for.

    Raises:
        typer.BadParameter: Names the first.
    """
    for name in context.params:
        source = context.get_parameter_source(name)
        given = source is not None and source.name != "DEFAULT"
        if given and not _has(method, name):
            flag = "--" + name.replace("_", "-")
            raise typer.BadParameter(f"{flag} is not an option of {method}.")


def _has(method: str, option: str) -> bool:
    if option in _COMMON:
        return True
    if method in TUNED:
        return option not in _ONLY_FITTED
    own = option in PARAMETERS[method] or option in _OF_EVERY_FITTED
    return own or (option == "member" and method in _WITH_MEMBERS)


_ONLY_FITTED = (
    frozenset(option for options in PARAMETERS.values() for option in options)
    | _OF_EVERY_FITTED
    | {"member"}
) - {"temperature", "weight_decay"}
