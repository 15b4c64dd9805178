"""Routers come and go under load, and a server without its router does not start."""

import threading
import time
from collections import Counter

import grpc
import pytest

from pointsman.v1 import admin_service_pb2 as admin_pb
from pointsman.v1 import admin_service_pb2_grpc as admin_rpc
from pointsman.v1 import routing_service_pb2 as pb
from pointsman.v1 import routing_service_pb2_grpc as rpc
from pointsman.v1 import types_pb2
from tests.e2e.test_lifecycle import refused
from tests.homed_router import corrupt, swap_link, write_router
from tests.server_process import ServerProcess

CALLERS, SWAPS = 4, 12
PATIENCE_SECONDS = 60


class Caller(threading.Thread):
    """Routes the same word again and again, and keeps what came of it."""

    def __init__(self, target: str, stop: threading.Event) -> None:
        super().__init__()
        self._target, self._stop_asked = target, stop
        self.choices: Counter[tuple[str, str]] = Counter()
        self.failures: list[grpc.RpcError] = []

    def run(self) -> None:
        request = pb.RoutePromptRequest(prompt=types_pb2.Prompt(text="cat"))
        with grpc.insecure_channel(self._target) as channel:
            stub = rpc.RoutingServiceStub(channel)
            while not self._stop_asked.is_set():
                try:
                    reply = stub.RoutePrompt(request, timeout=30)
                except grpc.RpcError as error:
                    self.failures.append(error)
                else:
                    self.choices[reply.router_revision, reply.model] += 1


@pytest.fixture
def artefacts(tmp_path):
    """Three artefacts that choose differently, of two encoders, and one that is broken."""
    written = {
        "feline": write_router(tmp_path / "one", {"feline": "cat", "canine": "dog"}),
        "canine": write_router(tmp_path / "two", {"feline": "dog", "canine": "cat"}),
        "carpet": write_router(tmp_path / "three", {"carpet": "cat"}, dimension=8),
    }
    write_router(tmp_path / "broken")
    corrupt(tmp_path / "broken")
    return written


def test_nothing_fails_while_routers_are_swapped(tmp_path, artefacts):
    link = tmp_path / "current"
    swap_link(link, artefacts["feline"].directory)
    arguments = ("--set", f"routers.main.directory={link}", "--set", "watch_interval=0.05")
    stop = threading.Event()
    with ServerProcess(tmp_path, *arguments) as server:
        callers = [Caller(server.target, stop) for _ in range(CALLERS)]
        try:
            for caller in callers:
                caller.start()
            with grpc.insecure_channel(server.target) as channel:
                admin = admin_rpc.AdminServiceStub(channel)
                for swap in range(SWAPS):
                    model = ("canine", "carpet", "feline")[swap % 3]
                    swap_link(link, artefacts[model].directory)
                    if swap % 2:
                        admin.ReloadRouter(admin_pb.ReloadRouterRequest(router="main"))
                    wait_for_revision(admin, artefacts[model].revision)
                swap_link(link, tmp_path / "broken")
                wait_for_error(admin)
                time.sleep(0.2)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
        assert server.terminate() == 0
    choices = sum((caller.choices for caller in callers), Counter())
    assert [failure for caller in callers for failure in caller.failures] == []
    # Every revision was in service, and answered with its own model alone.
    right = {(each.revision, model) for model, each in artefacts.items()}
    assert set(choices) == right
    assert "part_died" not in server.log.read_text()


def wait_for_revision(admin, revision):
    wait_for(lambda: router_of(admin).revision == revision)


def wait_for_error(admin):
    wait_for(lambda: "arrays.safetensors" in router_of(admin).last_error)


def router_of(admin):
    return admin.GetRouter(admin_pb.GetRouterRequest(router="main")).router


def wait_for(happened):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["missing", "broken"])
@pytest.mark.usefixtures("artefacts")
def test_a_server_whose_router_can_not_be_loaded_does_not_start(tmp_path, how):
    directory = tmp_path / how
    code, line = refused(
        "serve", "--socket", f"{tmp_path}/s", "--state", f"{tmp_path}/state",
        "--set", f"routers.main.directory={directory}",
    )  # fmt: skip
    assert code == 2
    assert "routers.main.directory" in line
    assert str(directory) in line


def test_a_router_may_be_named_by_the_environment(tmp_path, artefacts, monkeypatch):
    monkeypatch.setenv("POINTSMAN_ROUTERS__MAIN__DIRECTORY", str(artefacts["carpet"].directory))
    with ServerProcess(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        request = pb.RoutePromptRequest(prompt=types_pb2.Prompt(text="cat"))
        reply = rpc.RoutingServiceStub(channel).RoutePrompt(request)
    assert (reply.router, reply.model) == ("main", "carpet")
