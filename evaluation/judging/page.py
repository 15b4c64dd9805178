"""The report on generations, for people and for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from evaluation.judging.comparison import Rated
from evaluation.judging.sections import (
    curve_section,
    model_section,
    pool_sections,
    way_bars,
    way_section,
)
from evaluation.judging.study import GenerationStudy
from evaluation.judging.verdict import Answer, answer_of, sentences_of
from evaluation.judging.ways import BEST_SINGLE, RANDOM
from evaluation.report import (
    Definition,
    KeyFigure,
    Report,
    Section,
    percent,
    signed_points,
    spread,
)

Sheet = tuple[Sequence[str], Iterable[Sequence[object]]]

_DEFINITIONS = (
    Definition(
        "Quality",
        "Mean of what the judgements say of the answers that were chosen, from 0 to 100 %: a win "
        "rate where they are win probabilities.",
    ),
    Definition(
        "Best single model",
        "Always the model with the best mean quality, found with these very judgements. It is a "
        "bound: whoever has no judgements can't know it.",
    ),
    Definition("Oracle", "The best answer to each prompt, by the judgements: nothing is better."),
    Definition(
        "Smoothie",
        "The answer of the model with the least noise, estimated without labels from how far "
        "answers lie apart: on the prompt alone (single), on its nearest prompts (local), or on "
        "all (global).",
    ),
    Definition(
        "Labelled",
        "Judgements of other prompts are known. A prompt is never chosen for with labels that "
        "include its own: folds are tested in turn, and labelled prompts drawn from the others.",
    ),
    Definition(
        "95 % interval",
        "By a bootstrap over prompts, which all ways share. For pools it says what other prompts "
        "would have brought in these pools.",
    ),
)


def generation_report(study: GenerationStudy, facts: Sequence[tuple[str, str]] = ()) -> Report:
    """Says what was found; its first sentence is the answer.

    Args:
        study: What was found.
        facts: Name and value of what it was made from, for the foot.
    """
    answer = answer_of(study.comparison)
    return Report(
        title=f"Choosing among the answers of {len(study.voters)} models",
        verdict=answer.verdict,
        headline=answer.sentence,
        summary=tuple(sentences_of(study)),
        figures=tuple(_figures(study, answer)),
        first=way_bars(
            study.comparison, answer.way.name, "Quality of what is chosen", "quality in %"
        ),
        sections=tuple(_sections(study, answer)),
        definitions=_DEFINITIONS,
        facts=(
            *facts,
            ("Prompts", f"{study.prompts:,}"),
            ("Judged answers", f"{study.judged:,}"),
            ("Seed", str(study.plan.seed)),
        ),
    )


def _figures(study: GenerationStudy, answer: Answer) -> Iterator[KeyFigure]:
    way = answer.way
    yield KeyFigure(way.name, f"{percent(way.rate.mean)} %", "the best way of choosing")
    best = study.comparison.named(BEST_SINGLE)
    yield KeyFigure(
        "best single model", f"{percent(best.rate.mean)} %", study.comparison.best_single
    )
    apart = f"95 % interval {spread(way.sure, signed=True)}, for all ways at once"
    yield KeyFigure("difference, in points", signed_points(way.sure.mean), apart)
    yield KeyFigure("random", f"{percent(study.comparison.named(RANDOM).rate.mean)} %")


def _sections(study: GenerationStudy, answer: Answer) -> Iterator[Section]:
    yield way_section(study, answer.way.name)
    yield from pool_sections(study)
    if study.curve:
        yield curve_section(study)
    yield model_section(study)


def generation_record(study: GenerationStudy) -> dict[str, object]:
    """Returns every figure as JSON has it."""
    answer = answer_of(study.comparison)
    return {
        "verdict": answer.verdict,
        "headline": answer.sentence,
        "summary": list(sentences_of(study)),
        "plan": study.plan,
        "voters": list(study.voters),
        "prompts": study.prompts,
        "judged": study.judged,
        "truncated": study.truncated,
        "best_single": study.comparison.best_single,
        "ways": list(study.comparison.ways),
        "pools": study.pools,
        "sizes": list(study.sizes),
        "curve": list(study.curve),
        "curve_pools": study.curve_pools,
        "curve_size": study.curve_size,
    }


def generation_sheets(study: GenerationStudy) -> Mapping[str, Sheet]:
    """Returns the tables of the report by the names of their files, numbers in full."""
    way_header = (
        "way", "kind", "quality", "low", "high", "prompts", "over_random", "over_best",
        "over_best_low_at_once", "over_best_high_at_once", "over_longest", "best_model_taken",
    )  # fmt: skip
    pools = [
        (each.size, each.pools, *_way_row(way))
        for each in study.sizes
        for way in each.comparison.ways
    ]
    points = [
        (each.form, each.outcomes, name, rate.mean, rate.low, rate.high,
         each.gain.mean, each.gain.low, each.gain.high)
        for each in study.curve
        for name, rate in each.rates.items()
    ]  # fmt: skip
    # One without rows is written, too, lest that of an earlier run stand beside the others.
    return {
        "ways.csv": (way_header, [_way_row(each) for each in study.comparison.ways]),
        "pools.csv": (("pool_size", "pools", *way_header), pools),
        "curve.csv": (
            ("form", "outcomes", "way", "quality", "low", "high", "gain", "gain_low", "gain_high"),
            points,
        ),
    }


def _way_row(way: Rated) -> tuple[object, ...]:
    leads = [lead.mean for lead in way.leads.values()]
    return (
        way.name, str(way.kind), way.rate.mean, way.rate.low, way.rate.high, way.prompts,
        leads[0], leads[1], way.sure.low, way.sure.high, leads[2], way.found,
    )  # fmt: skip
