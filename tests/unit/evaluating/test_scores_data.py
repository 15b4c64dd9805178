import os
from pathlib import Path

import numpy as np
import pytest

from evaluation.scores import read_scores

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def data():
    given = os.environ.get("POINTSMAN_TEST_DATA")
    folder = Path(given) if given else REPOSITORY / "../shared/data"
    if not folder.is_dir():
        pytest.skip("the research data folder is absent; set POINTSMAN_TEST_DATA to it")
    return folder


def test_routerdc_loads_unchanged(data):
    reading = read_scores([data / "routerdc/train"])
    assert reading.bad_rows == ()
    counts = {task: reading.table.tasks.count(task) for task in dict.fromkeys(reading.table.tasks)}
    assert counts == {
        "arc_challenge": 820,
        "cmmlu": 2000,
        "gsm8k": 1000,
        "humaneval": 115,
        "mmlu": 2000,
    }
    assert len(reading.table.models) == 7
    assert np.isfinite(reading.table.scores).all()


def test_routerbench_loads_unchanged(data):
    reading = read_scores([data / "routerbench"])
    assert reading.bad_rows == ()
    assert set(reading.table.tasks) == {"arc-challenge", "mbpp", "winogrande"}
    assert len(reading.table.models) == 11
    assert not any(prompt.startswith("[") for prompt in reading.table.prompts)
    costs = dict(zip(reading.table.models, reading.table.mean_costs(), strict=True))
    assert max(costs, key=costs.__getitem__) == "gpt-4-1106-preview"
