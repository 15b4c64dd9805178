"""What is installed elsewhere: the wheels, without the sources beside them."""

import os
import subprocess
import sys

import pytest

from tests.server_process import ROOT

PROGRAM = """
import json, sys, pathlib, tempfile
import encoders, evaluation, pointsman.client, pointsman.v1.types_pb2, scoring, server
from typer.testing import CliRunner
from evaluation.report import Report, Verdict, render_html
from server.cli import app

modules = [encoders, evaluation, pointsman.client, pointsman.v1.types_pb2, scoring, server]
file = pathlib.Path(tempfile.mkdtemp()) / "in.jsonl"
answers = {"a": "4", "b": "It is 4.", "c": "fish"}
file.write_text(json.dumps({"prompt": "2+2?", "generations": answers}))
result = CliRunner().invoke(app, ["score", str(file), "--estimator", "single", "--out", "-"])
assert result.exit_code == 0, result.output
assert "Sure." in render_html(Report("Report", Verdict.YES, "Sure."))
print(json.dumps([[module.__file__ for module in modules], json.loads(result.stdout)["best"]]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    sources = [str(ROOT), str(ROOT / "clients" / "python")]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(wheels), *sources], check=True)
    built = [str(wheel) for wheel in wheels.iterdir()]
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), *built], check=True)
    return site


def test_the_wheels_hold_all_that_runs(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(installed)) == 6
    assert '"voter": "c"' not in done.stdout


@pytest.mark.parametrize("marker", ["pointsman/client/py.typed", "pointsman/v1/py.typed"])
def test_the_client_says_that_it_is_typed(installed, marker):
    assert (installed / marker).exists()
