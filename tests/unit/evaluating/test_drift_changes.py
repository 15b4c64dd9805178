"""Who has changed: synthetic voters whose noise is planted, and changes at a known time."""

import io

import numpy as np
import pytest
from rich.console import Console

from evaluation.drift import OutcomeHistory, PoolHistory, WindowPlan, voter_changes
from evaluation.drift.page import WINDOW_HEADER, pool_record, pool_report, window_rows
from evaluation.drift.summary import PoolSummary, moment
from evaluation.drift.tables import sparkline
from evaluation.report import Verdict, json_value, print_report
from tests.unit.evaluating.test_drift_history import DAY, drawn

VOTERS = ("a", "b", "c", "d")


def history(noise_at, samples=400, days=8, seed=0, present=lambda _: VOTERS, voters=VOTERS):
    """Samples over some days, noise of each voter as it is at that time."""
    generator = np.random.default_rng(seed)
    found = PoolHistory(WindowPlan.of_width(0.0, days * DAY - 1, DAY))
    for time in np.sort(generator.uniform(0, days, samples)):
        here = [voters.index(each) for each in present(time)]
        noise = np.array([noise_at(time)[each] for each in here])
        found.add(time * DAY, present(time), drawn(generator, noise))
    return found


def changes(found):
    return {each.voter: each for each in voter_changes(found.voters, found.evidence())}


def summary(found, outcomes=None, **more):
    return PoolSummary.of("p", found, outcomes or OutcomeHistory(), **more)


def steady(_):
    return 1.0, 1.0, 2.0, 1.0


def worse(time):
    return 1.0, 1.0 if time < 5 else 2.0, 2.0, 1.0


def test_a_voter_that_becomes_noisier_is_named_and_dated():
    found = changes(history(worse))
    assert [each.voter for each in found.values() if each.changed] == ["b"]
    assert found["b"].since == 5 * DAY
    assert found["b"].before == pytest.approx(1.0, abs=0.15)
    assert found["b"].after == pytest.approx(2.0, abs=0.3)
    assert found["b"].shift.low > 0
    text = summary(history(worse)).headline
    assert text.startswith("b has become noisier since 1970-01-06 (")


def test_a_voter_that_becomes_less_noisy_is_told_so():
    found = summary(history(lambda time: (1.0, 2.5 if time < 3 else 1.0, 2.0, 1.0)))
    assert found.headline.startswith("b has become less noisy since 1970-01-04")
    assert found.verdict is Verdict.NO


def test_a_steady_pool_raises_an_alarm_once_in_twenty():
    alarms = sum(
        any(each.changed for each in changes(history(steady, 150, 6, seed)).values())
        for seed in range(40)
    )
    assert alarms <= 5


def test_a_change_in_the_last_window_alone_is_found():
    found = changes(history(lambda time: (1.0, 1.0 if time < 7 else 3.0, 2.0, 1.0)))
    assert found["b"].since == 7 * DAY
    assert found["b"].last.low > 0


def test_a_voter_that_comes_later_changes_nobody():
    """The newcomer is close to a, which would make a look less noisy if it were counted."""
    generator = np.random.default_rng(3)
    found = PoolHistory(WindowPlan.of_width(0.0, 8 * DAY - 1, DAY))
    for time in np.sort(generator.uniform(0, 8, 600)):
        vectors = generator.standard_normal((3, 8)) / np.sqrt(8)
        if time < 5:
            pairs, voters = vectors, ("a", "b", "c")
        else:
            pairs = np.concatenate([vectors, vectors[:1] + 0.01])
            voters = ("a", "b", "c", "copy")
        distances = [
            np.sum((pairs[i] - pairs[j]) ** 2) for j in range(len(pairs)) for i in range(j)
        ]
        found.add(time * DAY, voters, np.array(distances, np.float32))
    by_voter = changes(found)
    assert not any(each.changed for each in by_voter.values())
    series = np.array([each.noise.variance for each in found.windows()])
    assert series[-1][0] < 0.5 * series[0][0], "by its own window alone it would look so"


def test_a_voter_that_came_in_the_last_window_has_no_before():
    found = history(steady, present=lambda time: VOTERS if time > 7 else VOTERS[:3])
    late = changes(found)["d"]
    assert not late.known
    assert not late.changed
    assert "Too little is known of d" in next(iter(pool_report(summary(found)).summary))


def test_where_all_change_together_the_prompts_are_suspected():
    found = summary(history(lambda time: (1, 1, 2, 1) if time < 4 else (2, 2, 4, 2)))
    assert found.together
    assert found.headline.startswith("Every voter has become noisier since 1970-01-05")


def test_more_changes_than_are_named_are_counted():
    voters = tuple("abcdefg")
    before, after = (1.0,) * 7, (4.0, 4.0, 4.0, 4.0, 1.0, 1.0, 1.0)
    found = history(
        lambda time: before if time < 4 else after, 900,
        present=lambda _: voters, voters=voters,
    )  # fmt: skip
    assert summary(found).headline.endswith("and 1 more have changed.")


def one_window(count=50, voters=VOTERS):
    found = PoolHistory(WindowPlan(0.0, DAY))
    generator = np.random.default_rng(0)
    for _ in range(count):
        found.add(10.0, voters, drawn(generator, np.ones(len(voters))))
    return found


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (PoolHistory(WindowPlan(0.0, DAY)), "has no samples yet"),
        (one_window(), "fall into one window"),
        (one_window(voters=("a",)), "the pool p has one voter"),
        (one_window(voters=("a", "b")), "the pool p has 2 voters"),
        (history(steady, samples=6), "too few samples in each window"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_sentence(found, sentence):
    said = summary(found)
    assert sentence in said.headline
    assert said.verdict is Verdict.UNCLEAR
    stream = io.StringIO()
    print_report(pool_report(said), Console(file=stream))
    assert stream.getvalue().startswith(said.headline)
    json_value(pool_record(said))


def test_a_steady_pool_is_said_to_be():
    said = summary(history(steady, seed=1))
    assert said.headline.startswith("No voter has changed: the noise of 4 voters is what it was")
    assert said.verdict is Verdict.YES


def test_silent_voters_and_days_without_samples_leave_gaps():
    found = history(steady, present=lambda time: VOTERS if time < 2 or time > 4 else VOTERS[:2])
    said = summary(found)
    rows = list(window_rows(said))
    assert len(rows) == 8 * 4
    assert {len(each) for each in rows} == {len(WINDOW_HEADER)}
    assert np.isnan(rows[3 * 4][5])
    report = pool_report(said)
    (table,) = report.sections[0].parts
    share = sum(each.answered[2] for each in said.windows) / said.samples
    assert table.rows[2][-1] == f"{share:.0%}"
    assert table.rows[0][-1] == "100%"


def test_outcomes_that_contradict_agreement_are_a_warning():
    outcomes = OutcomeHistory()
    for model, quality in (("a", 0.2), ("b", 0.9)):
        outcomes.add(model, quality)
    found = history(steady)
    warned = pool_report(summary(found, outcomes, contradicted=True))
    assert any("contradict agreement" in each for each in warned.summary)
    calm = pool_report(summary(found, outcomes, contradicted=False))
    assert any("b has the best recorded outcomes" in each for each in calm.summary)
    assert calm.sections[-1].title == "Recorded outcomes"


def test_bars_go_from_zero_to_the_largest():
    assert sparkline([0.0, 1.0, 2.0]) == "▁▅█"
    assert sparkline([np.nan, 1.0]) == " █"
    assert sparkline([-1.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("seconds", "width", "text"),
    [
        (0, DAY, "1970-01-01"),
        (3600, 3600, "1970-01-01 01:00 UTC"),
        (3661, 1, "1970-01-01 01:01:01 UTC"),
    ],
)
def test_moments_are_as_exact_as_the_windows(seconds, width, text):
    assert moment(seconds, width) == text
