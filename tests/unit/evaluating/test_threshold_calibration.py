import json

import numpy as np
import pytest
from rich.console import Console

from evaluation.calibration import calibrate_threshold, threshold_record, threshold_table
from evaluation.errors import UnreadableDataError
from evaluation.scores import ScoreTable
from scoring.errors import ScoringError
from scoring.routers import RouterScores

PAIR = ("large", "small")


def router_scores(leads):
    """Scores in which `large` leads `small` by just this much."""
    count = len(leads)
    scores = np.stack([np.zeros(count), np.full(count, 9.0), np.array(leads, float)], axis=1)
    nothing = np.zeros(count, np.int64)
    return RouterScores(("small", "other", "large"), scores, nothing, nothing, (None,) * count)


@pytest.fixture
def table():
    scores = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    return ScoreTable.of(list("pqrs"), ["x"] * 4, ["small", "large"], scores)


def test_the_share_is_kept_and_told():
    report = calibrate_threshold(router_scores([0.4, 0.1, -0.2, 0.3]), PAIR, 0.5)
    assert (report.share, report.wanted_share, report.prompts) == (0.5, 0.5, 4)
    assert 0.1 < report.threshold <= 0.3
    assert report.accuracy is None
    assert np.isnan(report.mean_cost)


def test_ties_go_together_so_that_less_than_the_share_may_be_had():
    report = calibrate_threshold(router_scores([0.4, 0.3, 0.3, 0.3]), PAIR, 0.5)
    assert report.share == 0.25


def test_accuracy_is_that_of_the_divided_prompts(table):
    scores = router_scores([0.4, 0.1, -0.2, 0.3])
    report = calibrate_threshold(scores, PAIR, 0.5, table, costs={"large": 4.0, "small": 1.0})
    # Rows 0 and 3 go to large: 1, 0.5, 1, 1.
    assert report.accuracy.at_threshold.mean == pytest.approx(3.5 / 4)
    assert report.accuracy.always_strong.mean == pytest.approx(2.5 / 4)
    assert report.accuracy.always_weak.mean == pytest.approx(1.5 / 4)
    assert report.accuracy.at_random == pytest.approx(2.0 / 4)
    assert report.mean_cost == pytest.approx(2.5)


def test_positive_tasks_count_as_they_do_elsewhere(table):
    scores = router_scores([0.4, 0.1, -0.2, 0.3])
    report = calibrate_threshold(scores, PAIR, 0.5, table, ["x"])
    assert report.accuracy.at_threshold.mean == 1.0


def test_unknown_models_and_shares_are_refused(table):
    scores = router_scores([0.4, 0.1, -0.2, 0.3])
    with pytest.raises(ScoringError, match="huge"):
        calibrate_threshold(scores, ("huge", "small"), 0.5)
    with pytest.raises(ScoringError, match="share"):
        calibrate_threshold(scores, PAIR, 1.5)
    with pytest.raises(UnreadableDataError, match="No score is of other"):
        calibrate_threshold(scores, ("other", "small"), 0.5, table)


def test_the_record_and_the_table_say_the_same(table):
    scores = router_scores([0.4, 0.1, -0.2, 0.3])
    report = calibrate_threshold(scores, PAIR, 0.5, table)
    record = json.loads(json.dumps(threshold_record(report), allow_nan=False))
    assert record["threshold"] == report.threshold
    assert record["mean_cost"] is None
    assert record["accuracy"]["at_threshold"]["mean"] == pytest.approx(0.875)
    assert record["accuracy"]["at_random"] == pytest.approx(0.5)
    console = Console(width=150, record=True)
    console.print(threshold_table(report))
    text = console.export_text()
    assert f"threshold {report.threshold!r}" in text
    assert "50.0% of 4 prompts go to large, at most 50.0% were wanted." in text
    for figure in ("87.50", "62.50", "37.50", "50.00"):
        assert figure in text


def test_the_record_without_scores_has_no_accuracy():
    record = threshold_record(calibrate_threshold(router_scores([0.4, 0.1]), PAIR, 0.5))
    assert record["accuracy"] is None
