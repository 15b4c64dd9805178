import json
import math

import numpy as np
import pytest

from evaluation.errors import UnreadableDataError
from evaluation.preferences import read_judged, read_preferences, win_probability


@pytest.mark.parametrize(
    ("preference", "wins"), [(1, 0.0), (2.0, 1.0), (1.25, 0.25), (0, 0.5), (0.0, 0.5), (1.5, 0.5)]
)
def test_win_probability(preference, wins):
    assert win_probability(preference) == wins


def test_a_missing_preference_is_nan():
    assert math.isnan(win_probability(None))


@pytest.mark.parametrize("preference", [0.5, 2.01, -1, math.nan])
def test_what_is_no_preference_is_refused(preference):
    with pytest.raises(UnreadableDataError, match="is not a preference"):
        win_probability(preference)


@pytest.mark.parametrize(
    "row",
    [
        7,
        {"preference": 1},
        {"instruction": "p", "preference": "1"},
        {"instruction": "p", "preference": True},
    ],
)
def test_a_bad_annotation_is_named(tmp_path, row):
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps([{"instruction": "p", "preference": 1}, row]))
    with pytest.raises(UnreadableDataError, match=r"annotations.json, index 1"):
        read_preferences(file)


def test_a_broken_annotation_file_is_named(tmp_path):
    (tmp_path / "annotations.json").write_text("[{")
    with pytest.raises(UnreadableDataError, match=r"annotations.json: is not JSON"):
        read_preferences(tmp_path / "annotations.json")


def model(folder, name, answers, preferences):
    outputs = [
        {"instruction": prompt, "output": text, "generator": name}
        for prompt, text in answers.items()
    ]
    annotations = [{"instruction": p, "preference": value} for p, value in preferences.items()]
    (folder / name).mkdir()
    (folder / name / "model_outputs.json").write_text(json.dumps(outputs))
    (folder / name / "annotations.json").write_text(json.dumps(annotations))


def test_judged_answers_are_joined_by_prompt(tmp_path):
    model(tmp_path, "b", {"p": "b1", "q": "b2", "r": "b3"}, {"p": 2, "q": None, "r": 1})
    model(tmp_path, "a", {"q": "a2", "p": "a1"}, {"p": 0, "q": 1.25})
    judged = read_judged(tmp_path)
    assert judged.voters == ("a", "b")
    assert judged.prompts == ("q", "p")
    assert judged.texts == (("a2", "b2"), ("a1", "b1"))
    np.testing.assert_array_equal(judged.wins, [[0.25, np.nan], [0.5, 1.0]])


def test_models_without_a_common_prompt_give_no_rows(tmp_path):
    model(tmp_path, "a", {"p": "a1"}, {})
    model(tmp_path, "b", {"q": "b1"}, {})
    assert read_judged(tmp_path).wins.shape == (0, 2)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(UnreadableDataError, match="holds no"):
        read_judged(tmp_path)
