"""The policies that `pointsman evaluate routing` takes every router with."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import typer

from evaluation.routers.contenders import Applied
from evaluation.routers.practice import Practice, learned_prediction
from server.cli.flags import PolicyName
from server.cli.wanted import Wanted, rule_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PREDICTION, SORTED_PREDICTION = "prediction", "sorted-prediction"
_LISTED = frozenset({"prefer"})
_TEXTS = frozenset({"strong", "weak", "prediction"})


def applied_policies(
    given: Sequence[str], seed: int, practice: Practice | None
) -> tuple[Applied, ...]:
    """Reads policies, each a name and its parameters, as in `sample:temperature=0.1`.

    Besides those of `pointsman route` there are `prediction` and `sorted-prediction`, which
    learn `nearest-confidence` for each router from the training rows.

    Args:
        given: As they were written.
        seed: Of the first prompt's draw.
        practice: What the training rows came to; None where there are none.

    Raises:
        typer.BadParameter: There is no such policy, or its parameters are not its own.
    """
    twice = next((each for each in given if given.count(each) > 1), None)
    if twice is not None:
        raise typer.BadParameter(f"--policy {twice} is given twice.")
    return tuple(_applied(each, seed, practice) for each in given)


def needs_practice(given: Sequence[str]) -> bool:
    """Whether a policy is learned from the training rows."""
    return any(each in (PREDICTION, SORTED_PREDICTION) for each in given)


def _applied(written: str, seed: int, practice: Practice | None) -> Applied:
    name, _, rest = written.partition(":")
    if name in (PREDICTION, SORTED_PREDICTION):
        if practice is None or rest:
            raise typer.BadParameter(f"--policy {name} takes no parameters, and needs --training.")
        in_order = name == SORTED_PREDICTION
        return Applied(name, partial(learned_prediction, practice, in_order=in_order))
    if name not in (each.value for each in PolicyName):
        known = ", ".join([*(each.value for each in PolicyName), PREDICTION, SORTED_PREDICTION])
        raise typer.BadParameter(f"--policy {name}: there is none such, but {known}.")
    wanted = Wanted(rule_of(PolicyName(name), _parameters(written, rest), seed))
    return Applied(written, lambda _: wanted.policy)


def _parameters(written: str, rest: str) -> "Mapping[str, float | str | list[str]]":
    found: dict[str, float | str | list[str]] = {}
    for each in filter(None, rest.split(",")):
        key, equals, value = each.partition("=")
        key = key.replace("-", "_")
        if not (key and equals) or (key in found and key not in _LISTED):
            raise typer.BadParameter(f"--policy {written}: write it as NAME:KEY=VALUE,KEY=VALUE.")
        if key in _LISTED:
            found[key] = [*_list(found.get(key)), value]
        else:
            found[key] = value if key in _TEXTS else _number(value)
    return found


def _list(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _number(value: str) -> float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value
