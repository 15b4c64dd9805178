import re

import numpy as np
import pytest

from scoring.errors import InvalidArrayError
from scoring.routers import ROUTER_KINDS, build_router

MODELS = ("ant", "bee")
PROMPTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]], np.float32)
NETWORK_METHOD: dict = {}


def floats(*values):
    return np.array(values, np.float32)


def local():
    return {
        "centre": np.full(3, 0.25, np.float32),
        "prompts": PROMPTS,
        "qualities": floats([1, 0], [0, 1], [np.nan, 1], [1, np.nan]),
    }


LOCALITY = {"k": 2, "weighting": "adaptive", "bandwidth": 0.5, "pseudo_count": 1.0}


def parts(kind):
    """Arrays and a method that fit a kind."""
    centre = {"centre": np.full(3, 0.25, np.float32)}
    out = {"weights": np.ones((2, 4), np.float32), "biases": np.zeros(2, np.float32)}
    logistic = {**centre, "weights": np.eye(2, 3, dtype=np.float32), "biases": floats(0, 1)}
    tasks = {
        "task_weights": np.eye(2, 3, dtype=np.float32),
        "task_biases": floats(0, 0.5),
        "task_means": floats([0.2, 0.8], [0.6, 0.4]),
    }
    return {
        "random": ({}, {"seed": 3}),
        "best-single": ({"scores": floats(0.2, 0.4)}, {}),
        "fixed": ({"scores": floats(1, 0)}, {"model": "ant"}),
        "labelled-knn": ({**local(), "means": floats(0.5, 0.6)}, LOCALITY),
        "clusters": (
            {**centre, "centroids": PROMPTS, "means": np.ones((4, 2), np.float32)},
            {"nearest": 2, "temperature": 0.1},
        ),
        "logistic": (logistic, {}),
        "separate-logistic": (logistic, {}),
        "network": (
            {
                **centre,
                **out,
                "hidden_weights": np.ones((4, 3), np.float32),
                "hidden_biases": np.zeros(4, np.float32),
            },
            NETWORK_METHOD,
        ),
        "separate-networks": (
            {
                **centre,
                **out,
                "hidden_weights": np.ones((2, 4, 3), np.float32),
                "hidden_biases": np.zeros((2, 4), np.float32),
            },
            NETWORK_METHOD,
        ),
        "shrinkage": ({**local(), **tasks}, LOCALITY),
        "stack": (
            {
                "weights": floats(0.5, 0.5),
                **{f"0.{name}": array for name, array in logistic.items()},
                "1.llm_embeddings": np.eye(2, 3, dtype=np.float32),
            },
            {"members": [{"kind": "logistic"}, {"kind": "routerdc", "method": {}}]},
        ),
    }.get(kind, ({"llm_embeddings": np.eye(2, 3, dtype=np.float32)}, {}))


def refusal(kind, arrays, method, models=MODELS):
    with pytest.raises(InvalidArrayError) as error:
        build_router(kind, models, arrays, method)
    return error.value.field, str(error.value)


@pytest.mark.parametrize("kind", sorted(ROUTER_KINDS))
def test_every_kind_scores_and_a_prompt_scores_the_same_in_any_batch(kind):
    arrays, method = parts(kind)
    router = build_router(kind, MODELS, arrays, {**method, "unread": "anything"})
    together = router.score(PROMPTS)
    assert (router.kind, router.models(), together.models) == (kind, MODELS, MODELS)
    assert together.scores.shape == (4, 2)
    assert np.isfinite(together.scores).all()
    for prompt, scores in zip(PROMPTS, together.scores, strict=True):
        assert np.array_equal(router.score(prompt[None]).scores[0], scores)
    assert np.array_equal(router.score(PROMPTS[::-1]).scores, together.scores[::-1])


@pytest.mark.parametrize("kind", ["labelled-knn", "shrinkage"])
def test_neighbours_are_counted(kind):
    arrays, method = parts(kind)
    found = build_router(kind, MODELS, arrays, {**method, "k": 9}).score(PROMPTS)
    assert found.neighbours_used.tolist() == [4] * 4
    assert found.voters_used.tolist() == [2] * 4
    assert found.recall_seconds > 0


@pytest.mark.parametrize("kind", sorted(ROUTER_KINDS - {"random"}))
def test_an_array_that_is_missing_or_unknown_is_named(kind):
    arrays, method = parts(kind)
    for name in arrays:
        rest = {each: array for each, array in arrays.items() if each != name}
        field, message = refusal(kind, rest, method)
        assert field == f"arrays.{name}"
        assert f"The array {name} is missing" in message
    field, message = refusal(kind, {**arrays, "bias": floats(1)}, method)
    assert field == "arrays.bias"
    assert "The array bias is unknown" in message


@pytest.mark.parametrize("kind", sorted(ROUTER_KINDS - {"random"}))
def test_an_array_of_another_shape_type_or_content_is_named(kind):
    arrays, method = parts(kind)
    for name, array in arrays.items():
        for wrong in (
            array[None],
            array[:0],
            array.astype(np.float64),
            np.where(array == array.flat[0], np.inf, array).astype(np.float32),
            np.full_like(array, 1e30),
        ):
            assert refusal(kind, {**arrays, name: wrong}, method)[0] == f"arrays.{name}"
        unknown = {**arrays, name: np.full_like(array, np.nan)}
        if name == "qualities":
            assert np.isfinite(
                build_router(kind, MODELS, unknown, method).score(PROMPTS).scores
            ).all()
        else:
            assert refusal(kind, unknown, method)[0] == f"arrays.{name}"


@pytest.mark.parametrize("kind", sorted(ROUTER_KINDS - {"random"}))
def test_other_models_than_the_arrays_are_of_are_refused(kind):
    arrays, method = parts(kind)
    assert refusal(kind, arrays, method, ("ant", "bee", "cat"))[0].startswith("arrays.")


@pytest.mark.parametrize("kind", ["random", "logistic"])
@pytest.mark.parametrize("models", [(), ("ant", "ant")])
def test_models_without_names_of_their_own_are_refused(kind, models):
    arrays, method = parts(kind)
    assert refusal(kind, arrays, method, models)[0] in {"models", "arrays.weights"}


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        ("random", "seed", -1),
        ("random", "seed", 2**60),
        ("random", "seed", True),
        ("labelled-knn", "k", 0),
        ("labelled-knn", "k", 2.5),
        ("labelled-knn", "k", "3"),
        ("labelled-knn", "k", 10**400),
        ("labelled-knn", "weighting", "cubic"),
        ("labelled-knn", "weighting", 3),
        ("labelled-knn", "bandwidth", 0),
        ("labelled-knn", "pseudo_count", float("nan")),
        ("labelled-knn", "pseudo_count", float("inf")),
        ("labelled-knn", "pseudo_count", -0.1),
        ("labelled-knn", "pseudo_count", 1e200),
        ("clusters", "nearest", 0),
        ("clusters", "temperature", 0.0),
        ("shrinkage", "k", None),
        ("stack", "members", []),
        ("stack", "members", "logistic"),
        ("stack", "members", 7),
    ],
)
def test_a_parameter_that_is_missing_or_out_of_range_is_named(kind, name, wrong):
    arrays, method = parts(kind)
    field, message = refusal(kind, arrays, {**method, name: wrong})
    assert field == f"method.{name}"
    assert message.startswith(f"method.{name} must be ")
    assert (
        refusal(kind, arrays, {each: v for each, v in method.items() if each != name})[0] == field
    )


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ([{"kind": "logistic"}, "routerdc"], "method.members[1]"),
        ([{"kind": "logistic"}, {"kind": "guess"}], "method.members[1].kind"),
        ([{"kind": "logistic"}, {"kind": "stack"}], "method.members[1].kind"),
        ([{"kind": "logistic"}, {}], "method.members[1].kind"),
        ([{"kind": "logistic"}, {"kind": "random", "method": []}], "method.members[1].method"),
        ([{"kind": "logistic"}], "arrays.1.llm_embeddings"),
        ([{"kind": "logistic"}, {"kind": "zooter"}, {"kind": "zooter"}], "arrays.weights"),
    ],
)
def test_members_that_make_no_stack_are_refused(members, field):
    arrays, _ = parts("stack")
    assert refusal("stack", arrays, {"members": members})[0] == field


def test_a_parameter_of_a_member_is_named():
    arrays = {"weights": floats(1), **{f"0.{name}": each for name, each in local().items()}}
    arrays["0.means"] = floats(0.5, 0.5)
    method = {"members": [{"kind": "labelled-knn", "method": {**LOCALITY, "k": -1}}]}
    assert refusal("stack", arrays, method)[0] == "method.members[0].method.k"


def test_members_of_other_dimensions_are_refused():
    arrays, method = parts("stack")
    arrays["1.llm_embeddings"] = np.eye(2, dtype=np.float32)
    field, message = refusal("stack", arrays, method)
    assert field == "arrays"
    assert re.search("2 and 3 dimensions", message)


def test_an_unknown_kind_is_refused():
    field, message = refusal("guess", {}, {})
    assert field == "kind"
    assert "stack" in message


def test_prompts_of_another_dimension_are_refused():
    for kind in sorted(ROUTER_KINDS - {"random", "best-single", "fixed"}):
        router = build_router(kind, MODELS, *parts(kind))
        with pytest.raises(InvalidArrayError, match="prompts has 2 dimensions; give 3"):
            router.score(np.ones((1, 2), np.float32))


def test_the_router_keeps_copies():
    for kind in sorted(ROUTER_KINDS - {"random"}):
        arrays, method = parts(kind)
        arrays = {name: array.copy() for name, array in arrays.items()}
        router = build_router(kind, MODELS, arrays, method)
        before = router.score(PROMPTS).scores
        for array in arrays.values():
            array[:] = 0
        assert np.array_equal(router.score(PROMPTS).scores, before)
