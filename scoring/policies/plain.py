"""The best score, chosen from lists: for a few models NumPy takes longer to be called."""

from collections.abc import Sequence
from math import inf, isinf, isnan

from scoring.errors import InvalidArrayError, NoCandidateError, RouterUnreadyError
from scoring.policies.rules import some


def choose_plain(
    models: Sequence[str], scores: Sequence[float], costs: Sequence[float]
) -> tuple[int, list[int]]:
    """Chooses one of K models as `choose` does by the policy `Policy()`.

    Args:
        models: K distinct names.
        scores: Of the K models, higher is better; NaN where nothing is known.
        costs: Of the K models, NaN where unknown.

    Returns:
        The place of the best score, of equals that of the cheapest; and all places by score, best
        first, NaN last, equals in their order.

    Raises:
        NoCandidateError: There is no model.
        RouterUnreadyError: No model has a score.
        InvalidArrayError: A score or a cost is infinite.
    """
    require_finite(scores, field="scores")
    require_finite(costs, field="costs")
    require_scores(models, scores)
    places = range(len(scores))
    order = sorted(
        [place for place in places if not isnan(scores[place])],
        key=scores.__getitem__,
        reverse=True,
    )
    best = order[0]
    if len(order) > 1 and scores[order[1]] == scores[best]:
        equals = [place for place in order if scores[place] == scores[best]]
        best = min(equals, key=lambda place: inf if isnan(costs[place]) else costs[place])
    if len(order) < len(scores):
        order += [place for place in places if isnan(scores[place])]
    return best, order


def require_finite(values: Sequence[float], *, field: str) -> None:
    """Refuses infinity.

    Raises:
        InvalidArrayError: There is one.
    """
    if any(map(isinf, values)):
        raise InvalidArrayError(
            f"{field} holds infinity; give finite numbers, NaN for what is unknown.", field=field
        )


def require_scores(models: Sequence[str], scores: Sequence[float]) -> None:
    """Refuses to choose where nothing is known.

    Raises:
        NoCandidateError: There is no model.
        RouterUnreadyError: No model has a score.
    """
    if not models:
        raise NoCandidateError("There is no model to choose from; allow at least one.")
    if all(map(isnan, scores)):
        raise RouterUnreadyError(
            f"The router knows nothing yet of {some(models)}: feed it answers of these models, "
            "or allow others."
        )
