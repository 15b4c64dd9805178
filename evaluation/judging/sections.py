"""The parts of the report on generations."""

from collections.abc import Iterator, Sequence

from evaluation.judging.comparison import Comparison, Rated
from evaluation.judging.pools import PoolStudy
from evaluation.judging.study import GenerationStudy
from evaluation.judging.ways import BEST_SINGLE, LONGEST, ORACLE, RANDOM, Kind
from evaluation.learning_curves import AGREEMENT, CALIBRATED, LABELS_ONLY, CurvePoint
from evaluation.report import (
    Bar,
    Column,
    IntervalBars,
    Line,
    Lines,
    Section,
    Table,
    Tone,
    percent,
    signed_points,
    spread,
)

KINDS = {
    Kind.BOUND: "knows the judgements",
    Kind.SIMPLE: "nothing",
    Kind.AGREEMENT: "the answers",
    Kind.LABELS: "labels of others",
    Kind.PAIRWISE: "a ranker",
    Kind.MODEL: "one model",
}
_MOST_LINES = 8


def tone_of(way: Rated, main: str) -> Tone:
    """Returns what a way's mark stands for, `main` being the way of the headline."""
    if way.name == main:
        return Tone.MAIN
    if way.name == BEST_SINGLE:
        return Tone.BASE
    return {Kind.BOUND: Tone.BOUND, Kind.MODEL: Tone.PLAIN}.get(way.kind, Tone.OTHER)


def way_bars(comparison: Comparison, main: str, title: str, wins: str) -> IntervalBars:
    """Returns the rates of all ways but single models, the best first."""
    ways = [each for each in comparison.ways if each.kind is not Kind.MODEL]
    ways.sort(key=lambda each: -each.rate.mean)
    best = comparison.named(BEST_SINGLE).rate.mean
    bars = tuple(
        Bar(each.name, 100 * each.rate.mean, 100 * each.rate.low, 100 * each.rate.high,
            tone_of(each, main))
        for each in ways
    )  # fmt: skip
    alt = f"{ways[0].name} has {percent(ways[0].rate.mean)} %, the best single {percent(best)} %."
    return IntervalBars(title, alt, wins, bars, 100 * best)


def way_section(study: GenerationStudy, main: str) -> Section:
    """Returns every way among all models."""
    return Section("Every way to choose", (_way_table(study.comparison, main),))


def _way_table(comparison: Comparison, main: str) -> Table:
    ways = [each for each in comparison.ways if each.kind is not Kind.MODEL]
    ways.sort(key=lambda each: -each.rate.mean)
    columns = (
        Column("Way", numeric=False), Column("It must know", numeric=False), Column("Quality in %"),
        Column("95 %"), Column("On random"), Column("On best model"), Column("At once, 95 %"),
        Column("On the longest"), Column("Best model taken"),
    )  # fmt: skip
    rows = tuple(
        (
            each.name, KINDS[each.kind], percent(each.rate.mean), spread(each.rate),
            signed_points(each.leads[RANDOM].mean), signed_points(each.leads[BEST_SINGLE].mean),
            spread(each.sure, signed=True) if each.contends else "",
            signed_points(each.leads[LONGEST].mean), f"{each.found:.0%}",
        )
        for each in ways
    )  # fmt: skip
    strong = frozenset(place for place, each in enumerate(ways) if each.name == main)
    note = (
        "Leads are in points. “At once” is the lead on the best model with an interval that holds "
        "for all ways together."
    )
    notes = " ".join(f"{each.name}: {each.note}." for each in ways if each.note)
    shown = f"{note} {notes}".strip()
    return Table("Ways to choose", columns, rows, shown, strong, narrow=(0, 2, 3, 4, 5))


def model_section(study: GenerationStudy) -> Section:
    """Returns each model alone."""
    models = [each for each in study.comparison.ways if each.kind is Kind.MODEL]
    models.sort(key=lambda each: -each.rate.mean)
    columns = (
        Column("Model", numeric=False), Column("Quality in %"), Column("95 %"),
        Column("On the best model"), Column("Judged answers"),
    )  # fmt: skip
    rows = tuple(
        (
            each.name, percent(each.rate.mean), spread(each.rate),
            signed_points(each.leads[BEST_SINGLE].mean), f"{each.prompts:,}",
        )
        for each in models
    )  # fmt: skip
    return Section("Each model alone", (Table("Models", columns, rows),))


def pool_sections(study: GenerationStudy) -> Iterator[Section]:
    """Yields what comes of pools of some of the models."""
    if study.pools is not None:
        yield Section(f"Pools of {study.pools.size} models", (_pool_table(study.pools),))
    if len(study.sizes) > 1:
        yield Section(
            "By the size of the pool", (_size_plot(study.sizes), _size_table(study.sizes))
        )


def _pool_table(pools: PoolStudy) -> Table:
    columns = (
        Column("Way", numeric=False), Column("Quality in %"), Column("95 %"), Column("On random"),
        Column("Least"), Column("Most"), Column("Above random"),
        Column("Above best"), Column("Best model taken"),
    )  # fmt: skip
    pairs = sorted(
        zip(pools.comparison.ways, pools.ways, strict=True), key=lambda pair: -pair[0].rate.mean
    )
    rows = tuple(
        (
            rated.name, percent(rated.rate.mean), spread(rated.rate),
            signed_points(rated.leads[RANDOM].mean), signed_points(way.least),
            signed_points(way.most), f"{way.over_random:.0%}", f"{way.over_best:.0%}",
            f"{rated.found:.0%}",
        )
        for rated, way in pairs
    )  # fmt: skip
    note = (
        "Least and most are the smallest and the largest lead on random in a pool; above random "
        "and above best are shares of the pools, best being the best model of each."
    )
    return Table(
        f"Means over {pools.pools} pools of {pools.size}", columns, rows, note,
        narrow=(0, 1, 3, 6, 7),
    )  # fmt: skip


def _size_plot(sizes: Sequence[PoolStudy]) -> Lines:
    names = [each.name for each in sizes[0].comparison.ways]
    largest = {name: sizes[-1].comparison.named(name).rate.mean for name in names}
    ordered = sorted(names, key=lambda name: (name != RANDOM, -largest[name]))[:_MOST_LINES]
    x = tuple(float(each.size) for each in sizes)
    lines = []
    for name in ordered:
        rated = [each.comparison.named(name) for each in sizes]
        y = tuple(100 * each.rate.mean for each in rated)
        bound = name in {ORACLE, BEST_SINGLE}
        lines.append(Line(name, x, y, tone=tone_of(rated[0], ""), dashed=bound, marked=True))
    alt = f"Mean quality of {len(lines)} ways in pools of {x[0]:.0f} to {x[-1]:.0f} models."
    return Lines("Quality by the size of the pool", alt, "models in a pool", "quality in %",
                 tuple(lines))  # fmt: skip


def _size_table(sizes: Sequence[PoolStudy]) -> Table:
    columns = (Column("Way", numeric=False), *(Column(str(each.size)) for each in sizes))
    rows = tuple(
        (way.name, *(percent(each.comparison.named(way.name).rate.mean) for each in sizes))
        for way in sizes[0].comparison.ways
    )
    return Table("Mean quality in % by the number of models in a pool", columns, rows)


def curve_section(study: GenerationStudy) -> Section:
    """Returns how fast outcomes teach."""
    parts = [part for form in ("whole", "single") for part in _curve(study, form)]
    return Section("How fast judgements teach", tuple(parts))


def _curve(study: GenerationStudy, form: str) -> Iterator[Lines | Table]:
    points = [each for each in study.curve if each.form == form]
    if not points:
        return
    what = "prompts, all of whose answers are judged" if form == "whole" else "answers judged"
    over = f"{study.curve_pools} pools of {study.curve_size} models"
    yield _curve_plot(points, what, over)
    columns = (
        Column("Judged"), Column("Calibrated"), Column("Labels only"), Column("Agreement"),
        Column("Gain in points"), Column("95 %"),
    )  # fmt: skip
    rows = tuple(
        (
            str(each.outcomes), *(percent(each.rates[name].mean) for name in
                                  (CALIBRATED, LABELS_ONLY, AGREEMENT)),
            signed_points(each.gain.mean),
            spread(each.gain, signed=True) if study.curve_pools > 1 else "",
        )
        for each in points
    )  # fmt: skip
    note = "Gain is of calibrated on labels only; intervals are over pools"
    note += "." if study.curve_pools > 1 else ", and one pool has none."
    yield Table(f"Quality in % by the number of {what}; {over}", columns, rows, note)


def _curve_plot(points: Sequence[CurvePoint], what: str, over: str) -> Lines:
    x = tuple(float(each.outcomes) for each in points)
    tones = {CALIBRATED: Tone.MAIN, LABELS_ONLY: Tone.OTHER}
    lines = tuple(
        Line(
            name, x, tuple(100 * each.rates[name].mean for each in points),
            tone=tones.get(name, Tone.PLAIN), dashed=name not in tones, marked=name in tones,
        )
        for name in points[0].rates
    )  # fmt: skip
    last = points[-1]
    alt = (
        f"With {last.outcomes} judged, calibrated has {percent(last.rates[CALIBRATED].mean)} % and "
        f"labels only {percent(last.rates[LABELS_ONLY].mean)} %."
    )
    return Lines(f"Quality by what is judged, over {over}", alt, what, "quality in %", lines)
