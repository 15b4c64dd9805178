"""What `pointsman route` asks of a router: which models may be called, and by what policy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from scoring.errors import InvalidArrayError
from scoring.policies import (
    ArgMax,
    Budget,
    CostPenalty,
    FirstConfident,
    NearestConfidence,
    Policy,
    RandomConfident,
    Rule,
    Sample,
    Threshold,
)
from server.cli.flags import PolicyName

Parameter = float | str | Path | Sequence[str] | None
"""A flag of a policy, None where it is not set."""


@dataclass(frozen=True, slots=True)
class _Flags:
    """The rule of a policy, and the flags that it needs and that it may take besides."""

    rule: type[Rule]
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_RULES: Mapping[PolicyName, _Flags] = {
    PolicyName.ARG_MAX: _Flags(ArgMax),
    PolicyName.SAMPLE: _Flags(Sample, ("temperature",)),
    PolicyName.BUDGET: _Flags(Budget, ("max_cost",)),
    PolicyName.COST_PENALTY: _Flags(CostPenalty, ("penalty",)),
    PolicyName.THRESHOLD: _Flags(Threshold, ("strong", "weak", "threshold")),
    PolicyName.RANDOM_CONFIDENT: _Flags(RandomConfident, ("confidence",), ("among",)),
    PolicyName.FIRST_CONFIDENT: _Flags(FirstConfident, ("confidence",), ("prefer",)),
    PolicyName.NEAREST_CONFIDENCE: _Flags(NearestConfidence, ("prediction",)),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for every prompt.

    Attributes:
        rule: The seed of one that draws is that of the first prompt; each next one has the next.
        candidates: Only these may be called; all that the router knows if empty.
        denied: These may not be called.
    """

    rule: Rule
    candidates: tuple[str, ...] = ()
    denied: frozenset[str] = frozenset()

    def policy(self, row: int) -> Policy:
        """Returns the policy for the prompt of a row, from 0."""
        rule = self.rule
        if isinstance(rule, Sample | RandomConfident) and rule.seed is not None:
            rule = replace(rule, seed=rule.seed + row)
        return Policy(rule)


def rule_of(policy: PolicyName, parameters: Mapping[str, Parameter], seed: int) -> Rule:
    """Makes a rule of a policy's name and the flags that are set.

    Args:
        policy: The name.
        parameters: By name of the flag, with _ for -; None or empty where it is not set.
        seed: Of a rule that draws.

    Raises:
        typer.BadParameter: A parameter is missing, is not one of this policy, or is out of range.
    """
    flags = _RULES[policy]
    given: dict[str, Any] = {
        name: value for name, value in parameters.items() if value not in (None, [], ())
    }
    for name in flags.needed:
        if name not in given:
            raise typer.BadParameter(f"--policy {policy} needs {_flag(name)}.")
    for name in given:
        if name not in (*flags.needed, *flags.optional):
            raise typer.BadParameter(f"--policy {policy} takes no {_flag(name)}.")
    if flags.rule in (Sample, RandomConfident):
        given["seed"] = seed
    try:
        return flags.rule(**_as_fields(given))
    except InvalidArrayError as error:
        raise typer.BadParameter(str(error)) from None


def _as_fields(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a rule, where they are not named or formed as the flags are."""
    if "prefer" in given:
        given["preference"] = tuple(given.pop("prefer"))
    if "prediction" in given:
        given |= _prediction(given.pop("prediction"))
    return given


def _prediction(path: str | Path) -> dict[str, Any]:
    """The numbers of `NearestConfidence` in a file of JSON."""
    try:
        content = json.loads(Path(path).read_bytes())
        weights = [(str(model), float(weight)) for model, weight in content["weights"].items()]
        return {"weights": tuple(weights), "intercept": float(content["intercept"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise typer.BadParameter(
            f'--prediction {path} is not a file of JSON like {{"weights": {{"a model": 0.5}}, '
            '"intercept": 0.1}.'
        ) from None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
