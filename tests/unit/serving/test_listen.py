import socket
import stat
import tempfile
from pathlib import Path

import grpc.aio
import pytest

from server.errors import StartError
from server.listen import bind
from server.settings import load_settings


@pytest.fixture
async def server():
    server = grpc.aio.server()
    yield server
    await server.stop(None)


@pytest.fixture
def path():
    # A Unix socket's path must be short, which pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="pm-") as folder:
        yield Path(folder) / "deep" / "s"


async def test_the_socket_is_made_with_its_folder_and_its_permissions(server, path):
    settings = load_settings(None, {"socket": path, "socket_mode": "0600"})
    assert bind(server, settings) == [f"unix:{path}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_dead_servers_socket_is_removed(server, path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    assert bind(server, load_settings(None, {"socket": path}))


async def test_a_file_that_is_no_socket_is_left_alone(server, path):
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(StartError, match="no socket"):
        bind(server, load_settings(None, {"socket": path}))
    assert path.read_text() == "precious"


async def test_both_addresses_at_once_with_the_port_that_was_taken(server, path):
    settings = load_settings(None, {"listen": "127.0.0.1:0", "socket": path})
    tcp, unix = bind(server, settings)
    assert tcp.startswith("127.0.0.1:")
    assert not tcp.endswith(":0")
    assert unix == f"unix:{path}"


@pytest.mark.parametrize("impossible", ["/etc/passwd/s", "/proc/none/s"])
async def test_a_path_that_cannot_be_is_refused_by_name(server, impossible):
    with pytest.raises(StartError, match=r"\(socket\)"):
        bind(server, load_settings(None, {"socket": impossible}))


async def test_an_address_of_another_host_is_refused_by_name(server):
    with pytest.raises(StartError, match=r"192\.0\.2\.1:50051 \(listen\)"):
        bind(server, load_settings(None, {"listen": "192.0.2.1:50051"}))
