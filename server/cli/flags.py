"""Flags that several commands share, and what they mean."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml

from server.errors import SettingsError

USAGE_EXIT = 2

ConfigFlag = Annotated[
    Path | None,
    typer.Option("--config", envvar="POINTSMAN_CONFIG", help="YAML file of settings."),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting, as in memory.capacity=1000."),
]


class PolicyName(enum.StrEnum):
    """How a model is chosen from the scores."""

    ARG_MAX = "arg-max"
    SAMPLE = "sample"
    BUDGET = "budget"
    COST_PENALTY = "cost-penalty"
    THRESHOLD = "threshold"
    RANDOM_CONFIDENT = "random-confident"
    FIRST_CONFIDENT = "first-confident"
    NEAREST_CONFIDENCE = "nearest-confidence"


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Reads `name=value` flags; a value is YAML, so that numbers and lists are what they seem.

    Raises:
        SettingsError: A flag has no name or no `=`, or its value is not YAML.
    """
    values: dict[str, Any] = {}
    for each in assignments:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise SettingsError(f"--set {each}: write it as name=value.")
        try:
            values[name] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            raise SettingsError(f"--set {each}: the value is not YAML; quote it.") from None
    return values


def refuse(error: Exception, code: int = USAGE_EXIT) -> NoReturn:
    """Ends the command with one sentence on standard error."""
    typer.echo(f"pointsman: {error}", err=True)
    raise typer.Exit(code)
