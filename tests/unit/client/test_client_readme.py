"""The examples that people copy."""

import asyncio
import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from pointsman.client import Client
from pointsman.client.replies import score_result
from pointsman.v1 import scoring_service_pb2

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "clients/python/README.md").read_text("utf-8"), re.DOTALL
)


def run_block(block, target):
    names = {}
    exec(block.replace("127.0.0.1:50051", target), names)
    return names


async def test_the_ten_lines_run(served, capsys):
    assert len(BLOCKS[0].strip().splitlines()) <= 11
    await asyncio.to_thread(run_block, BLOCKS[0], served.unix)
    assert capsys.readouterr().out == "atlas-70b It arrives at 17:25. margin 0.25\n"


async def test_the_asynchronous_lines_run(served):
    names = run_block(BLOCKS[1], served.unix)
    assert await names["best_of"]({"a": "yes", "b": "no"}) == "a"


async def test_the_routing_lines_run(served, capsys):
    await asyncio.to_thread(run_block, BLOCKS[2], served.unix)
    ranking, *turns = capsys.readouterr().out.splitlines()
    assert ranking == "['atlas', 'borealis'] margin 0.5"
    assert sorted(turns) == ["And at dusk? -> atlas", "On Mars? -> atlas"]
    (outcome,) = served.fake.requests("RecordOutcome")
    assert (outcome.model, outcome.quality) == ("atlas", 0.9)
    sent = [each.request.policy.stickiness for each in served.fake.requests("item")]
    assert [(each.previous_model, each.margin) for each in sent] == [("atlas", 0.05)] * 2


def test_the_example_prompts_are_whole():
    lines = (EXAMPLES / "generations.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    voters = {each["voter"] for each in rows[0]["generations"]}
    assert len({row["prompt"] for row in rows}) == 12
    assert len(voters) == 5
    for row in rows:
        assert {each["voter"] for each in row["generations"]} == voters
        assert len({each["text"] for each in row["generations"]}) == 5
        assert all(each["text"].strip() for each in row["generations"])


@pytest.fixture(scope="module")
def quickstart():
    spec = spec_from_file_location("quickstart", EXAMPLES / "quickstart.py")
    module = module_from_spec(spec)
    # Its dataclasses look themselves up.
    sys.modules["quickstart"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["quickstart"]


def test_quickstart_shows_what_a_failed_server_said(quickstart, tmp_path):
    log = tmp_path / "server.log"
    code = "print('first'); print('no encoder here'); raise SystemExit(2)"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=output)
    server = quickstart.Server(process, f"unix:{tmp_path}/s", log)
    with pytest.raises(quickstart.QuickstartError, match=r"exit code 2(.|\n)*no encoder here"):
        quickstart.wait_until_serving(server)


def test_quickstart_gives_up_on_a_server_that_is_never_ready(quickstart, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, "START_SECONDS", 0.0)
    log = tmp_path / "server.log"
    log.touch()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    server = quickstart.Server(process, f"unix:{tmp_path}/s", log)
    with pytest.raises(quickstart.QuickstartError, match=r"not ready after 0 s(.|\n)*log is empty"):
        quickstart.wait_until_serving(server)
    process.kill()
    process.wait()


def test_quickstart_reports_a_failure_by_its_exit_code(quickstart, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(quickstart, "EXAMPLES", tmp_path / "generations.jsonl")
    (tmp_path / "generations.jsonl").touch()

    def fail(*_):
        raise quickstart.QuickstartError("it broke.")

    monkeypatch.setattr(quickstart, "run", fail)
    assert quickstart.main() == 1
    assert "quickstart: it broke." in capsys.readouterr().err


async def test_quickstart_names_an_example_alike_when_it_learns_and_when_it_ranks(
    quickstart, served, monkeypatch
):
    # The fake always falls back from Local, which the quickstart rightly takes for a failure.
    monkeypatch.setattr(quickstart, "checked", lambda reply: reply)
    examples = quickstart.read_examples(quickstart.EXAMPLES)

    def score():
        with Client(served.unix) as client:
            return quickstart.score(client, examples)

    results = await asyncio.to_thread(score)
    learned = [each.sample_id for each in served.fake.requests("ScoreGenerations")]
    ranked = [each.request.sample_id for each in served.fake.requests("item")]
    assert learned == ranked == [each.sample_id for each in examples]
    assert len(set(learned)) == len(results) == 12


def test_quickstart_prints_a_dash_where_there_is_no_margin(quickstart):
    example = quickstart.Example("example-1", "why?", {"a": "yes"})
    reply = scoring_service_pb2.ScoreGenerationsResponse()
    reply.scores.add(voter="a", rank=1)
    result = score_result(reply, "r-1")
    table = quickstart.choices_table([example], [result])
    assert list(table.columns[2].cells) == ["-"]
