import doctest

import numpy as np
import pytest

import scoring.routers
from scoring.errors import InvalidArrayError
from scoring.routers import COSINE_KINDS, CosineRouter, build_router

EMBEDDINGS = np.array([[1, 0], [0, 2], [0, 0]], np.float32)
MODELS = ("ant", "bee", "cat")


def test_a_score_is_a_cosine_whatever_the_lengths():
    router = CosineRouter("routerdc", MODELS, EMBEDDINGS)
    found = router.score(np.array([[3, 4], [-30, 0], [0, 0]], np.float32))
    np.testing.assert_allclose(found.scores, [[0.6, 0.8, 0], [-1, 0, 0], [0, 0, 0]], atol=1e-15)
    assert (found.models, router.models(), router.kind) == (MODELS, MODELS, "routerdc")
    assert found.scores.dtype == np.float64
    assert found.neighbours_used.tolist() == found.voters_used.tolist() == [0, 0, 0]
    assert found.fallback == (None, None, None)


def test_the_router_keeps_a_copy():
    embeddings = EMBEDDINGS.copy()
    router = CosineRouter("zooter", MODELS, embeddings)
    embeddings[:] = 7
    assert router.score(np.array([[1, 0]], np.float32)).scores.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (np.zeros((1, 3), np.float32), "prompts has 3 dimensions; give 2"),
        (np.zeros(2, np.float32), "prompts has 1 axes; give 2"),
        (np.array([[np.inf, 0]], np.float32), r"prompts\[0\] holds NaN or infinity"),
        (np.array([["a", "b"]]), "prompts holds <U1"),
    ],
)
def test_bad_prompts_are_refused(prompts, message):
    with pytest.raises(InvalidArrayError, match=message):
        CosineRouter("routerdc", MODELS, EMBEDDINGS).score(prompts)


@pytest.mark.parametrize("models", [("ant", "bee"), ("ant", "bee", "bee")])
def test_names_that_do_not_fit_are_refused(models):
    with pytest.raises(InvalidArrayError, match="give one name for each") as error:
        CosineRouter("routerdc", models, EMBEDDINGS)
    assert error.value.field == "llm_embeddings"


def test_embeddings_that_are_not_finite_are_refused():
    with pytest.raises(InvalidArrayError, match=r"llm_embeddings\[1\] holds NaN"):
        CosineRouter("routerdc", MODELS, np.array([[1], [np.nan], [0]], np.float32))


@pytest.mark.parametrize("kind", sorted(COSINE_KINDS))
def test_every_trained_kind_is_built(kind):
    router = build_router(kind, MODELS, {"llm_embeddings": EMBEDDINGS})
    assert router.kind == kind
    assert router.score(EMBEDDINGS[:1]).scores.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("kind", "arrays", "field", "message"),
    [
        ("smoothie", ["llm_embeddings"], "kind", "no trained router of kind 'smoothie'; it may be"),
        ("routerdc", [], "arrays.llm_embeddings", "made of llm_embeddings; none was given"),
        ("routerdc", ["bias", "llm_embeddings"], "arrays.bias", "bias, llm_embeddings was given"),
    ],
)
def test_what_cannot_be_built_is_refused(kind, arrays, field, message):
    with pytest.raises(InvalidArrayError, match=message) as error:
        build_router(kind, MODELS, dict.fromkeys(arrays, EMBEDDINGS))
    assert error.value.field == field


def test_the_example_of_the_package_runs():
    failed, attempted = doctest.testmod(scoring.routers)
    assert (failed, attempted > 3) == (0, True)
