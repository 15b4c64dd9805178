"""`pointsman report pool` against a running server."""

import csv
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from pointsman.client import Client, EmbeddingSpace, Outcome, Sample
from server.cli.report import app

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
SPACE = EmbeddingSpace("vectors/report", 4)
VOTERS = ("atlas", "borealis", "cirrus")


def run(*arguments):
    return CliRunner().invoke(app, ["pool", *map(str, arguments)])


def samples(name, voters=VOTERS, days=6, each=25, worse_from=3):
    """One voter becomes noisier at a known time."""
    generator = np.random.default_rng(0)
    for number in range(days * each):
        day = number / each
        spread = np.ones(len(voters))
        spread[0] = 2.5 if day >= worse_from else 1.0
        vectors = generator.standard_normal((len(voters), 8)) * spread[:, None]
        distances = [
            np.sum((vectors[i] - vectors[j]) ** 2) for j in range(len(voters)) for i in range(j)
        ]
        prompt = generator.standard_normal(4).astype(np.float32)
        when = BEGIN + timedelta(days=day)
        yield Sample(f"{name}-{number}", when, prompt, voters, np.array(distances, np.float32))


@pytest.fixture(scope="module")
def pools(server):
    prompt = np.ones(4, np.float32)
    outcomes = [
        Outcome(f"o{number}", "cirrus", 0.75, BEGIN, f"subject {number}", prompt)
        for number in range(3)
    ]
    with Client(server.target) as client:
        client.import_samples("report-drift", [*samples("drift"), *outcomes], space=SPACE)
        client.import_samples("report-pair", samples("pair", VOTERS[:2]), space=SPACE)
    return server.target


def test_a_voter_that_becomes_noisier_is_named_first(pools, tmp_path):
    out = tmp_path / "report"
    result = run("report-drift", "--address", pools, "--window", "1d", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("atlas has become noisier since 2026-11-04")
    record = json.loads((out / "report.json").read_text(), parse_constant=pytest.fail)
    assert [each["voter"] for each in record["voters"] if each["changed"]] == ["atlas"]
    assert (record["samples"], len(record["windows"])) == (150, 6 * 3)
    assert record["models"][0]["model"] == "cirrus"
    assert record["models"][0]["outcomes"] == 3
    with (out / "noise.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [each["voter"] for each in rows[:3]] == list(VOTERS)
    assert float(rows[-3]["noise_variance"]) > 2 * float(rows[0]["noise_variance"])
    page = (out / "report.html").read_text()
    assert "atlas has become noisier" in page
    assert "<svg" in page


def test_json_goes_to_standard_output_alone(pools):
    result = run("report-drift", "--address", pools, "--windows", "3", "--json")
    record = json.loads(result.stdout, parse_constant=pytest.fail)
    assert len(record["windows"]) == 3 * 3
    assert sum(each["samples"] for each in record["windows"]) == 3 * 150


def test_what_cannot_be_told_is_no_failure(pools):
    result = run("report-pair", "--address", pools)
    assert result.exit_code == 0
    assert result.stdout.startswith("No voter's noise can be told: that takes three voters")
    whole = run("report-drift", "--address", pools, "--window", "52w")
    assert whole.stdout.startswith("All samples fall into one window")


def test_a_pool_of_outcomes_alone_has_nothing_to_tell(pools):
    with Client(pools) as client:
        client.record_outcome(
            1.0, model="atlas", prompt=np.ones(4, np.float32), pool="report-outcomes"
        )
    result = run("report-outcomes", "--address", pools)
    assert result.exit_code == 0, result.output
    assert "has no samples yet" in result.stdout
    assert "atlas" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "There is no pool 'nowhere'"),
        (["report-drift", "--window", "soon"], "soon is no duration"),
        (["report-drift", "--window", "1s"], "give a longer --window"),
        (["report-drift", "--windows", "9999"], "9999 windows; give 1 to"),
    ],
)
def test_failures_are_one_sentence(pools, arguments, said):
    result = run(*arguments, "--address", pools)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_is_not_there_is_named(tmp_path):
    result = run("any", "--address", f"unix:{tmp_path}/none", "--timeout", "0.5")
    assert result.exit_code == 1
    assert "can't be asked" in result.stderr


def test_one_of_window_and_windows(pools):
    both = ["--window", "1d", "--windows", "3"]
    assert run("report-drift", "--address", pools, *both).exit_code == 2
