"""Ways against each other: leads, intervals, pools, and the sentence that says it."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from evaluation.bootstrap import Interval, simultaneous
from evaluation.judging.comparison import Measured, compare
from evaluation.judging.embedded import EmbeddedAnswers
from evaluation.judging.page import generation_record, generation_report, generation_sheets
from evaluation.judging.pairwise import PairwiseWins
from evaluation.judging.pools import curve_sizes, study_pools, study_sizes
from evaluation.judging.roster import Roster
from evaluation.judging.study import Plan, study_generations
from evaluation.judging.verdict import answer_of
from evaluation.judging.ways import BEST_SINGLE, LONGEST, ORACLE, RANDOM, Kind
from evaluation.preferences import JudgedAnswers
from evaluation.report import Verdict, csv_lines, json_value, print_report
from evaluation.win_rate import win_rate
from scoring.dataset import nearest_prompts

VOTERS = tuple("abcdef")


def measured(name, kind, outcomes, found=0.0):
    return Measured(name, kind, np.asarray(outcomes, float), found)


def compared(good, prompts=200, seed=0):
    """One contender that is better than the best model by a known amount, among others."""
    generator = np.random.default_rng(seed)
    base = generator.random(prompts) * 0.5
    return compare(
        [
            measured(RANDOM, Kind.SIMPLE, base - 0.1),
            measured(LONGEST, Kind.SIMPLE, base - 0.05 * generator.random(prompts)),
            measured(BEST_SINGLE, Kind.BOUND, base, 1.0),
            measured(ORACLE, Kind.BOUND, base + 0.4),
            measured("ours", Kind.AGREEMENT, base + good + 0.2 * generator.normal(size=prompts)),
        ],
        "the-best",
    )


def test_rates_are_those_of_the_win_rates():
    outcomes = np.random.default_rng(0).random(300)
    outcomes[:10] = np.nan
    reference = [measured(name, Kind.SIMPLE, outcomes) for name in (RANDOM, LONGEST)]
    reference.append(measured(BEST_SINGLE, Kind.BOUND, outcomes))
    found = compare(reference, "x").named(RANDOM)
    expected = win_rate(outcomes)
    assert found.rate.mean == pytest.approx(expected.mean)
    assert found.prompts == expected.prompts
    assert found.rate.low == pytest.approx(expected.low, abs=0.01)
    assert found.rate.high == pytest.approx(expected.high, abs=0.01)


def test_leads_are_paired_over_the_prompts_where_both_are_judged():
    base = np.array([0.1, 0.5, 0.9, np.nan] * 50)
    ours = base + 0.1
    ours[0::4] = np.nan
    found = compare(
        [
            measured(RANDOM, Kind.SIMPLE, base),
            measured(LONGEST, Kind.SIMPLE, base),
            measured(BEST_SINGLE, Kind.BOUND, base),
            measured("ours", Kind.LABELS, ours),
        ],
        "x",
    ).named("ours")
    lead = found.leads[BEST_SINGLE]
    assert (lead.mean, lead.low, lead.high) == pytest.approx((0.1, 0.1, 0.1))
    assert found.prompts == 100


@pytest.mark.parametrize(
    ("good", "verdict", "beginning"),
    [
        (0.2, Verdict.YES, "Yes: choosing by “ours” beats always taking the-best by"),
        (-0.2, Verdict.NO, "No: no way of choosing beats always taking the-best"),
        (0.005, Verdict.UNCLEAR, "Not shown: “ours” comes nearest"),
    ],
)
def test_the_answer_is_as_sure_as_the_interval(good, verdict, beginning):
    answer = answer_of(compared(good))
    assert answer.verdict is verdict
    assert answer.sentence.startswith(beginning)


@pytest.mark.parametrize(("spread", "verdict"), [(0.0, Verdict.NO), (0.5, Verdict.UNCLEAR)])
def test_a_way_that_always_takes_the_best_model_is_said_to(spread, verdict):
    base = np.full(100, 0.5)
    other = base - 0.02 + spread * np.random.default_rng(0).choice([-1.0, 1.0], 100)
    answer = answer_of(
        compare(
            [
                measured(RANDOM, Kind.SIMPLE, base - 0.1),
                measured(LONGEST, Kind.SIMPLE, base - 0.3),
                measured(BEST_SINGLE, Kind.BOUND, base, 1.0),
                measured("same", Kind.LABELS, base, 1.0),
                measured("other", Kind.LABELS, other - max(other.mean() - 0.49, 0)),
            ],
            "the-best",
        )
    )
    assert answer.verdict is verdict
    assert "“same”, comes to always taking the-best, which has 50.0 %" in answer.sentence


def test_neither_random_nor_a_bound_contends():
    names = [each.name for each in compared(0.2).contenders]
    assert names == ["ours", LONGEST]


def test_many_ways_widen_the_interval():
    """Of forty worthless ways the best is not taken for a good one, nineteen times of twenty."""
    generator = np.random.default_rng(0)
    missed = alone = 0
    for _ in range(100):
        noise = generator.standard_normal((150, 40))
        picks = generator.integers(150, size=(400, 150))
        drawn = noise[picks].mean(axis=1)
        found = simultaneous(noise.mean(axis=0), drawn, [True] * 40)
        missed += any(each.low > 0 or each.high < 0 for each in found)
        single = simultaneous(noise.mean(axis=0)[:1], drawn[:, :1], [True])
        alone += single[0].low > 0 or single[0].high < 0
    assert missed <= 12
    assert alone <= 12


def test_what_never_differs_has_a_point_for_an_interval():
    found = simultaneous(np.zeros(1), np.zeros((50, 1)), [True])
    assert found == [Interval(0.0, 0.0, 0.0)]


@pytest.fixture(scope="module")
def embedded():
    """Six voters; the last is mostly far better than those who agree, but not for every prompt."""
    generator = np.random.default_rng(5)
    prompts, voters = 60, len(VOTERS)
    spread = np.array([0.1, 0.3, 0.3, 0.5, 0.5, 2.0])
    answers = generator.standard_normal((prompts, voters, 12)) * spread[None, :, None]
    wins = generator.normal([0.2, 0.2, 0.25, 0.3, 0.3, 0.9], 0.1, (prompts, voters))
    wins[::5, :] = generator.random((prompts // 5, voters))
    wins = np.clip(wins, 0, 1)
    texts = tuple(tuple("x" * int(100 * win) for win in row) for row in wins)
    judged = JudgedAnswers(VOTERS, tuple(f"p{row}" for row in range(prompts)), texts, wins)
    where = generator.standard_normal((prompts, 12)).astype(np.float32)
    vectors = answers.astype(np.float32)
    return EmbeddedAnswers(judged, where, vectors, (), nearest_prompts(where, 5), truncated=3)


@pytest.fixture(scope="module")
def study(embedded):
    wins = embedded.judged.wins
    pairwise = np.where(wins[:, :, None] > wins[:, None, :], 0.9, 0.1)
    pairwise[:, np.arange(6), np.arange(6)] = 0.5
    plan = Plan(neighbours=(5,), labels=20, label_neighbours=5, repeats=2, pools=6, pool_size=4)
    return study_generations(embedded, plan, [PairwiseWins("judge", pairwise)])


def test_a_study_finds_what_was_planted(study):
    assert study.comparison.best_single == "f"
    named = study.comparison.named
    assert named("Smoothie global").leads[RANDOM].high < 0
    assert named("best of 20 labelled").found == 1
    assert named("calibrated, 20 labelled").found > 0.7
    judge = named("judge")
    assert judge.rate.mean == pytest.approx(named(ORACLE).rate.mean)
    assert answer_of(study.comparison).way.name in {"judge", LONGEST}
    assert answer_of(study.comparison).verdict is Verdict.YES


def test_pools_hold_fewer_voters(study):
    assert (study.pools.size, study.pools.pools) == (4, 6)
    assert [each.size for each in study.sizes] == [3, 4, 5, 6]
    assert all(each.pools <= 6 for each in study.sizes)
    ways = {each.name: each for each in study.pools.ways}
    assert ways[ORACLE].over_best == 1
    assert ways[RANDOM].least == ways[RANDOM].most == 0
    assert ways["best of 20 labelled"].over_random == 1


def test_a_pool_of_all_voters_is_the_whole(study):
    whole, last = study.comparison, study.sizes[-1].comparison
    for each in last.ways:
        assert each.rate.mean == pytest.approx(whole.named(each.name).rate.mean)


def test_the_means_of_pools_are_those_of_its_ways(embedded):
    roster = Roster(embedded, (5,))
    pools = [np.array([0, 1, 5]), np.array([2, 3, 4])]
    found = study_pools(roster, pools).comparison.named(BEST_SINGLE)
    wins = embedded.judged.wins
    expected = np.mean([wins[:, pool].mean(axis=0).max() for pool in pools])
    assert found.rate.mean == pytest.approx(expected)
    assert found.found == 1


def test_progress_counts_every_pool(embedded):
    told = []
    list(study_sizes(Roster(embedded, (5,)), 2, progress=lambda *each: told.append(each)))
    total = told[-1][1]
    assert told == [(done, total) for done in range(1, total + 1)]
    assert list(curve_sizes(2)) == []
    assert list(curve_sizes(30)) == list(range(3, 11))


def test_the_curve_is_over_the_pools(study):
    assert {each.form for each in study.curve} == {"whole", "single"}
    assert (study.curve_pools, study.curve_size) == (6, 4)
    last = [each for each in study.curve if each.form == "whole"][-1]
    assert last.rates["calibrated"].mean > last.rates["random"].mean


def test_the_report_answers_first_and_says_everything(study):
    report = generation_report(study, [("Data", "planted")])
    assert report.headline.startswith("Yes:")
    assert any("below random: the models that agree" in each for each in report.summary)
    assert any("3 texts were longer" in each for each in report.summary)
    titles = [each.title for each in report.sections]
    assert titles == [
        "Every way to choose",
        "Pools of 4 models",
        "By the size of the pool",
        "How fast judgements teach",
        "Each model alone",
    ]
    assert ("Data", "planted") in report.facts
    stream = io.StringIO()
    print_report(report, Console(file=stream))
    assert stream.getvalue().startswith(report.headline)


def test_figures_for_programs(study):
    record = json_value(generation_record(study))
    assert record["best_single"] == "f"
    assert {each["name"] for each in record["ways"]} >= {RANDOM, LONGEST, ORACLE, *VOTERS}
    sheets = generation_sheets(study)
    assert set(sheets) == {"ways.csv", "pools.csv", "curve.csv"}
    for header, rows in sheets.values():
        lines = list(csv.reader(io.StringIO("".join(csv_lines(header, rows)))))
        assert {len(each) for each in lines} == {len(header)}


def test_without_pools_and_labels_there_is_less(embedded):
    found = study_generations(embedded, Plan(neighbours=(5,), labels=0, pools=0))
    assert (found.pools, found.sizes, found.curve) == (None, (), ())
    names = {each.name for each in found.comparison.ways}
    assert not any("labelled" in name for name in names)
    sheets = generation_sheets(found)
    assert [name for name, (_, rows) in sheets.items() if not rows] == ["pools.csv", "curve.csv"]
    assert [each.title for each in generation_report(found).sections] == [
        "Every way to choose",
        "Each model alone",
    ]
