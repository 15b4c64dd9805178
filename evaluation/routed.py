"""A routed prompt as a value and as a line of JSON, the same offline and from a server."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RankedModel:
    """One model's place.

    Attributes:
        model: Its name.
        score: The router's own; None where it knows nothing of the model.
        probability: Calibrated; None without a calibration.
        cost: Of a call; None where it is unknown.
    """

    model: str
    score: float | None
    probability: float | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class RoutedPrompt:
    """Which model should answer a prompt.

    Attributes:
        prompt: The text.
        task: What it is an example of; empty where that was not said.
        model: The model to call.
        ranking: All candidates, best first.
        margin: Score of the first less that of the second; None with one candidate.
        entropy: Of the probabilities, in nats; None where there are none.
        abstained: A server was not sure enough and named its fallback.
        reason: In upper case, why the router did otherwise; empty where it did not.
    """

    prompt: str
    task: str
    model: str
    ranking: tuple[RankedModel, ...]
    margin: float | None
    entropy: float | None
    abstained: bool = False
    reason: str = ""


def routed_lines(routed: Iterable[RoutedPrompt], digits: int | None = None) -> Iterator[str]:
    """Writes one line of JSON per prompt.

    Args:
        routed: The prompts, in their order.
        digits: Decimals that scores, probabilities, margin and entropy are rounded to;
            all that there are if None.

    Yields:
        Lines that end in a line feed.
    """
    for each in routed:
        record = routed_record(each, digits)
        yield json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def routed_record(routed: RoutedPrompt, digits: int | None = None) -> dict[str, object]:
    """Returns a routed prompt as a JSON object; what is not defined is null."""
    record: dict[str, object] = {"prompt": routed.prompt}
    if routed.task:
        record["task"] = routed.task
    record |= {
        "model": routed.model,
        "ranking": [_ranked(each, digits) for each in routed.ranking],
        "margin": _rounded(routed.margin, digits),
        "entropy": _rounded(routed.entropy, digits),
    }
    if routed.abstained:
        record["abstained"] = True
    if routed.reason:
        record["fallback"] = routed.reason
    return record


def _ranked(ranked: RankedModel, digits: int | None) -> dict[str, object]:
    return {
        "model": ranked.model,
        "score": _rounded(ranked.score, digits),
        "probability": _rounded(ranked.probability, digits),
        "cost": _rounded(ranked.cost, None),
    }


def _rounded(number: float | None, digits: int | None) -> float | None:
    if number is None or not math.isfinite(number):
        return None
    # Adding 0 turns the -0.0 that rounding may leave into 0.0.
    return float(number) if digits is None else round(float(number), digits) + 0.0
