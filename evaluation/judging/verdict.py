"""Does choosing among answers pay here? In sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.bootstrap import Interval
from evaluation.judging.comparison import Comparison, Rated
from evaluation.judging.study import GenerationStudy
from evaluation.judging.ways import BEST_SINGLE, LONGEST, RANDOM, Kind
from evaluation.report import Verdict, percent, points, signed_points, spread

_LEVEL = "95 % interval"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the question whether any way beats the best model.

    Attributes:
        verdict: In a word.
        sentence: With the interval.
        way: The way that it is about.
    """

    verdict: Verdict
    sentence: str
    way: Rated


def answer_of(comparison: Comparison) -> Answer:
    """Says whether any way is better than always taking the best model, and how surely.

    The interval holds for all ways at once, so that trying many finds nothing by luck.
    """
    contenders = comparison.contenders
    sure = [each for each in contenders if each.sure.low > 0]
    way = (sure or contenders)[0]
    among = f"{_LEVEL} {spread(way.sure, signed=True)}, for all {len(contenders)} ways at once"
    best = f"always taking {comparison.best_single}"
    rate = f"{percent(way.rate.mean)} % against {percent(_best(comparison).rate.mean)} %"
    if sure:
        return Answer(
            Verdict.YES,
            f"Yes: choosing by “{way.name}” beats {best} by {points(way.sure.mean)} points "
            f"({among}): {rate}.",
            way,
        )
    lost = all(each.sure.high <= 0 for each in contenders)
    if way.found == 1:
        return Answer(
            Verdict.NO if lost else Verdict.UNCLEAR,
            f"{'No' if lost else 'Not shown'}: the best way of choosing, “{way.name}”, comes to "
            f"{best}, which has {percent(way.rate.mean)} %; no other is shown to beat it.",
            way,
        )
    if lost:
        return Answer(
            Verdict.NO,
            f"No: no way of choosing beats {best}; the nearest, “{way.name}”, is "
            f"{signed_points(way.sure.mean)} points from it ({among}): {rate}.",
            way,
        )
    return Answer(
        Verdict.UNCLEAR,
        f"Not shown: “{way.name}” comes nearest to beating {best}, at "
        f"{signed_points(way.sure.mean)} points ({among}): {rate}.",
        way,
    )


def sentences_of(study: GenerationStudy) -> Iterator[str]:
    """Yields what else must be known at once."""
    comparison = study.comparison
    answer = answer_of(comparison)
    yield f"It is {_lead(answer.way.leads[RANDOM])} random."
    if answer.way.name != LONGEST:
        yield f"It is {_lead(answer.way.leads[LONGEST])} always taking the longest answer."
    yield from _agreement(comparison)
    yield (
        f"Choosing the best answer to every prompt would come to "
        f"{percent(comparison.oracle.rate.mean)} %, the best single model to "
        f"{percent(_best(comparison).rate.mean)} %. Both are found with the judgements themselves, "
        "which flatters them."
    )
    if study.pools is not None:
        yield from _pools(study)
    if study.truncated:
        yield f"{study.truncated:,} texts were longer than the encoder reads."


def _agreement(comparison: Comparison) -> Iterator[str]:
    ways = [each for each in comparison.contenders if each.kind is Kind.AGREEMENT]
    if not ways:
        return
    way = ways[0]
    lead = way.leads[RANDOM]
    sentence = f"Without any label, agreement at its best (“{way.name}”) is {_lead(lead)} random"
    if lead.high < 0:
        yield f"{sentence}: the models that agree are not the good ones here."
    elif lead.low > 0:
        yield f"{sentence}."
    else:
        yield f"{sentence}, which is not told apart from none."


def _pools(study: GenerationStudy) -> Iterator[str]:
    if study.pools is None:
        return
    way = study.pools.comparison.contenders[0]
    by_pool = next(each for each in study.pools.ways if each.name == way.name)
    yield (
        f"Over {study.pools.pools} pools of {study.pools.size} of the {len(study.voters)} models, "
        f"“{way.name}” is best: {percent(way.rate.mean)} %, "
        f"{signed_points(way.leads[RANDOM].mean)} points on random, and above the pool's best "
        f"model in {by_pool.over_best:.0%} of them."
    )


def _lead(lead: Interval) -> str:
    """Says by how much; what follows says of what."""
    side = "above" if lead.mean >= 0 else "below"
    return f"{points(lead.mean)} points ({spread(lead, signed=True)}) {side}"


def _best(comparison: Comparison) -> Rated:
    return comparison.named(BEST_SINGLE)
