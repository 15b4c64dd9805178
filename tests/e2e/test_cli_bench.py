"""`pointsman bench compare`."""

import json

import pytest
from typer.testing import CliRunner

from evaluation.speed import Figure, Record, Target, write_record
from server.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["bench", "compare", *map(str, arguments)])


@pytest.fixture
def files(tmp_path):
    for name, ratio in (("old", 1.0), ("new", 2.0)):
        ours = [ratio, 1.01 * ratio, 1.02 * ratio]
        figure = Figure.paired(
            "wire/echo", "a call", "ms", ours, "an echo", [1, 1, 1], target=Target("at most", 1.5)
        )
        record = Record("2026-11-28T00:00:00+00:00", {"cpu": "x"}, {}, (figure,))
        write_record(tmp_path / f"{name}.json", record)
    return tmp_path / "old.json", tmp_path / "new.json"


def test_what_became_worse_is_said_first(files):
    result = run(*files)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 worse, 0 better")
    assert "newly missed" in result.stdout
    assert "+100.0" in result.stdout


def test_a_gate_fails_on_worse_only(files):
    assert run(*files, "--fail-on-worse").exit_code == 1
    assert run(*reversed(files), "--fail-on-worse").exit_code == 0
    assert run(files[0], files[0], "--fail-on-worse").exit_code == 0


def test_json_is_for_programs(files):
    result = run(*files, "--format", "json", "--threshold", "5")
    value = json.loads(result.stdout, parse_constant=pytest.fail)
    assert value["threshold"] == 5
    assert value["changes"][0]["verdict"] == "no change"
    assert value["changes"][0]["target"] == "newly missed"


def test_a_foreign_file_is_refused_in_one_sentence(files, tmp_path):
    (tmp_path / "foreign.json").write_text("{}")
    result = run(files[0], tmp_path / "foreign.json")
    assert result.exit_code == 1
    assert "foreign.json is no record of benchmarks" in result.stderr
    assert result.stdout == ""
