import numpy as np
import pytest

from scoring.errors import InvalidArrayError
from scoring.fitting import FITTED_KINDS, TrainingRows, choose_parameters, choose_router, fit
from scoring.fitting.fold import Fold, Study
from scoring.fitting.gains import gains_of
from scoring.fitting.judging import Candidate
from scoring.fitting.kinds import KINDS, scores_of
from scoring.fitting.stacked import stack_of
from scoring.fitting.trials import Plan
from scoring.routers import ROUTER_KINDS, build_router

MODELS = ("ant", "bee", "cat")
CHANCES = np.array([[0.9, 0.3, 0.4], [0.2, 0.8, 0.4], [0.3, 0.4, 0.9]])
# Few steps keep the tests short; they need not lead far.
QUICK = {"network": {"steps": 150}, "separate-networks": {"steps": 150}, "fixed": {"model": "bee"}}


def planted(count=150, *, unknown=0.1, seed=0, names=True):
    """Three tasks, told apart by the vector, each with a best model of its own."""
    rng = np.random.default_rng(seed)
    tasks = np.arange(count) % 3
    vectors = np.eye(3, 6)[tasks] * 2 + rng.normal(size=(count, 6)) * 0.4 + 1.0
    qualities = (rng.random((count, 3)) < CHANCES[tasks]).astype(float)
    qualities[rng.random(qualities.shape) < unknown] = np.nan
    named = tuple(f"task-{task}" if names else "" for task in tasks)
    return TrainingRows(vectors.astype(np.float32), qualities, named, MODELS)


def fitted_router(kind, rows, given=None):
    fitted = fit(kind, rows, {**QUICK.get(kind, {}), **(given or {})})
    return build_router(kind, rows.models, fitted.arrays, fitted.method)


LEARNERS = sorted(FITTED_KINDS - {"random", "best-single", "fixed"})


@pytest.mark.parametrize("kind", LEARNERS)
@pytest.mark.parametrize("names", [True, False])
def test_every_learner_finds_the_best_model_of_each_task(kind, names):
    router = fitted_router(kind, planted(names=names))
    corners = (np.eye(3, 6) * 2 + 1).astype(np.float32)
    assert router.score(corners).scores.argmax(axis=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", sorted(FITTED_KINDS))
def test_what_is_learned_is_served_and_the_same_twice(kind):
    rows = planted(60)
    one, other = (fit(kind, rows, QUICK.get(kind, {}), seed=5) for _ in range(2))
    assert (one.kind, one.method) == (kind, other.method)
    assert kind in ROUTER_KINDS
    for name, array in one.arrays.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, other.arrays[name], equal_nan=True)
    scores = build_router(kind, MODELS, one.arrays, one.method).score(rows.vectors).scores
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_quick_scores_of_a_fold_are_those_of_the_router(kind):
    rows, others = planted(90), planted(40, seed=1)
    for weighting in ["uniform", "kernel", "adaptive", "similarity"]:
        given = {**QUICK.get(kind, {})}
        if "weighting" in KINDS[kind].defaults:
            given |= {"weighting": weighting, "k": 20, "pseudo_count": 3.0}
        expected = fitted_router(kind, rows, given).score(others.vectors).scores
        settings = {**KINDS[kind].defaults, **given}
        found = scores_of(kind, Fold(Study(rows, 0), others.vectors, 25), settings)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_best_single_model_has_the_best_average_over_tasks():
    # Ant is best on the many rows of one task, bee on the average of two tasks.
    qualities = np.array([[1.0, 0.7]] * 8 + [[0.0, 0.9]] * 2)
    rows = TrainingRows(
        np.eye(10, dtype=np.float32), qualities, ("x",) * 8 + ("y",) * 2, ("a", "b")
    )
    np.testing.assert_allclose(fit("best-single", rows).arrays["scores"], [0.5, 0.8])


def test_a_fixed_model_is_always_first():
    rows = planted(30)
    assert (fitted_router("fixed", rows).score(rows.vectors).scores == [0, 1, 0]).all()


def test_cluster_means_are_shrunk_to_the_models_mean():
    vectors = np.array([[1, 0], [1, 0], [-1, 0]], np.float32)
    rows = TrainingRows(vectors, np.array([[1.0], [1.0], [0.0]]), ("",) * 3, ("a",))
    fitted = fit("clusters", rows, {"clusters": 2, "nearest": 1, "pseudo_count": 2.0})
    overall = (1.0 + 0.0) / 2
    expected = sorted([(2 + 2 * overall) / 4, (0 + 2 * overall) / 3])
    np.testing.assert_allclose(sorted(fitted.arrays["means"][:, 0]), expected, rtol=1e-6)


def test_shrinkage_beats_constants_and_neighbours_alone_where_tasks_are_all_there_is():
    rows = planted(240, unknown=0.0)
    averages = {
        kind: choose_parameters(kind, rows, given).average
        for kind, given in {
            "best-single": {},
            "labelled-knn": {"k": 3, "pseudo_count": 0.0, "weighting": "uniform"},
            "shrinkage": {},
        }.items()
    }
    assert averages["shrinkage"] > averages["best-single"] + 0.2
    assert averages["shrinkage"] > averages["labelled-knn"]


def test_shrinkage_sees_what_differs_within_a_task():
    # One task, two neighbourhoods: with pseudo-counts of no weight the neighbours decide.
    vectors = np.repeat(np.array([[1, 0.1], [0.1, 1], [-1, -1]], np.float32), 20, axis=0)
    qualities = np.repeat(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.9]]), 20, axis=0)
    rows = TrainingRows(vectors, qualities, ("x",) * 40 + ("y",) * 20, ("a", "b"))
    given = {"k": 10, "weighting": "uniform"}
    near = fitted_router("shrinkage", rows, {**given, "pseudo_count": 1.0})
    far = fitted_router("shrinkage", rows, {**given, "pseudo_count": 1e9})
    both = vectors[[0, 20]]
    assert near.score(both).scores.argmax(axis=1).tolist() == [0, 1]
    gaps = np.diff(far.score(both).scores, axis=1)
    np.testing.assert_allclose(gaps[0], gaps[1], atol=0.1)


def test_each_separate_classifier_may_have_its_own_regularisation():
    rows = planted(60)
    one = fit("separate-logistic", rows, {"regularisation": [0.1, 1e6, 0.1]}).arrays["weights"]
    lengths = np.linalg.norm(one, axis=1)
    assert lengths[1] < 1e-3 < lengths[[0, 2]].min()
    chosen = choose_parameters("separate-logistic", rows, folds=3)
    values = chosen.fitted.method["regularisation"]
    assert len(values) == 3
    assert chosen.tried[0].kind == "separate-logistic"
    assert gains_of(chosen.held_out, rows.qualities).shape == (60,)


def test_a_stack_weighs_the_member_that_knows():
    rows = planted(120, unknown=0.0)
    fitted = fit("stack", rows, {"members": ["random", {"kind": "shrinkage", "method": {"k": 10}}]})
    weights = fitted.arrays["weights"]
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1] > 0.8
    members = fitted.method["members"]
    assert [member["kind"] for member in members] == ["random", "shrinkage"]
    assert members[1]["method"]["k"] == 10


def test_a_member_of_no_weight_is_left_out_and_changes_no_score():
    rows = planted(90, unknown=0.0)
    worst = {"kind": "fixed", "method": {"model": "bee"}}
    members = [worst, {"kind": "shrinkage", "method": {"k": 10}}]
    # What is held out is bee's opposite, so that its weight is none.
    against = TrainingRows(
        rows.vectors, np.clip(rows.qualities - [0, 1, 0], 0, 1), rows.tasks, MODELS
    )
    fitted = fit("stack", against, {"members": members})
    assert [member["kind"] for member in fitted.method["members"]] == ["shrinkage"]
    assert fitted.arrays["weights"].tolist() == [1.0]
    stack = build_router("stack", MODELS, fitted.arrays, fitted.method)
    alone = fitted_router("shrinkage", against, {"k": 10})
    found, expected = (router.score(rows.vectors).scores for router in (stack, alone))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_stack_is_judged_everywhere_by_the_weights_that_it_would_have():
    # One knows the rows dealt at random and is wrong on blocks, the other knows nothing.
    rows = planted(60, unknown=0.0)
    plan = Plan.of(rows, 3, 0, None)
    right, nothing = rows.qualities.astype(np.float32), np.zeros((60, 3), np.float32)
    knows = Candidate("logistic", {}, (right, -right, right))
    empty = Candidate("random", {}, (nothing, right, nothing))
    stack = stack_of(plan, [knows, empty])
    np.testing.assert_allclose(stack.tables[0], right, atol=1e-6)
    np.testing.assert_allclose(stack.tables[1], -right, atol=1e-6)


def test_weights_of_a_stack_take_two_prompts():
    rows = planted(30)
    one = TrainingRows(rows.vectors[:1], rows.qualities[:1], rows.tasks[:1], MODELS)
    with pytest.raises(InvalidArrayError, match="two different prompts or more"):
        choose_parameters("stack", rows, {"members": ["logistic"]}, validation=one)


def test_choosing_tells_its_progress_and_reports_held_out_scores():
    rows = planted(60, unknown=0.0)
    steps = []
    chosen = choose_parameters(
        "logistic", rows, folds=3, progress=lambda done, of: steps.append((done, of))
    )
    grid = KINDS["logistic"].grid["regularisation"]
    # Folds at random, folds of clusters, folds of tasks.
    assert steps == [(done, 9 * len(grid)) for done in range(1, 9 * len(grid) + 1)]
    assert sorted(tried.parameters["regularisation"] for tried in chosen.tried) == sorted(grid)
    assert chosen.fitted.method == chosen.tried[0].parameters
    trusted = [tried.trusted for tried in chosen.tried]
    assert trusted == sorted(trusted, reverse=True)
    assert chosen.tried[0].error == 0
    gains = gains_of(chosen.held_out, rows.qualities)
    for task, mean in chosen.tasks.items():
        assert mean == pytest.approx(gains[np.array(rows.tasks) == task].mean())
    assert chosen.average == pytest.approx(np.mean(list(chosen.tasks.values())))


def test_given_parameters_are_kept():
    chosen = choose_parameters("shrinkage", planted(60), {"k": 7, "weighting": "uniform"}, folds=3)
    assert {tried.parameters["k"] for tried in chosen.tried} == {7}
    assert chosen.fitted.method["weighting"] == "uniform"
    assert len(chosen.tried) == len(KINDS["shrinkage"].grid["pseudo_count"])


def test_held_out_scores_never_saw_their_row():
    # A nearest neighbour that had seen the row would foretell it without fail.
    rng = np.random.default_rng(2)
    qualities = (rng.random((80, 2)) < 0.5).astype(float)
    vectors = rng.normal(size=(80, 5)).astype(np.float32)
    rows = TrainingRows(vectors, qualities, ("",) * 80, ("a", "b"))
    given = {"k": 1, "weighting": "uniform", "pseudo_count": 0.0}
    chosen = choose_parameters("labelled-knn", rows, given)
    seen = fitted_router("labelled-knn", rows, given).score(vectors).scores
    assert np.array_equal(seen, qualities)
    assert 0.3 < (chosen.held_out == qualities).mean() < 0.7


def test_validation_rows_are_what_is_scored():
    rows, validation = planted(90), planted(40, seed=3)
    chosen = choose_parameters("shrinkage", rows, validation=validation)
    router = build_router("shrinkage", MODELS, chosen.fitted.arrays, chosen.fitted.method)
    expected = router.score(validation.vectors).scores
    np.testing.assert_allclose(chosen.held_out, expected, atol=1e-5)


def test_choose_router_finds_who_knows_and_stacks_are_candidates():
    rows = planted(90)
    chosen = choose_router(rows, kinds=("best-single", "shrinkage", "stack"), folds=3)
    assert {tried.kind for tried in chosen.tried} == {"best-single", "shrinkage", "stack"}
    assert chosen.fitted.kind in {"shrinkage", "stack"}
    assert chosen.tried[-1].kind == "best-single"
    router = build_router(chosen.fitted.kind, MODELS, chosen.fitted.arrays, chosen.fitted.method)
    assert gains_of(router.score(rows.vectors).scores, np.nan_to_num(rows.qualities)).mean() > 0.6


def test_few_rows_suffice():
    vectors = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    rows = TrainingRows(
        vectors, np.array([[1, 0], [0, np.nan], [1, 1]]), ("x", "y", "x"), ("a", "b")
    )
    for kind in sorted(KINDS):
        given = QUICK.get(kind, {}) | ({"model": "a"} if kind == "fixed" else {})
        assert np.isfinite(fitted_router(kind, rows, given).score(vectors).scores).all()
        chosen = choose_parameters(kind, rows, given, folds=2)
        assert chosen.held_out.shape == (3, 2)


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("guess", {}, "kind"),
        ("routerdc", {}, "kind"),
        ("logistic", {"depth": 3}, "parameters.depth"),
        ("stack", {"depth": 3}, "parameters.depth"),
        ("stack", {"members": ["guess"]}, "kind"),
        ("stack", {"members": "logistic"}, "method.members"),
        ("stack", {"members": []}, "method.members"),
        ("stack", {"members": ["stack"]}, "kind"),
        ("logistic", {"regularisation": -1}, "method.regularisation"),
        ("logistic", {"regularisation": [1.0]}, "method.regularisation"),
        ("logistic", {"regularisation": [1.0, 1.0, "x"]}, "method.regularisation"),
        ("labelled-knn", {"k": 0}, "method.k"),
        ("labelled-knn", {"weighting": "cubic"}, "method.weighting"),
        ("labelled-knn", {"pseudo_count": -1}, "method.pseudo_count"),
        ("shrinkage", {"inverse_regularisation": 0}, "method.inverse_regularisation"),
        ("clusters", {"clusters": 0}, "method.clusters"),
        ("network", {"units": 0}, "method.units"),
        ("fixed", {}, "method.model"),
        ("fixed", {"model": "dog"}, "method.model"),
    ],
)
@pytest.mark.parametrize("learn", [fit, choose_parameters])
def test_what_cannot_be_learned_is_refused(learn, kind, given, field):
    with pytest.raises(InvalidArrayError) as error:
        learn(kind, planted(30), given)
    assert error.value.field == field


def test_of_kinds_that_differ_by_noise_the_preferred_is_chosen():
    # Two that are about as good, and one that is far behind though it comes first.
    rows = planted(90, unknown=0.0)
    for kinds in [("shrinkage", "logistic"), ("logistic", "shrinkage")]:
        chosen = choose_router(rows, kinds=["best-single", *kinds], folds=3)
        best = chosen.tried[0]
        preferred = next(tried for tried in chosen.tried if tried.kind == kinds[0])
        assert best.trusted - preferred.trusted <= preferred.error
        assert chosen.fitted.kind == kinds[0]
        assert chosen.fitted.method == preferred.parameters
        gains = gains_of(chosen.held_out, rows.qualities)
        assert gains.mean() == pytest.approx(preferred.average)


def test_choosing_among_nothing_is_refused():
    with pytest.raises(InvalidArrayError, match="no kind to choose among"):
        choose_router(planted(30), kinds=())


@pytest.mark.parametrize("folds", [1, 31])
def test_folds_that_cannot_be_dealt_are_refused(folds):
    with pytest.raises(InvalidArrayError) as error:
        choose_parameters("best-single", planted(30), folds=folds)
    assert error.value.field == "folds"


def test_validation_rows_of_other_models_are_refused():
    rows = planted(30)
    others = TrainingRows(rows.vectors, rows.qualities, rows.tasks, ("x", "y", "z"))
    with pytest.raises(InvalidArrayError, match="other models"):
        choose_parameters("best-single", rows, validation=others)
