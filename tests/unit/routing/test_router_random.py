import numpy as np

from scoring.routers import build_router

MODELS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis")


def scores(prompts, seed=0):
    return build_router("random", MODELS, {}, {"seed": seed}).score(prompts).scores


def test_draws_look_even_and_independent():
    prompts = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
    drawn = scores(prompts)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(1 / 12), atol=0.01)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(len(MODELS)), atol=0.07)
    firsts = np.bincount(drawn.argmax(axis=1), minlength=len(MODELS)) / len(drawn)
    np.testing.assert_allclose(firsts, 1 / len(MODELS), atol=0.02)


def test_draws_are_a_function_of_the_prompt_and_the_seed():
    prompts = np.array([[1, 2], [1, 2.0001], [1, 2]], np.float32)
    drawn = scores(prompts)
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.isclose(drawn[0], drawn[1]).any()
    assert not np.isclose(drawn, scores(prompts, seed=1)).any()


def test_equal_prompts_draw_the_same_whatever_the_sign_of_a_zero():
    assert np.array_equal(*scores(np.array([[0.0, 1], [-0.0, 1]], np.float32)))


def test_draws_stay_what_they_are():
    # Another release must not shuffle what a served router says.
    drawn = scores(np.array([[1, 2, 3]], np.float32), seed=7)[0, :2]
    np.testing.assert_allclose(drawn, [0.6879604707545854, 0.9404578943381102], rtol=1e-15)
