import numpy as np
import pytest

import scoring
from scoring import noise_of_neighbourhoods, noise_of_totals
from scoring.errors import InvalidArrayError, RouterUnreadyError
from scoring.kernels.solve import solve_noise
from scoring.routers import SmoothieRouter

FLUENT = {"ant": 0.1, "bee": 0.5, "cat": 2.0}
CODING = {"ant": 2.0, "bee": 0.5, "cat": 0.1}


@pytest.fixture
def router(memory):
    return SmoothieRouter(memory, "pool", neighbours=5, least_neighbours=3)


def test_the_least_noisy_nearby_scores_best(traffic, router):
    traffic.learn(0, FLUENT)
    traffic.learn(1, CODING)
    found = router.score(np.stack([traffic.prompt(0), traffic.prompt(1)]))
    assert found.models == ("ant", "bee", "cat")
    np.testing.assert_allclose(found.scores, [[-0.1, -0.5, -2.0], [-2.0, -0.5, -0.1]], atol=1e-6)
    assert found.neighbours_used.tolist() == [5, 5]
    assert found.voters_used.tolist() == [3, 3]
    assert found.fallback == (None, None)
    assert (found.scores.dtype, found.neighbours_used.dtype) == (np.float64, np.int64)


def test_the_scores_are_what_the_estimator_says_of_the_neighbours(traffic, router, memory, space):
    traffic.learn(0, FLUENT, samples=4)
    traffic.learn(0, CODING, samples=4)
    prompt = traffic.prompt(0)
    nearby = memory.recall("pool", space, prompt, 5)
    np.testing.assert_array_equal(
        router.score(prompt[None]).scores[0], -noise_of_neighbourhoods([nearby])[0][0]
    )


def test_few_neighbours_fall_back_to_the_whole_pool(traffic, memory, space):
    traffic.learn(0, FLUENT, samples=2)
    traffic.learn(1, CODING, samples=4)
    router = SmoothieRouter(memory, "pool", neighbours=20, least_neighbours=7)
    found = router.score(traffic.prompt(0)[None])
    np.testing.assert_array_equal(found.scores[0], -noise_of_totals(memory.totals("pool", space)))
    assert found.neighbours_used.tolist() == [6]
    assert found.fallback[0].reason == "FEW_NEIGHBOURS"
    assert "has 6 near samples" in found.fallback[0].message
    enough = SmoothieRouter(memory, "pool", neighbours=20, least_neighbours=6)
    assert enough.score(traffic.prompt(0)[None]).fallback == (None,)


def test_samples_of_one_voter_are_no_neighbours(traffic, router):
    traffic.learn(0, {"ant": 0.0}, samples=3)
    traffic.learn(0, FLUENT, samples=2)
    found = router.score(traffic.prompt(0)[None])
    assert found.fallback[0].reason == "FEW_NEIGHBOURS"
    assert "has 2 near samples" in found.fallback[0].message


def test_samples_of_a_voter_without_a_score_do_not_count(traffic, router):
    traffic.learn(0, {"eel": 0.0}, samples=9)
    traffic.learn(1, FLUENT, samples=2)
    found = router.score(traffic.prompt(1)[None])
    assert found.neighbours_used.tolist() == [2]
    assert found.voters_used.tolist() == [3]
    assert np.isnan(found.scores).tolist() == [[True, False, False, False]]


def test_pairs_alone_nearby_fall_back_to_the_whole_pool(traffic, router, memory, space):
    traffic.learn(0, {"ant": 0.1, "bee": 0.5})
    traffic.learn(1, CODING)
    found = router.score(traffic.prompt(0)[None])
    assert found.fallback[0].reason == "NOISE_UNIDENTIFIED"
    np.testing.assert_array_equal(found.scores[0], -noise_of_totals(memory.totals("pool", space)))
    assert found.neighbours_used.tolist() == [12]


def test_a_voter_that_was_not_nearby_has_no_score(traffic, router):
    traffic.learn(0, FLUENT)
    traffic.learn(1, {"dog": 1.0, "ant": 1.0, "bee": 1.0})
    found = router.score(np.stack([traffic.prompt(0), traffic.prompt(1)]))
    assert found.models == ("ant", "bee", "cat", "dog")
    assert np.isnan(found.scores).tolist() == [[False] * 3 + [True], [False, False, True, False]]
    assert found.voters_used.tolist() == [3, 3]


def test_voters_of_the_whole_pool_are_matched_by_name(traffic, router, memory):
    traffic.learn(0, FLUENT)
    traffic.learn(1, {"ant": 0.1, "bee": 0.5})
    recall = memory.recall_each

    def recall_and_learn(*args):
        found = recall(*args)
        traffic.learn(1, {"dog": 1.0} | CODING)
        return found

    memory.recall_each = recall_and_learn
    found = router.score(np.stack([traffic.prompt(0), traffic.prompt(1)]))
    assert found.models == ("ant", "bee", "cat", "dog")
    assert [each and each.reason for each in found.fallback] == [None, "NOISE_UNIDENTIFIED"]
    assert np.isnan(found.scores).tolist() == [[False, False, False, True], [False] * 4]
    whole = memory.totals("pool", memory.space("pool"))
    np.testing.assert_array_equal(found.scores[1], -noise_of_totals(whole))


def test_what_is_learned_counts_at_once(traffic, router):
    traffic.learn(0, FLUENT)
    before = router.score(traffic.prompt(0, 1.0)[None]).scores[0]
    traffic.learn(0, CODING)
    after = router.score(traffic.prompt(0, 1.0)[None]).scores[0]
    assert (before.argmax(), after.argmax()) == (0, 2)


def test_a_pool_that_is_not_there_has_no_models(router, traffic):
    assert router.models() == ()
    with pytest.raises(RouterUnreadyError, match="score answers of three models or more"):
        router.score(traffic.prompt(0)[None])
    traffic.learn(0, FLUENT)
    assert router.models() == ("ant", "bee", "cat")
    assert router.kind == "smoothie"


@pytest.mark.parametrize("noise", [{"ant": 0.1}, {"ant": 0.1, "bee": 0.5}])
def test_fewer_than_three_models_cannot_be_told_apart(router, traffic, noise):
    traffic.learn(0, noise)
    with pytest.raises(
        RouterUnreadyError, match="'pool' can't tell any model from another"
    ) as error:
        router.score(traffic.prompt(0)[None])
    assert error.value.field == "pool"


def test_a_pool_deleted_meanwhile_is_not_ready(router, traffic, memory):
    traffic.learn(0, FLUENT)
    recall = memory.recall_each

    def delete_and_recall(*args):
        memory.delete("pool").result(30)
        return recall(*args)

    memory.recall_each = delete_and_recall
    with pytest.raises(RouterUnreadyError):
        router.score(traffic.prompt(0)[None])


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (np.zeros((1, 3), np.float32), "prompts has 3 dimensions; give 4"),
        (np.zeros(4, np.float32), "prompts has 1 axes; give 2"),
        (np.zeros((0, 4), np.float32), "prompts has no prompt"),
        (np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]], np.float32), r"prompts\[1\] holds NaN"),
        (np.full((1, 4), 3e19, np.float32), r"prompts\[0\] is so long"),
    ],
)
def test_prompts_that_cannot_be_compared_are_refused(router, traffic, prompts, message):
    traffic.learn(0, FLUENT)
    with pytest.raises(InvalidArrayError, match=message):
        router.score(prompts)


@pytest.mark.parametrize("field", ["neighbours", "least_neighbours"])
def test_numbers_out_of_range_are_refused(memory, field):
    with pytest.raises(InvalidArrayError, match=f"{field} must be 1 or more") as error:
        SmoothieRouter(memory, "pool", **{field: 0})
    assert error.value.field == field


def test_no_request_compiles_a_kernel(traffic, router):
    scoring.warm_up()
    before = list(solve_noise.signatures)
    traffic.learn(0, FLUENT)
    for prompts in (traffic.prompt(0)[None], np.asfortranarray(np.stack([traffic.prompt(1)] * 2))):
        prompts.flags.writeable = False
        router.score(prompts)
    assert solve_noise.signatures == before
    assert len(before) == 1
