"""The answer in one sentence: does routing beat always calling the best model, and is that sure?"""

import math
from dataclasses import dataclass

from evaluation.bootstrap import Interval
from evaluation.report import Verdict, percent, points, spread
from evaluation.routers.standings import RoutingEvaluation, Standing

# Were each as likely to go either way, five might all go one way too often: 2 / 2^5 > 5 %.
_LEAST_DIFFERING = 6


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer."""

    verdict: Verdict
    sentence: str


def headline_of(evaluation: RoutingEvaluation) -> Headline:
    """Says whether routing beats always calling the best single model.

    Yes, or no, where the whole 95 % interval of the difference lies on one side of 0; no,
    too, where there is no difference at all; else that these prompts can't tell. Nor can they
    where the two differ on fewer than six, however all of those went (the sign test).
    """
    if evaluation.best is None:
        return Headline(Verdict.NONE, _without_routers(evaluation))
    standing = evaluation.routers[evaluation.best]
    verdict = Verdict.UNCLEAR if _too_few(evaluation) else verdict_of(evaluation.lead)
    return Headline(verdict, _SENTENCES[verdict](evaluation, standing) + _interval(evaluation))


def verdict_of(lead: Interval) -> Verdict:
    """Returns what an interval of a difference says."""
    if not (math.isfinite(lead.low) and math.isfinite(lead.high)):
        return Verdict.UNCLEAR
    if lead.low > 0:
        return Verdict.YES
    if lead.high < 0 or lead.low == lead.high == 0:
        return Verdict.NO
    return Verdict.UNCLEAR


def _yes(evaluation: RoutingEvaluation, standing: Standing) -> str:
    return (
        f"Yes: routing beats always calling {evaluation.best_single} here. {standing.way.name} is "
        f"{_apart(evaluation, standing)} better, and we are sure of it"
    )


def _no(evaluation: RoutingEvaluation, standing: Standing) -> str:
    best = evaluation.best_single
    if evaluation.lead.mean == 0:
        return (
            f"No: routing makes no difference to always calling {best} here. {standing.way.name} "
            f"is {_apart(evaluation, standing)} better"
        )
    return (
        f"No: routing does not beat always calling {best} here. {standing.way.name} is "
        f"{_apart(evaluation, standing)} worse, and we are sure of it"
    )


def _unclear(evaluation: RoutingEvaluation, standing: Standing) -> str:
    lead = round(evaluation.lead.mean, 3)
    side = "ahead" if lead > 0 else "behind" if lead < 0 else "apart"
    return (
        f"We can't tell whether routing beats always calling {evaluation.best_single} here. "
        f"{standing.way.name} is {_apart(evaluation, standing)} {side}, which may be chance"
    )


_SENTENCES = {Verdict.YES: _yes, Verdict.NO: _no, Verdict.UNCLEAR: _unclear}


def _apart(evaluation: RoutingEvaluation, standing: Standing) -> str:
    best = evaluation.standing_of_best_single().way.average.mean
    reached = standing.way.average.mean
    return f"{points(evaluation.lead.mean)} points ({percent(reached)} % against {percent(best)} %)"


def _too_few(evaluation: RoutingEvaluation) -> bool:
    """Whether the interval lies on one side for want of prompts to tell otherwise."""
    differing = evaluation.differing or sum(evaluation.rows)
    return differing < _LEAST_DIFFERING and verdict_of(evaluation.lead) is not Verdict.UNCLEAR


def _interval(evaluation: RoutingEvaluation) -> str:
    if _too_few(evaluation):
        prompts = "1 prompt" if evaluation.differing == 1 else f"{evaluation.differing} prompts"
        return f": the two differ on {prompts}, which are too few to be sure."
    if not (shown := spread(evaluation.lead, signed=True)):
        return ": there are too few prompts for an interval."
    allowing = _allowing(evaluation)
    return f": the 95 % interval of the difference is {shown} points{allowing}."


def _allowing(evaluation: RoutingEvaluation) -> str:
    several, found_here = evaluation.compared > 1, not evaluation.trained
    chosen = [f"the best of {evaluation.compared}"] * several + ["the best model"] * found_here
    if not chosen:
        return ""
    where = " on these prompts" if found_here else ""
    return f", allowing for the choice of {' and of '.join(chosen)}{where}"


def _without_routers(evaluation: RoutingEvaluation) -> str:
    task, oracle = evaluation.bounds
    return (
        f"No router was measured: over always calling {evaluation.best_single}, a perfect choice "
        f"for each task would gain {points(task.lead.mean)} points here, and a perfect choice for "
        f"each prompt {points(oracle.lead.mean)} "
        f"(95 % interval {spread(oracle.lead, signed=True)})."
    )
