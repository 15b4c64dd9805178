import json

import pytest
import typer

from scoring.policies import FirstConfident, NearestConfidence, Policy, Sample, Threshold
from server.cli.evaluate_policies import applied_policies


def policy_of(written, row=0):
    (applied,) = applied_policies([written], 5, None)
    return applied.of_router(None)(row)


def test_a_policy_is_written_with_its_parameters(tmp_path):
    file = tmp_path / "prediction.json"
    file.write_text(json.dumps({"weights": {"a": 0.5}, "intercept": 1}))
    nearest = NearestConfidence((("a", 0.5),), 1.0)
    assert policy_of(f"nearest-confidence:prediction={file}") == Policy(nearest)
    assert policy_of("sample:temperature=0.1", row=3) == Policy(Sample(0.1, 8))
    # A model may be called like a number.
    either = Policy(Threshold("7", "3.5", 0.25))
    assert policy_of("threshold:strong=7,weak=3.5,threshold=0.25") == either
    first = FirstConfident(0.5, ("b", "a"))
    assert policy_of("first-confident:confidence=0.5,prefer=b,prefer=a") == Policy(first)


@pytest.mark.parametrize(
    "written",
    ["best", "sample", "sample:temperature", "prediction", "nearest-confidence:prediction=none"],
)
def test_a_policy_that_is_none_is_refused(written):
    with pytest.raises(typer.BadParameter):
        policy_of(written)
