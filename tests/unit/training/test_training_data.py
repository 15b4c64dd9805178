import dataclasses
from collections import Counter

import numpy as np
import pytest

from encoders.training.data import (
    TrainingData,
    apart_from,
    fingerprint,
    informative,
    require_same_models,
    split,
)
from encoders.training.errors import TrainingError

MODELS = ("x", "y")


def table(tasks, prompts=None):
    prompts = prompts or tuple(f"p{index}" for index in range(len(tasks)))
    scores = np.random.default_rng(0).random((len(tasks), 2))
    return TrainingData(prompts, scores, MODELS, tuple(tasks))


def test_a_split_takes_the_share_of_each_task():
    data = table(["big"] * 100 + ["small"] * 10 + ["two"] * 2 + ["one"])
    kept, aside = split(data, 0.2, 3)
    assert Counter(aside.tasks) == {"big": 20, "small": 2, "two": 1}
    assert Counter(kept.tasks) == {"big": 80, "small": 8, "two": 1, "one": 1}
    rows = {(*row, *scores) for row, scores in zip(_texts(data), data.scores, strict=True)}
    parts = [*zip(_texts(kept), kept.scores), *zip(_texts(aside), aside.scores)]  # noqa: B905
    assert {(*row, *scores) for row, scores in parts} == rows


def _texts(data):
    return list(zip(data.prompts, data.tasks, strict=True))


def test_a_split_is_the_seed_s():
    data = table(["t"] * 50)
    assert split(data, 0.2, 1)[1].prompts == split(data, 0.2, 1)[1].prompts
    assert split(data, 0.2, 1)[1].prompts != split(data, 0.2, 2)[1].prompts


def test_equal_prompts_stay_on_one_side_even_across_tasks():
    prompts = tuple(f"p{index % 10}" for index in range(40))
    kept, aside = split(table(["s"] * 20 + ["t"] * 20, prompts), 0.3, 0)
    assert aside.prompts
    assert not set(kept.prompts) & set(aside.prompts)


def test_one_prompt_can_t_be_split():
    with pytest.raises(TrainingError, match="too few prompts"):
        split(table(["t"] * 5, ("same",) * 5), 0.5, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": (), "tasks": (), "scores": np.zeros((0, 2))}, "no rows"),
        ({"models": ("x",), "scores": np.ones((3, 1))}, "one model only"),
        ({"scores": np.full((3, 2), np.inf)}, "infinite or negative"),
        ({"scores": np.full((3, 2), -0.1)}, "infinite or negative"),
        ({"scores": np.full((3, 2), 0.5)}, "no prompt tells two models apart"),
        ({"scores": np.array([[0, 1], [np.nan, np.nan], [0, 1]])}, "no score at all"),
        ({"scores": np.zeros((2, 2))}, "ask for"),
    ],
)
def test_what_teaches_nothing_is_refused_in_one_sentence(changes, message):
    with pytest.raises(TrainingError, match=message):
        dataclasses.replace(table(["t"] * 3), **changes).require_usable()


def test_validation_rows_must_be_of_the_same_models():
    data = table(["t"] * 4)
    require_same_models(data, data)
    with pytest.raises(TrainingError, match="other models"):
        require_same_models(data, dataclasses.replace(data, models=("y", "x")))
    with pytest.raises(TrainingError, match="no rows"):
        require_same_models(data, data.rows(np.array([], dtype=np.int64)))
    gap = dataclasses.replace(data, scores=np.full((4, 2), np.nan))
    with pytest.raises(TrainingError, match="no score at all"):
        require_same_models(data, gap)


def test_a_row_with_one_score_is_not_informative():
    scores = np.array([[1, np.nan], [1, 0], [1, 1], [np.nan, np.nan]])
    assert informative(scores).tolist() == [False, True, False, False]


def test_a_fingerprint_is_of_the_content():
    data = table(["t"] * 4)
    assert fingerprint(data) == fingerprint(table(["t"] * 4))
    changed = data.scores.copy()
    changed[0, 0] += 1e-9
    assert fingerprint(data) != fingerprint(dataclasses.replace(data, scores=changed))
    assert fingerprint(data) != fingerprint(dataclasses.replace(data, tasks=("u",) * 4))


def test_rows_whose_prompts_are_validated_on_are_left_out():
    data = table(["s", "t", "s"], ("a", "b", "a"))
    left = apart_from(data, table(["u"], ("a",)))
    assert (left.prompts, left.tasks) == (("b",), ("t",))
    assert (left.scores == data.scores[[1]]).all()
    assert apart_from(data, table(["u"], ("c",))).prompts == data.prompts
