"""Nothing but a status leaves the boundary."""

import json

import grpc
import pytest

from pointsman.v1 import admin_service_pb2 as pb
from pointsman.v1 import admin_service_pb2_grpc as rpc
from server.boundary import Boundary
from server.call_log import CallLog
from server.errors import ShuttingDownError
from server.wire import _ByPath


class Broken(rpc.AdminServiceServicer):
    async def ListPools(self, request, context):
        raise ValueError("the secret prompt")

    async def ExportSamples(self, request, context):
        yield pb.ExportSamplesResponse()
        raise ValueError("the secret prompt")

    async def ImportSamples(self, request_iterator, context):
        raise KeyError("the secret prompt")


@pytest.fixture
def observed():
    """Method, code and seconds of every call that has ended."""
    return []


@pytest.fixture
def log(observed):
    def observe(*call):
        observed.append(call)

    return CallLog(observe, log_requests=True)


@pytest.fixture
async def stub(log):
    server = grpc.aio.server()
    by_path = _ByPath(server, Boundary(log))
    rpc.add_AdminServiceServicer_to_server(Broken(), by_path)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield rpc.AdminServiceStub(channel)
    await server.stop(None)


def check(error: grpc.aio.AioRpcError, log: str) -> None:
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "log" in error.details()
    assert "secret" not in error.details()
    assert "secret" not in log
    assert "test_boundary.py" in log


async def test_an_unexpected_error_is_internal_and_says_where_in_the_log(stub, log, capsys):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListPools(pb.ListPoolsRequest())
    log.write()
    check(caught.value, capsys.readouterr().err)


async def test_so_is_one_in_the_middle_of_a_stream(stub, log, capsys):
    call = stub.ExportSamples(pb.ExportSamplesRequest())
    assert await call.read() == pb.ExportSamplesResponse()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    log.write()
    check(caught.value, capsys.readouterr().err)


async def test_so_is_one_in_a_stream_of_requests(stub, log, capsys):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ImportSamples(iter([]))
    log.write()
    check(caught.value, capsys.readouterr().err)


async def test_every_call_is_told_with_its_code(stub, log, observed):
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.ListPools(pb.ListPoolsRequest())
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.ImportSamples(iter([]))
    log.write()
    called = [(method.rpartition("/")[2], code) for method, code, _ in observed]
    assert called == [("ListPools", "INTERNAL"), ("ImportSamples", "INTERNAL")]
    assert all(0 < seconds < 60 for _, _, seconds in observed)


@pytest.mark.parametrize("given", ["", "x" * 500, "not ascii é".encode()])
async def test_a_request_id_that_cannot_be_logged_is_replaced(stub, given):
    metadata = (("x-request-id", given),) if isinstance(given, str) else (("x-other-bin", given),)
    call = stub.ListPools(pb.ListPoolsRequest(), metadata=metadata)
    assert await call.code() is grpc.StatusCode.INTERNAL
    returned = dict(await call.trailing_metadata())["x-request-id"]
    assert returned
    assert len(returned) <= 128


class Recovering(rpc.AdminServiceServicer):
    def __init__(self):
        self.attempts = 0

    async def ListPools(self, request, context):
        self.attempts += 1
        if self.attempts < 3:
            raise ShuttingDownError("The server is shutting down; call another, or again later.")
        return pb.ListPoolsResponse()


async def test_a_call_that_was_refused_is_tried_again_by_the_client(log):
    servicer, server = Recovering(), grpc.aio.server()
    rpc.add_AdminServiceServicer_to_server(servicer, _ByPath(server, Boundary(log)))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.02s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    options = [("grpc.service_config", config)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        await rpc.AdminServiceStub(channel).ListPools(pb.ListPoolsRequest())
    await server.stop(None)
    assert servicer.attempts == 3
