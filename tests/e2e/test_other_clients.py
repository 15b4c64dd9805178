"""Callers who have nothing of ours: a gRPC tool that knows the contract by reflection alone."""

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

BUF = shutil.which("buf", path=sysconfig.get_path("scripts"))
REQUEST = {
    "prompt": {"text": "2+2?"},
    "generations": [
        {"voter": "a", "text": "4"},
        {"voter": "b", "text": "It is 4."},
        {"voter": "c", "text": "A fish swims in the sea."},
    ],
}


def buf_curl(socket: Path, request: object) -> subprocess.CompletedProcess[str]:
    assert BUF is not None
    return subprocess.run(
        [
            BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge",
            "--unix-socket", str(socket), "-d", json.dumps(request),
            "http://localhost/pointsman.v1.ScoringService/ScoreGenerations",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.skipif(BUF is None, reason="buf is not installed in this environment")
def test_buf_curl_gets_an_answer_and_a_typed_error(server):
    good = buf_curl(server.socket, REQUEST)
    assert good.returncode == 0, good.stderr
    reply = json.loads(good.stdout)
    assert [score["voter"] for score in reply["scores"]] == ["a", "b", "c"]
    assert reply["scores"][2]["rank"] == 3
    bad = buf_curl(server.socket, {**REQUEST, "neighbours": 0})
    error = json.loads(bad.stderr)
    assert error["code"] == "invalid_argument"
    assert "neighbours" in error["message"]
    assert {detail["type"] for detail in error["details"]} >= {"google.rpc.ErrorInfo"}
