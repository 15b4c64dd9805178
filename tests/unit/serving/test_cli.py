import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from server.cli import app
from server.reference import settings_page
from server.settings import Settings

run = CliRunner().invoke


def test_config_check_says_valid_or_names_the_setting(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("memory: {capacity: 5}")
    good = run(app, ["config", "check", "--config", str(file)])
    assert (good.exit_code, good.stdout) == (0, "The settings are valid.\n")
    file.write_text("memory: {capacity: five}")
    bad = run(app, ["config", "check", "--config", str(file)])
    assert bad.exit_code == 2
    assert "memory.capacity" in bad.stderr


def test_config_show_is_yaml_that_config_check_takes(tmp_path):
    shown = run(app, ["config", "show", "--set", "memory.capacity=7"])
    assert yaml.safe_load(shown.stdout)["memory"]["capacity"] == 7
    file = tmp_path / "s.yaml"
    file.write_text(shown.stdout)
    assert run(app, ["config", "check", "--config", str(file)]).exit_code == 0


def test_the_reference_explains_every_setting():
    page = settings_page()
    for name, field in Settings.model_fields.items():
        assert f"`{name}" in page
        assert field.description or hasattr(field.annotation, "model_fields")
    assert "|  |" not in page


@pytest.mark.parametrize("assignment", ["=1", "memory.capacity", "a=[1"])
def test_a_malformed_assignment_is_refused(assignment):
    result = run(app, ["config", "check", "--set", assignment])
    assert result.exit_code == 2
    assert "--set" in result.stderr


def test_version_prints_ours_and_on_request_the_libraries():
    assert run(app, ["version"]).stdout.startswith("pointsman 0.")
    assert "onnxruntime " in run(app, ["version", "--verbose"]).stdout


def test_threads_are_limited_before_a_native_library_is_imported():
    program = (
        "import sys, server.cli, encoders.cpu;"
        "print([name for name in ('numpy', 'numba', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
