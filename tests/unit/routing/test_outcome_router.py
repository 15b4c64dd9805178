import numpy as np
import pytest

from scoring.errors import InvalidArrayError, RouterUnreadyError
from scoring.memory import NewOutcome
from scoring.routers import OutcomeRouter


@pytest.fixture
def record(memory, traffic, space):
    count = iter(range(1000))

    def _record(topic, model, *qualities, shift=0.0):
        for quality in qualities:
            prompt = traffic.prompt(topic, shift)
            outcome = NewOutcome(f"outcome-{next(count)}", model, quality, 1000.0, prompt=prompt)
            memory.record("pool", space, outcome).result(30)

    return _record


def test_the_best_nearby_scores_best(memory, traffic, record):
    for topic, good in ((0, "ant"), (1, "bee")):
        for shift in (0.0, 0.1):
            for model in ("ant", "bee"):
                record(topic, model, float(model == good), shift=shift)
    router = OutcomeRouter(memory, "pool", neighbours=2)
    found = router.score(np.stack([traffic.prompt(0), traffic.prompt(1)]))
    assert found.models == ("ant", "bee")
    # Two outcomes of 1 or 0, and one pretended of 1/2.
    np.testing.assert_allclose(found.scores, [[2.5 / 3, 0.5 / 3], [0.5 / 3, 2.5 / 3]])
    assert found.neighbours_used.tolist() == [2, 2]
    assert found.voters_used.tolist() == [2, 2]
    assert found.fallback == (None, None)


def test_a_model_without_outcomes_nearby_has_its_mean_or_no_score(memory, traffic, record):
    record(0, "ant", 0.5)
    record(1, "bee", 0.25, 0.75, 0.5, 0.5)
    near = traffic.prompt(0)[None]
    found = OutcomeRouter(memory, "pool", neighbours=1).score(near)
    np.testing.assert_allclose(found.scores, [[0.5, 0.5]])
    bare = OutcomeRouter(memory, "pool", neighbours=1, pseudo_outcomes=0).score(near)
    np.testing.assert_array_equal(bare.scores, [[0.5, np.nan]])
    assert bare.voters_used.tolist() == [1]


def test_outcomes_of_one_prompt_all_count(memory, traffic, record):
    record(0, "ant", 1.0, 0.0, 0.0, 0.0)
    router = OutcomeRouter(memory, "pool", neighbours=1, pseudo_outcomes=0)
    assert router.score(traffic.prompt(0)[None]).scores.tolist() == [[0.25]]


def test_a_pool_without_outcomes_is_not_ready(memory, traffic, record):
    router = OutcomeRouter(memory, "pool")
    assert (router.kind, router.models()) == ("knn", ())
    for _ in ("no pool", "samples only"):
        with pytest.raises(RouterUnreadyError, match="'pool' has no outcome yet: record"):
            router.score(traffic.prompt(0)[None])
        traffic.learn(0, {"ant": 0.1, "bee": 0.2, "cat": 0.3}, samples=1)
    record(0, "ant", 1.0)
    assert router.models() == ("ant",)
    assert router.score(traffic.prompt(1)[None]).scores.tolist() == [[1.0]]


def test_a_wrong_dimension_is_refused(memory, record):
    record(0, "ant", 1.0)
    with pytest.raises(InvalidArrayError, match="prompts has 5 dimensions; give 4"):
        OutcomeRouter(memory, "pool").score(np.zeros((1, 5), np.float32))


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("neighbours", 0),
        ("pseudo_outcomes", -0.1),
        ("pseudo_outcomes", np.nan),
        ("pseudo_outcomes", np.inf),
    ],
)
def test_numbers_out_of_range_are_refused(memory, field, number):
    with pytest.raises(InvalidArrayError, match=f"{field} must be") as error:
        OutcomeRouter(memory, "pool", **{field: number})
    assert error.value.field == field
