"""The process: how it starts, refuses to start, drains, dies and comes back."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pointsman.v1 import scoring_service_pb2, scoring_service_pb2_grpc
from tests.server_process import ROOT, ServerProcess
from tests.wire.test_scoring import text_request, vector_request


def stub_of(channel):
    return scoring_service_pb2_grpc.ScoringServiceStub(channel)


@contextmanager
def server_of(server: ServerProcess):
    """Ends a server that was spawned by hand."""
    try:
        yield
    finally:
        if server.alive():
            server.kill()


def refused(*arguments: str) -> tuple[int, str]:
    """Runs `pointsman` and returns its exit code and the last line of its errors."""
    command = [sys.executable, "-m", "server.cli", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_what_a_server_that_has_fallen_behind_can_not_look_at_is_refused_and_the_rest_answered(
    tmp_path,
):
    options = [("grpc.enable_retries", 0)]
    with (
        ServerProcess(tmp_path) as server,
        grpc.insecure_channel(server.target, options) as channel,
    ):
        stub, request = stub_of(channel), vector_request("behind")
        stub.ScoreGenerations(request)
        os.kill(server.pid, signal.SIGSTOP)
        calls = [stub.ScoreGenerations.future(request, timeout=60) for _ in range(900)]
        os.kill(server.pid, signal.SIGCONT)
        codes = Counter(call.code() for call in calls)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        assert codes[grpc.StatusCode.OK] >= 256
        stub.ScoreGenerations(request)


def niceness(process: int) -> list[int]:
    """Of each thread, that of the event loop first."""
    threads = sorted(int(each.name) for each in Path(f"/proc/{process}/task").iterdir())
    return [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]


@pytest.mark.skipif(sys.platform != "linux", reason="niceness is of processes here")
def test_threads_of_the_encoder_give_way_to_the_event_loop(tmp_path):
    """ONNX Runtime's too: a run of two threads has one of its own."""
    with ServerProcess(tmp_path, "--set", "encoder.threads=2") as server:
        loop, *others = niceness(server.pid)
        assert loop == os.getpriority(os.PRIO_PROCESS, 0)
        assert sum(each == loop + 3 for each in others) >= 3


def test_sigterm_drains_what_is_in_flight(tmp_path):
    with ServerProcess(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        stub = stub_of(channel)
        long = text_request("drain", learn=True)
        for generation in long.generations:
            generation.text = "a long answer " * 200
        calls = [stub.ScoreGenerations.future(long) for _ in range(8)]
        while '"in_flight"' not in server.log.read_text():
            if not any(call.done() for call in calls):
                continue
            os.kill(server.pid, signal.SIGTERM)
            break
        replies = [call.result() for call in calls]
        assert server.wait() == 0
        assert all(reply.learned.durability for reply in replies)
        assert "stopped" in server.log.read_text()
    assert not server.socket.exists()


def catches(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which signals are handled")
def test_sigterm_during_the_start_ends_it_before_anybody_is_served(tmp_path):
    server = ServerProcess(tmp_path)
    server.spawn()
    with server_of(server):
        while not catches(server.pid, signal.SIGTERM):
            assert server.alive()
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0
    events = server.log.read_text()
    assert "stopped" in events
    assert '"serving"' not in events


def test_a_stream_is_told_that_the_server_went_down_before_it_was_answered(tmp_path):
    with ServerProcess(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        more = threading.Event()

        def items():
            yield scoring_service_pb2.ScoreGenerationsStreamRequest(
                id=7, request=vector_request("open")
            )
            more.wait(60)

        stream = stub_of(channel).ScoreGenerationsStream(items())
        assert next(stream).id == 7
        os.kill(server.pid, signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as told:
            next(stream)
        more.set()
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in told.value.details()
        assert server.wait() == 0


def test_sigterm_does_not_wait_for_calls_that_never_end(tmp_path):
    with (
        ServerProcess(tmp_path, "--set", "shutdown_grace=60") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [next(watch).status]
        sent, more = threading.Event(), threading.Event()

        def items():
            yield scoring_service_pb2.ScoreGenerationsStreamRequest(
                id=7, request=vector_request("open")
            )
            sent.set()
            more.wait(60)

        stream = stub_of(channel).ScoreGenerationsStream(items())
        assert next(stream).id == 7
        assert sent.wait(10)
        os.kill(server.pid, signal.SIGTERM)
        with suppress(grpc.RpcError):
            seen.extend(reply.status for reply in watch)
        more.set()
        assert server.wait() == 0
    serving = health_pb2.HealthCheckResponse
    assert seen[:2] == [serving.SERVING, serving.NOT_SERVING]


def test_a_closed_log_fails_no_call(tmp_path):
    reader, writer = os.pipe()
    server = ServerProcess(tmp_path)
    server.spawn(log=writer)
    os.close(writer)
    server.wait_until_serving()
    os.close(reader)
    with server_of(server), grpc.insecure_channel(server.target) as channel:
        for _ in range(3):
            assert stub_of(channel).ScoreGenerations(vector_request("p")).scores


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_restarted_server_has_every_acknowledged_sample(tmp_path, how):
    server = ServerProcess(tmp_path)
    acknowledged = set()
    with server, grpc.insecure_channel(server.target) as channel:
        stub = stub_of(channel)
        for index in range(50):
            request = vector_request("kept", prompt=(index, 1), learn=True)
            receipt = stub.ScoreGenerations(request).learned
            assert receipt.durability
            acknowledged.add(receipt.sample_id)
        getattr(server, how)()
    with server, grpc.insecure_channel(server.target) as channel:
        reply = stub_of(channel).ScoreGenerations(vector_request("kept", neighbours=100))
        assert reply.neighbours_used == len(acknowledged) + 1 == 51
        assert reply.pool_revision == 50


def test_one_state_directory_serves_one_server(tmp_path):
    with ServerProcess(tmp_path) as server:
        other = tmp_path / "o.sock"
        code, line = refused(
            "serve", "--socket", str(other), "--state", str(server.folder / "state")
        )
    assert code == 2
    assert "state" in line


def test_a_socket_in_use_is_not_taken_over(tmp_path):
    with ServerProcess(tmp_path) as server:
        code, line = refused(
            "serve", "--socket", str(server.socket), "--state", str(tmp_path / "x")
        )
        assert (code, "socket" in line) == (2, True)
        with grpc.insecure_channel(server.target) as channel:
            assert stub_of(channel).ScoreGenerations(vector_request("p")).scores


def test_a_port_in_use_is_refused_by_name(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, line = refused("serve", "--listen", address, "--state", str(tmp_path))
    assert code == 2
    assert address in line
    assert "listen" in line


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("memory.capacity=0", "memory.capacity"),
        ("nonsense=1", "nonsense"),
        ("encoder.directory=/nowhere", "/nowhere"),
        ("encoder.provider=cuda", "CUDA"),
        ("no-equals", "name=value"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_sentence(tmp_path, setting, word):
    code, line = refused("serve", "--state", str(tmp_path), "--set", setting)
    assert code == 2
    assert line.startswith("pointsman: ")
    assert word in line


def test_a_server_on_tcp_says_which_port_it_took(tmp_path):
    with ServerProcess(tmp_path, "--listen", "127.0.0.1:0") as server:
        address = next(
            word for word in server.log.read_text().split('"') if word.startswith("127.0.0.1:")
        )
        with grpc.insecure_channel(address) as channel:
            assert stub_of(channel).ScoreGenerations(vector_request("p")).scores


def test_overload_is_refused_at_once_and_says_when_to_come_back(tmp_path):
    with (
        ServerProcess(tmp_path, "--set", "limits.in_flight=1") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub = stub_of(channel)
        calls = [stub.ScoreGenerations.future(text_request("full")) for _ in range(20)]
        codes = [call.code() for call in calls]
        refused = next(call for call in calls if call.code() is not grpc.StatusCode.OK)
        status = status_pb2.Status.FromString(
            dict(refused.trailing_metadata())["grpc-status-details-bin"]
        )
        assert any(detail.Is(RetryInfo.DESCRIPTOR) for detail in status.details)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert stub.ScoreGenerations(text_request("full")).scores


def test_callers_that_give_up_do_not_hold_up_the_others(tmp_path):
    with ServerProcess(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        stub = stub_of(channel)
        impatient = [
            stub.ScoreGenerations.future(text_request("i"), timeout=0.02) for _ in range(50)
        ]
        patient = [stub.ScoreGenerations.future(text_request("p")) for _ in range(5)]
        assert all(call.result().scores for call in patient)
        assert grpc.StatusCode.DEADLINE_EXCEEDED in {call.code() for call in impatient}


def test_an_unknown_pool_is_refused_where_none_may_be_created(tmp_path):
    with (
        ServerProcess(tmp_path, "--set", "memory.create_pools=false") as server,
        grpc.insecure_channel(server.target) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        stub_of(channel).ScoreGenerations(vector_request("unknown"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_many_callers_at_once_get_their_own_answers(server):
    def call(index: int) -> None:
        with grpc.insecure_channel(server.target) as channel:
            for turn in range(10):
                odd = (index + turn) % 4
                request = text_request(f"own-{index}")
                texts = [each.text for each in request.generations]
                texts.insert(odd, texts.pop())
                for generation, text in zip(request.generations, texts, strict=True):
                    generation.text = text
                reply = stub_of(channel).ScoreGenerations(request)
                mine.append(reply.scores[odd].rank == 4)

    mine: list[bool] = []
    threads = [threading.Thread(target=call, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mine == [True] * 80
