import os
from pathlib import Path

import numpy as np
import pytest

from evaluation.generations import ALPACA_EVAL, read_generations, voters_of
from evaluation.preferences import read_judged
from evaluation.win_rate import longest_choice, oracle_outcomes, random_outcomes

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def alpaca_eval():
    given = os.environ.get("POINTSMAN_TEST_DATA")
    folder = (Path(given) if given else REPOSITORY / "../shared/data") / "alpaca_eval"
    if not folder.is_dir():
        pytest.skip("the research data folder is absent; set POINTSMAN_TEST_DATA to it")
    return folder


def test_model_outputs_load_unchanged(alpaca_eval):
    files = sorted(alpaca_eval.glob("*/model_outputs.json"))
    reading = read_generations(files, ALPACA_EVAL)
    assert reading.bad_rows == ()
    assert len(voters_of(reading.ensembles)) == len(files)
    assert {len(each.generations) for each in reading.ensembles} == {len(files)}


def test_every_answer_is_judged_and_bounds_hold(alpaca_eval):
    judged = read_judged(alpaca_eval)
    assert judged.wins.shape == (len(judged.prompts), len(judged.voters))
    assert np.isfinite(judged.wins).all()
    assert ((judged.wins >= 0) & (judged.wins <= 1)).all()
    assert (oracle_outcomes(judged.wins) >= random_outcomes(judged.wins)).all()
    assert len(set(longest_choice(judged.texts))) > 1
