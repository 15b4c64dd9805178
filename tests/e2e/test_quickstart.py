"""The quickstart, whole: what a newcomer sees first."""

import subprocess
import sys

from tests.server_process import ROOT


def test_the_quickstart_ranks_the_examples_routes_new_prompts_and_stops_the_server():
    done = subprocess.run(
        [sys.executable, "examples/quickstart.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ember" in done.stdout
    assert "noise" in done.stdout.lower()
    routed = done.stdout.partition("New prompts")[2]
    assert "Why does the Moon" in routed
    lines = [line for line in routed.splitlines() if "?" in line or "e-mail" in line]
    assert len({line.split("│")[-3].strip() for line in lines}) > 1  # margins differ by prompt
    assert all(line.split("│")[-2].strip() == "5" for line in lines)
