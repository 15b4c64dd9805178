"""The suite: what it runs, what it keeps, where it writes."""

import time
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed.cross_check import Seen, framed
from benchmarks.speed.echo import HEALTH_CHECK
from benchmarks.speed.load import LoadError, Plan, run_load, start_load
from benchmarks.speed.machine import machine, versions
from benchmarks.speed.report import BEGIN, END, replace_section
from benchmarks.speed.serving import cpu_seconds, echo_server, resident_bytes
from benchmarks.speed.suite import run_suite
from benchmarks.speed.timing import Effort
from evaluation.speed import Figure, Spread


def figure(name):
    return Figure(name, name, "ms", Spread.of([1.0]))


def load(topic):
    def measure(effort):
        assert effort.quick
        if topic == "broken":
            raise RuntimeError("its fault")
        return [] if topic == "empty" else [figure("same" if topic == "again" else topic)]

    return measure


def test_one_failing_module_loses_no_other(capsys):
    topics = ("first", "broken", "empty", "same", "again", "last")
    record = run_suite(topics, Effort(quick=True), load)
    assert [each.name for each in record.figures] == ["first", "same", "last"]
    assert record.failed == ("broken", "empty", "again")
    assert record.quick
    said = capsys.readouterr()
    assert "first: 1 figures in 0 s" in said.out
    assert "its fault" in said.err


def test_only_some_modules_are_no_page(tmp_path, capsys):
    page = tmp_path / "RESULTS.md"
    assert command.main(["--only", "wire", "--write", str(page)]) == 2
    assert "--only" in capsys.readouterr().err


def test_the_machine_and_the_versions_are_named():
    assert set(machine()) == {"cpu", "cores", "memory", "system"}
    assert {"pointsman", "python", "numpy", "grpcio"} <= set(versions())


def test_only_what_is_between_the_marks_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n# After\n")
    for _ in range(2):
        replace_section(page, ["new", "lines"])
    assert page.read_text() == f"# Before\n\n{BEGIN}\n\nnew\nlines\n\n{END}\n\n# After\n"


@pytest.mark.parametrize(
    "text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}"]
)
def test_a_page_without_its_marks_is_left_alone(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md"):
        replace_section(page, ["new"])
    assert page.read_text() == text


def test_h2loads_log_is_read_from_its_end():
    rows = [(1_000_000 * at, 200, 10_000) for at in range(10)] + [(8_500_000, 500, 99_000)]
    log = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    assert Seen.of_log(log, 4.0) == Seen(1.0, 0.01, 0.01)


def test_a_message_is_framed_as_grpc_has_it():
    assert framed(b"abc") == b"\x00\x00\x00\x00\x03abc"


def test_processes_from_end_to_end():
    with echo_server(reply=b"reply") as server:
        result = run_load(server.target, "/any.Service/Method", [b"x"], Plan(0.3, 0.1, rate=100))
        health = run_load(server.target, HEALTH_CHECK, [b""], Plan(0.2, 0, concurrency=1))
        resident = resident_bytes(server.pid)
        assert cpu_seconds(server.pid) > 0
    assert set(result.counts) == set(health.counts) == {"OK"}
    assert 0 < resident.pss <= resident.rss


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_echo_runs_on_the_loop_that_is_asked_for(loop):
    with echo_server(reply=b"reply", loop=loop) as server:
        result = run_load(server.target, "/a.B/C", [b"x"], Plan(0.2, 0.1, concurrency=1))
        loaded = Path(f"/proc/{server.pid}/maps").read_text()
    assert set(result.counts) == {"OK"}
    assert ("/uvloop/" in loaded) == (loop == "uvloop")


def test_a_running_load_can_be_stopped():
    with (
        echo_server() as server,
        start_load(server.target, "/a.B/C", [b"x"], Plan(60, 0, rate=50)) as running,
    ):
        while cpu_seconds(running.process.pid) < 0.3:
            time.sleep(0.05)
        time.sleep(0.5)
        result = running.stop()
    assert result.interrupted
    assert result.seconds < 30


def test_a_load_that_can_not_run_says_why():
    with pytest.raises(LoadError, match="whole message"):
        run_load("unix:/nowhere", "/a.B/C", [], Plan(1))
