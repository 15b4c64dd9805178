import json

import numpy as np
import pytest
from rich.console import Console

from evaluation.errors import UnreadableDataError
from evaluation.routing import accuracy, model_indexes, route_table
from evaluation.routing_tables import calls_table, report_record, routing_tables
from evaluation.scores import ScoreTable
from evaluation.ways import outcomes_of
from scoring.routers import CosineRouter

NAN = np.nan
MODELS = ("a", "b", "c")


def table(scores, tasks, costs=None, models=MODELS):
    prompts = [f"p{row}" for row in range(len(tasks))]
    given = None if costs is None else np.array(costs, float)
    return ScoreTable.of(prompts, tasks, models, np.array(scores, float), given)


@pytest.fixture
def small():
    """Three rows of the positive task x and one of y."""
    scores = [[0.9, 0.0, 0.1], [0.0, 0.6, 0.0], [0.3, 0.2, 0.0], [0.25, 1.0, 0.5]]
    costs = [[4.0, 2.0, 1.0]] * 4
    return table(scores, ["x", "x", "x", "y"], costs)


def test_a_positive_task_counts_any_score_above_0_as_right(small):
    outcomes = outcomes_of(small, ["x"])
    np.testing.assert_array_equal(outcomes[:3], [[1, 0, 1], [0, 1, 0], [1, 1, 0]])
    np.testing.assert_array_equal(outcomes[3], small.scores[3])
    np.testing.assert_array_equal(outcomes_of(small), small.scores)


def test_a_missing_score_stays_missing():
    outcomes = outcomes_of(table([[NAN, 0.2, 0.0]], ["x"]), ["x"])
    np.testing.assert_array_equal(outcomes, [[NAN, 1, 0]])


def test_tasks_weigh_the_same_however_many_rows_they_have(small):
    report = accuracy(small, np.array([0, 0, 1, 2]), ["x"])
    assert (report.tasks, report.rows, report.positive) == (("x", "y"), (3, 1), (True, False))
    # x: 1, 0, 1; y: 0.5.
    assert [each.mean for each in report.chosen.tasks] == pytest.approx([2 / 3, 0.5])
    assert report.chosen.average.mean == pytest.approx((2 / 3 + 0.5) / 2)
    assert report.chosen.mean_cost == pytest.approx((4 + 4 + 2 + 1) / 4)
    assert report.shares == (0.5, 0.25, 0.25)
    assert (report.unscored, report.trained) == (0, False)


def test_baselines_are_found_on_the_rows_themselves(small):
    report = accuracy(small, np.zeros(4, np.int64), ["x"])
    # Averages alone: a (2/3 + 0.25) / 2, b (2/3 + 1) / 2, c (1/3 + 0.5) / 2.
    assert [way.name for way in report.models] == list(MODELS)
    averages = [way.average.mean for way in report.models]
    assert averages == pytest.approx([0.4583333, 0.8333333, 0.4166667])
    assert report.best_single.name == "b"
    assert report.lead.mean == pytest.approx(0.4583333 - 0.8333333)
    # a is first of the two best on x; b is best on y.
    assert [each.mean for each in report.task_best.tasks] == pytest.approx([2 / 3, 1.0])
    assert report.random.average.mean == pytest.approx((5 / 9 + 1.75 / 3) / 2)
    assert [each.mean for each in report.oracle.tasks] == [1.0, 1.0]
    # The cheapest that is right: c, b, b, b.
    assert report.oracle.mean_cost == pytest.approx((1 + 2 + 2 + 2) / 4)
    assert report.random.mean_cost == pytest.approx(7 / 3)


def test_baselines_are_found_on_training_rows_where_there_are_any(small):
    training = table(
        [[0, 0, 1], [1, 0, 0], [1, 1, 1]], ["y", "x", "unseen"], models=("c", "b", "a")
    )
    report = accuracy(small, np.zeros(4, np.int64), training=training)
    # Trained, a is best on y and c is best on x: their own order is (c, b, a).
    assert report.trained
    np.testing.assert_allclose([each.mean for each in report.task_best.tasks], [0.1 / 3, 0.25])
    # a and c tie at 0.5 over the two tasks in common, and a comes first in the table.
    assert report.best_single.name == "a"


def test_training_rows_must_have_every_task_and_model(small):
    choices = np.zeros(4, np.int64)
    with pytest.raises(UnreadableDataError, match="none of the task y"):
        accuracy(small, choices, training=small.rows([0, 1]))
    with pytest.raises(UnreadableDataError, match="No score is of c"):
        accuracy(small, choices, training=small.select(["a", "b"]))


def test_a_positive_task_without_rows_is_refused(small):
    with pytest.raises(UnreadableDataError, match="No row is of the task z; the tasks are x, y"):
        accuracy(small, np.zeros(4, np.int64), ["z"])


def test_a_table_without_scores_is_refused():
    with pytest.raises(UnreadableDataError, match="No row has a score"):
        accuracy(table([[NAN, NAN, NAN]], ["x"]), np.array([0]))


def test_choices_without_a_score_are_left_out_and_counted():
    rows = table([[NAN, 1.0, 0.0], [0.5, NAN, 0.0], [NAN, 0.25, 0.0]], ["x", "x", "y"])
    report = accuracy(rows, np.array([0, 0, 0]))
    assert report.unscored == 2
    assert report.chosen.tasks[0].mean == 0.5
    assert np.isnan(report.chosen.tasks[1].mean)
    assert report.chosen.average.mean == 0.5
    assert np.isnan(report.chosen.mean_cost)
    assert report.oracle.average.mean == pytest.approx((0.75 + 0.25) / 2)


def test_intervals_hold_their_mean_and_the_lead_is_paired():
    random = np.random.default_rng(0)
    scores = (random.random((300, 3)) < [0.3, 0.5, 0.4]).astype(float)
    rows = table(scores, ["x"] * 200 + ["y"] * 100)
    report = accuracy(rows, np.full(300, 1))
    for way in (report.chosen, *report.baselines, *report.models):
        assert way.average.low <= way.average.mean <= way.average.high
        assert way.average.low < way.average.high
    # The choices are the best single model itself, so that nothing is left between them.
    assert (report.lead.low, report.lead.mean, report.lead.high) == (0, 0, 0)
    assert accuracy(rows, np.full(300, 1), seed=1).chosen.average != report.chosen.average
    assert accuracy(rows, np.full(300, 1)).chosen.average == report.chosen.average


def test_names_become_places(small):
    np.testing.assert_array_equal(model_indexes(small, ["b", "a", "b"]), [1, 0, 1])
    with pytest.raises(UnreadableDataError, match="no score of d, which was chosen"):
        model_indexes(small, ["a", "d"])


def test_a_router_scores_a_table_in_parts_as_it_does_at_once():
    random = np.random.default_rng(0)
    embeddings, vectors = (
        random.normal(size=shape).astype(np.float32) for shape in ((3, 8), (1100, 8))
    )
    router, seen = CosineRouter("routerdc", MODELS, embeddings), []
    scores = route_table(router, vectors, lambda done, total: seen.append((done, total)))
    whole = router.score(vectors)
    np.testing.assert_array_equal(scores.scores, whole.scores)
    assert (scores.models, scores.fallback) == (MODELS, whole.fallback)
    assert len(scores.neighbours_used) == len(scores.voters_used) == 1100
    assert seen[-1] == (1100, 1100)
    assert len(seen) > 1


def printed(renderable):
    console = Console(width=200, record=True)
    console.print(renderable)
    return console.export_text()


def test_tables_show_what_the_report_says(small):
    report = accuracy(small, np.array([0, 0, 1, 2]), ["x"])
    text = printed(routing_tables(report))
    assert "x *" in text
    assert "58.33" in text  # the average of 2/3 and 1/2
    assert "Best single is b; it and the best per task were found on these rows" in text
    assert "leads it by -25.00 points" in text
    assert "* Any score above 0 counts as right." in text
    assert "2.75" in text
    trained = accuracy(small.select(["a"]), np.zeros(4, np.int64), training=small)
    text = printed(routing_tables(trained))
    assert "found on the training rows." in text
    assert "* Any" not in text


def test_tables_say_what_is_left_out():
    report = accuracy(table([[NAN, 1.0, 0.0]], ["x"]), np.array([0]))
    text = printed(routing_tables(report))
    assert "unknown" in text
    assert "1 prompts are left out" in text
    assert "mean cost" not in text


def test_names_obey_nobody():
    rows = ScoreTable.of(["p"], ["[red]t\x1b[31m"], ["[bold]m"], np.array([[1.0]]))
    text = printed(routing_tables(accuracy(rows, np.array([0]))))
    assert "[red]t [31m" in text
    assert "[bold]m" in text


def test_a_report_is_valid_json(small):
    rows = table([[NAN, 1.0, 0.0], [0.5, NAN, 0.0]], ["x", "y"])
    for each, positive in ((small, ["x"]), (rows, [])):
        report = accuracy(each, np.zeros(len(each), np.int64), positive)
        record = json.loads(json.dumps(report_record(report), allow_nan=False))
        assert record["router"]["average"]["mean"] == report.chosen.average.mean
        assert [task["rows"] for task in record["tasks"]] == list(report.rows)
        assert [model["share_of_calls"] for model in record["models"]] == [1.0, 0.0, 0.0]
        assert record["baselines_found_on"] == "these rows"
    assert record["router"]["tasks"]["x"] == {"mean": None, "low": None, "high": None}
    assert record["unscored"] == 1


def test_calls_are_counted():
    text = printed(calls_table(["b", "a", "b", "b"]))
    assert text.index("b  ") < text.index("a  ")
    assert "75.0%" in text
    assert "4 prompts" in text
