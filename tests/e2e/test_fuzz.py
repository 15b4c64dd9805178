"""Thousands of mutated requests: no crash, no wrong code, and the server lives on."""

import grpc
import pytest

from pointsman.v1 import scoring_service_pb2_grpc
from tests.fuzzing import INVALID, OK, throw
from tests.homed_router import write_router
from tests.server_process import ServerProcess
from tests.wire.test_scoring import text_request

ROUNDS, REQUESTS = 4, 1000


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    router = f"routers.main.directory={write_router(folder / 'router').directory}"
    with ServerProcess(folder, "--log-level", "error", "--set", router) as server:
        yield server


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_mutant_gets_a_wrong_code(victim, seed):
    with grpc.insecure_channel(victim.target) as channel:
        outcome = throw(channel, seed, REQUESTS)
        assert outcome.wrong == []
        assert min(outcome.codes[OK], outcome.codes[INVALID]) > REQUESTS // 10
        stub = scoring_service_pb2_grpc.ScoringServiceStub(channel)
        assert stub.ScoreGenerations(text_request("after")).scores[3].rank == 4
    assert victim.alive()
    assert victim.log.read_text() == ""
