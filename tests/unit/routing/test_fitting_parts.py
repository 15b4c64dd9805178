"""The pieces that routers are learned with."""

import numpy as np
import pytest
from scipy.special import expit

from scoring.errors import InvalidArrayError
from scoring.fitting import TrainingRows
from scoring.fitting.folds import blocked_splits, random_splits, task_splits
from scoring.fitting.gains import gains_of, standard_error, task_gains, trusted_averages
from scoring.fitting.logistic import fit_logistic
from scoring.fitting.means import group_means, model_means
from scoring.fitting.network import Course, Network, fit_network, slopes_of
from scoring.fitting.stacking import stack_weights
from scoring.fitting.tasks import fit_classifier, fit_clusters
from scoring.policies.softmax import softmax
from scoring.routers.twins import first_twins

nan = np.nan


def rows_of(tasks, seed=0, dimension=4):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(tasks), dimension)).astype(np.float32)
    return TrainingRows(vectors, rng.random((len(tasks), 2)), tuple(tasks), ("a", "b"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"vectors": np.zeros((0, 2), np.float32)}, "vectors"),
        ({"vectors": np.array([[0, nan], [0, 0]], np.float32)}, "vectors[0]"),
        ({"qualities": np.zeros((2, 3))}, "qualities"),
        ({"qualities": np.zeros((2, 0)), "models": ()}, "qualities"),
        ({"qualities": np.array([[0, 1.1], [0, 0]])}, "qualities"),
        ({"qualities": np.array([[0, -0.1], [0, 0]])}, "qualities"),
        ({"qualities": np.array([[0, np.inf], [0, 0]])}, "qualities"),
        ({"tasks": ("x",)}, "tasks"),
        ({"models": ("a", "a")}, "models"),
    ],
)
def test_rows_that_do_not_fit_are_refused(changes, field):
    whole = {
        "vectors": np.zeros((2, 2), np.float32),
        "qualities": np.array([[0, nan], [1, 0.5]]),
        "tasks": ("x", "y"),
        "models": ("a", "b"),
    }
    assert len(TrainingRows(**whole)) == 2
    with pytest.raises(InvalidArrayError) as error:
        TrainingRows(**{**whole, **changes})
    assert error.value.field == field


def test_means_are_of_what_is_known():
    qualities = np.array([[1.0, nan], [0.0, nan], [0.6, 0.2], [nan, nan]])
    groups = np.array([0, 0, 1, 2])
    np.testing.assert_allclose(model_means(qualities, groups, 3), [(0.5 + 0.6) / 2, 0.2])
    found = group_means(qualities, groups, 3, 2.0)
    np.testing.assert_allclose(found[:, 0], [(1 + 1.1) / 4, (0.6 + 1.1) / 3, 0.55])
    np.testing.assert_allclose(found[:, 1], [0.2, 0.2, 0.2])
    np.testing.assert_allclose(model_means(qualities[:2], groups[:2], 1), [0.5, 0.5])
    np.testing.assert_allclose(model_means(qualities[3:], groups[:1], 1), [0.5, 0.5])
    np.testing.assert_allclose(group_means(qualities, groups, 3, 0.0)[2], [0.55, 0.2])


def test_logistic_regression_is_at_the_minimum_for_degrees_and_gaps():
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(60, 3)), rng.random((60, 2))
    targets[rng.random(targets.shape) < 0.3] = nan
    weights, biases = fit_logistic(features, targets, np.array([0.5, 4.0]))
    for model, strength in enumerate((0.5, 4.0)):
        known = ~np.isnan(targets[:, model])
        apart = expit(features @ weights[model] + biases[model]) - targets[:, model]
        slope = features[known].T @ apart[known] + strength * weights[model]
        np.testing.assert_allclose(slope, 0, atol=0.05)
        assert apart[known].sum() == pytest.approx(0, abs=0.05)


def test_logistic_regression_equals_scikit_learns_on_labels():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    features = rng.normal(size=(200, 4))
    labels = (rng.random(200) < expit(features @ [1.0, -2.0, 0.5, 0.0])).astype(float)
    weights, biases = fit_logistic(features, labels[:, None], np.array([2.0]))
    wanted = LogisticRegression(C=0.5, tol=1e-8).fit(features, labels)
    np.testing.assert_allclose(weights, wanted.coef_, atol=0.01)
    np.testing.assert_allclose(biases, wanted.intercept_, atol=0.01)


def test_slopes_of_a_network_are_differences():
    rng = np.random.default_rng(3)
    shapes = ((5, 3), (5,), (2, 5), (2,))
    network = Network(*(rng.normal(size=shape) for shape in shapes))
    features, targets = rng.normal(size=(7, 3)), rng.random((7, 2))
    targets[0, 1] = nan

    def loss(parts):
        units = np.maximum(features @ parts[0].T + parts[1], 0)
        chances = expit(units @ parts[2].T + parts[3])
        each = targets * np.log(chances) + (1 - targets) * np.log(1 - chances)
        return -np.nansum(each) / np.count_nonzero(~np.isnan(targets))

    for place, slope in enumerate(slopes_of(network, features, targets)):
        for at in np.ndindex(slope.shape):
            moved = [[part.copy() for part in network] for _ in range(2)]
            moved[0][place][at] += 1e-5
            moved[1][place][at] -= 1e-5
            assert slope[at] == pytest.approx((loss(moved[0]) - loss(moved[1])) / 2e-5, abs=1e-8)


def test_a_network_learns_what_no_line_can():
    rng = np.random.default_rng(4)
    features = rng.uniform(-1, 1, (400, 2))
    targets = ((features[:, 0] * features[:, 1]) > 0).astype(float)[:, None]
    course = Course(units=16, steps=1500, learning_rate=0.02, weight_decay=0.0)
    network = fit_network(features, targets, course, seed=0)
    units = np.maximum(features @ network.hidden_weights.T + network.hidden_biases, 0)
    chances = expit(units @ network.weights.T + network.biases)
    assert ((chances > 0.5) == (targets > 0.5)).mean() > 0.95


def test_weights_of_a_network_decay():
    rng = np.random.default_rng(5)
    features, targets = rng.normal(size=(50, 3)), rng.random((50, 1))
    lengths = [
        np.linalg.norm(fit_network(features, targets, Course(4, 300, 0.01, decay), 0).weights)
        for decay in (0.0, 3.0)
    ]
    assert lengths[1] < lengths[0] / 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_classifier_tells_tasks_apart_however_many(number):
    rng = np.random.default_rng(6)
    tasks = np.arange(90) % number
    features = np.eye(3)[tasks] + rng.normal(size=(90, 3)) * 0.1
    weights, biases = fit_classifier(features, tasks, 10.0)
    shares = softmax(features @ weights.T + biases, 1.0)
    assert shares.shape == (90, number)
    assert (shares.argmax(axis=1) == tasks).all()


def test_the_classifier_of_two_tasks_is_the_binary_one():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(7)
    features, tasks = rng.normal(size=(80, 2)), rng.integers(0, 2, 80)
    weights, biases = fit_classifier(features, tasks, 1.0)
    wanted = LogisticRegression(C=1.0, tol=1e-6).fit(features, tasks).predict_proba(features)
    np.testing.assert_allclose(softmax(features @ weights.T + biases, 1.0), wanted, atol=1e-9)


def test_clusters_are_found_and_never_empty():
    centres = np.array([[5.0, 0], [0, 5], [-5, -5]])
    places = np.arange(60) % 3
    features = centres[places] + np.random.default_rng(8).normal(size=(60, 2)) * 0.1
    centroids, labels = fit_clusters(features, 3, seed=0)
    for cluster in range(3):
        assert len(set(places[labels == cluster])) == 1
        np.testing.assert_allclose(centroids[cluster], features[labels == cluster].mean(axis=0))
    centroids, labels = fit_clusters(np.repeat(centres, 4, axis=0), 7, seed=0)
    assert (centroids.shape, sorted(np.bincount(labels))) == ((3, 2), [4, 4, 4])


def test_random_folds_deal_every_task_evenly():
    rows = rows_of(["x"] * 20 + ["y"] * 7)
    splits = random_splits(rows, 5, seed=0)
    assert sorted(np.concatenate([each.places for each in splits])) == list(range(27))
    for split in splits:
        assert len(split.training) + len(split.scored) == 27
        assert split.scored.tasks.count("x") == 4
        assert split.scored.tasks.count("y") in (1, 2)
        np.testing.assert_array_equal(split.scored.vectors, rows.vectors[split.places])


def test_random_folds_keep_twins_together_even_across_tasks():
    vectors = np.random.default_rng(1).normal(size=(15, 3)).astype(np.float32)[np.arange(60) % 15]
    tasks = ("x",) * 40 + ("y",) * 20
    splits = random_splits(TrainingRows(vectors, np.zeros((60, 1)), tasks, ("a",)), 5, seed=0)
    assert sorted(np.concatenate([each.places for each in splits])) == list(range(60))
    for split in splits:
        learned = {tuple(vector) for vector in split.training.vectors.tolist()}
        assert not learned & {tuple(vector) for vector in split.scored.vectors.tolist()}


def test_one_prompt_alone_cannot_be_held_out():
    rows = TrainingRows(np.ones((6, 2), np.float32), np.zeros((6, 1)), ("x",) * 6, ("a",))
    with pytest.raises(InvalidArrayError, match="the same prompt"):
        random_splits(rows, 2, seed=0)


def test_blocked_folds_keep_twins_together():
    groups = np.arange(80) % 8
    vectors = np.repeat(np.eye(8), 10, axis=0)[np.argsort(np.argsort(groups, kind="stable"))]
    rows = TrainingRows(vectors.astype(np.float32), np.zeros((80, 1)), ("x",) * 80, ("a",))
    splits = blocked_splits(rows, 4, seed=0)
    assert sum(len(each.scored) for each in splits) == 80
    for split in splits:
        learned = {tuple(vector) for vector in split.training.vectors.tolist()}
        assert not learned & {tuple(vector) for vector in split.scored.vectors.tolist()}


def test_folds_of_tasks_score_tasks_that_were_not_learned_from():
    splits = task_splits(rows_of(["x"] * 9 + ["y"] * 5 + ["z"] * 4), 5)
    assert sorted(sorted(set(each.scored.tasks)) for each in splits) == [["x"], ["y"], ["z"]]
    assert all(not set(each.scored.tasks) & set(each.training.tasks) for each in splits)
    assert task_splits(rows_of(["x", "y", "y"]), 2) == []


def test_gains_are_those_of_the_first_best_score():
    scores = np.array([[[0.1, 0.9], [0.5, 0.5], [nan, -1.0]]])
    qualities = np.array([[1.0, 0.2], [0.3, 0.4], [0.5, nan]])
    np.testing.assert_array_equal(gains_of(scores, qualities), [[0.2, 0.3, nan]])
    tasks = np.array([0, 1, 1])
    np.testing.assert_array_equal(task_gains(gains_of(scores, qualities), tasks, 2), [[0.2, 0.3]])


def test_leads_by_luck_are_not_trusted_and_real_ones_are():
    rng = np.random.default_rng(9)
    tasks = np.repeat([0, 1], [4000, 40])
    gains = (rng.random((6, 4040)) < 0.5).astype(float)
    gains[0, :4000] = rng.random(4000) < 0.7
    gains[5, 4000:] = np.arange(40) < 24
    plain = task_gains(gains, tasks, 2).mean(axis=1)
    trusted = trusted_averages(gains, tasks, 2)
    assert trusted[0] - trusted[1] == pytest.approx(0.1, abs=0.02)
    # Among settings that differ by luck alone in the small task, little of the lead is left.
    small = gains[:, 4000:]
    lead = trusted_averages(small, np.zeros(40, np.int64), 1)
    assert np.ptp(lead) < np.ptp(small.mean(axis=1)) / 2
    assert np.ptp(plain) > 0


def test_leads_in_tasks_of_one_row_are_trusted_as_those_of_one_task_would_be():
    rng = np.random.default_rng(12)
    gains = (rng.random((5, 60)) < 0.5).astype(float)
    gains[0] = rng.random(60) < 0.9
    each, one = np.arange(60), np.zeros(60, np.int64)
    np.testing.assert_allclose(trusted_averages(gains, each, 60), trusted_averages(gains, one, 1))
    assert standard_error(gains[0], gains[1], each, 60) == pytest.approx(
        standard_error(gains[0], gains[1], one, 1)
    )
    # Two tasks of twenty rows and twenty of one: the latter weigh as twenty.
    tasks = np.concatenate([np.repeat([0, 1], 20), np.arange(2, 22)])
    joined = [trusted_averages(gains[:, part], one[:20], 1) for part in np.split(each, 3)]
    expected = (joined[0] + joined[1] + 20 * joined[2]) / 22
    np.testing.assert_allclose(trusted_averages(gains, tasks, 22), expected)
    errors = [standard_error(*gains[:2, part], one[:20], 1) for part in np.split(each, 3)]
    assert standard_error(gains[0], gains[1], tasks, 22) == pytest.approx(
        np.sqrt(errors[0] ** 2 + errors[1] ** 2 + (20 * errors[2]) ** 2) / 22
    )


def test_the_lead_in_a_single_row_is_luck():
    gains = np.array([[1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    np.testing.assert_allclose(trusted_averages(gains[:, :1], np.array([0]), 1), [1.0, 1.0])
    np.testing.assert_allclose(trusted_averages(gains[:, 1:2], np.array([0]), 1), [0.5, 0.5])


def test_many_tasks_take_little_room():
    # Each row a task of its own: a table of rows by tasks would take 80 GB.
    tasks = np.arange(100_000)
    gains = np.tile(np.array([[0.25], [0.75]]), (1, len(tasks)))
    assert task_gains(gains, tasks, len(tasks)).shape == (2, 100_000)
    np.testing.assert_allclose(model_means(gains.T, tasks, len(tasks)), [0.25, 0.75])


def test_first_twins_are_rows_of_the_same_numbers():
    rows = np.array([[1, 2], [0, 1], [1, 2], [-0.0, 1], [2, 1], [1, 2]])
    for kind in (np.float32, np.float64):
        assert first_twins(rows.astype(kind)).tolist() == [0, 1, 0, 1, 4, 0]
    assert first_twins(np.asfortranarray(rows)).tolist() == [0, 1, 0, 1, 4, 0]


def test_averages_of_equal_settings_are_plain_and_gaps_do_not_matter():
    gains = np.array([[1.0, 0.0, 0.5, nan]] * 2)
    tasks = np.array([0, 0, 1, 2])
    np.testing.assert_allclose(trusted_averages(gains, tasks, 3), [0.5, 0.5])
    np.testing.assert_allclose(trusted_averages(gains * nan, tasks, 3), [0.0, 0.0])


def test_the_standard_error_is_that_of_paired_gains():
    rng = np.random.default_rng(10)
    tasks = np.repeat([0, 1], [300, 100])
    one, other = rng.random((2, 400))
    apart = one - other
    variances = [apart[tasks == task].var(ddof=1) / (tasks == task).sum() for task in (0, 1)]
    expected = np.sqrt(sum(variances)) / 2
    assert standard_error(one, other, tasks, 2) == pytest.approx(expected)
    assert standard_error(one, one, tasks, 2) == 0


def test_stack_weights_find_the_mixture_whatever_the_level_of_a_prompt():
    rng = np.random.default_rng(11)
    members = rng.normal(size=(3, 200, 4))
    qualities = 0.5 * members[0] + 1.5 * members[1] + rng.normal(size=(200, 1)) * 10
    tasks = np.arange(200) % 2
    found = stack_weights(members, qualities, tasks, 2)
    np.testing.assert_allclose(found, [0.25, 0.75, 0], atol=1e-9)
    qualities[rng.random(qualities.shape) < 0.3] = nan
    np.testing.assert_allclose(
        stack_weights(members, qualities, tasks, 2), [0.25, 0.75, 0], atol=1e-9
    )


def test_stack_weights_are_equal_where_nothing_is_explained():
    member = np.ones((2, 5, 3))
    found = stack_weights(member, np.eye(5, 3), np.zeros(5, np.int64), 1)
    np.testing.assert_allclose(found, [0.5, 0.5])
