"""What `pointsman route` asks of a router: which models may be called, and by what policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import typer

from scoring.errors import InvalidArrayError
from scoring.policies import ArgMax, Budget, CostPenalty, Policy, Rule, Sample, Threshold
from server.cli.flags import PolicyName

_RULES: Mapping[PolicyName, tuple[type[Rule], tuple[str, ...]]] = {
    PolicyName.ARG_MAX: (ArgMax, ()),
    PolicyName.SAMPLE: (Sample, ("temperature",)),
    PolicyName.BUDGET: (Budget, ("max_cost",)),
    PolicyName.COST_PENALTY: (CostPenalty, ("penalty",)),
    PolicyName.THRESHOLD: (Threshold, ("strong", "weak", "threshold")),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for every prompt.

    Attributes:
        rule: A sample's seed is that of the first prompt; each next one has the next.
        candidates: Only these may be called; all that the router knows if empty.
        denied: These may not be called.
    """

    rule: Rule
    candidates: tuple[str, ...] = ()
    denied: frozenset[str] = frozenset()

    def policy(self, row: int) -> Policy:
        """Returns the policy for the prompt of a row, from 0."""
        rule = self.rule
        if isinstance(rule, Sample) and rule.seed is not None:
            rule = replace(rule, seed=rule.seed + row)
        return Policy(rule)


def rule_of(policy: PolicyName, parameters: Mapping[str, float | str | None], seed: int) -> Rule:
    """Makes a rule of a policy's name and the flags that are set.

    Args:
        policy: The name.
        parameters: By name, as the rule's own fields; None where a flag is not set.
        seed: Of a sample.

    Raises:
        typer.BadParameter: A parameter is missing, is not one of this policy, or is out of range.
    """
    kind, names = _RULES[policy]
    given: dict[str, Any] = {name: value for name, value in parameters.items() if value is not None}
    for name in names:
        if name not in given:
            raise typer.BadParameter(f"--policy {policy} needs {_flag(name)}.")
    for name in given:
        if name not in names:
            raise typer.BadParameter(f"--policy {policy} takes no {_flag(name)}.")
    if kind is Sample:
        given["seed"] = seed
    try:
        return kind(**given)
    except InvalidArrayError as error:
        raise typer.BadParameter(str(error)) from None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
