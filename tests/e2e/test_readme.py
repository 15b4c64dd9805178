"""What the README shows, run as it stands against a real server."""

import json
import re
import subprocess
import sys

from google.protobuf import json_format

from pointsman.v1 import scoring_service_pb2
from tests.server_process import ROOT

README = (ROOT / "README.md").read_text()
TARGET = "unix:pointsman.sock"


def block(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(each for each in blocks if containing in each)


def test_the_client_example_runs(server):
    program = block("python", "Client(").replace(TARGET, server.target)
    assert server.target in program
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cirrus-3b', 3" in done.stdout
    assert done.stdout.splitlines()[1].endswith("'cirrus-3b']")


def test_the_json_example_is_of_the_contract():
    (request,) = re.findall(r"-d '(.*?)'", block("sh", "buf curl"), re.DOTALL)
    message = json_format.ParseDict(
        json.loads(request), scoring_service_pb2.ScoreGenerationsRequest()
    )
    assert len(message.generations) == 3


def test_every_page_that_it_names_is_there():
    pages = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [page for page in pages if not (ROOT / page).exists()] == []
