"""The client is typed for those who use it."""

import os
import subprocess
import sys
from pathlib import Path

import pointsman.client

USE = Path(__file__).with_name("typed_client.py")


def test_a_strict_checker_knows_both_clients(tmp_path):
    # As in a user's project: nothing of this repository's own configuration.
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, str(USE)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_package_says_that_it_is_typed():
    assert Path(pointsman.client.__file__).with_name("py.typed").is_file()
