"""Where the server listens: TCP, a Unix socket, or both."""

import socket
import stat
from pathlib import Path

import grpc.aio

from server.errors import StartError
from server.settings import Settings

DEFAULT_ADDRESS = "127.0.0.1:50051"
_ANSWERS_WITHIN_SECONDS = 1.0


def bind(server: grpc.aio.Server, settings: Settings) -> list[str]:
    """Binds a server to every address of the settings, before it starts.

    Returns:
        The addresses, with the port that was taken where the settings say 0.

    Raises:
        StartError: An address is taken or can't be had; the message names the setting.
    """
    addresses = []
    tcp = settings.listen or ("" if settings.socket else DEFAULT_ADDRESS)
    if tcp:
        addresses.append(_bind_tcp(server, tcp))
    if settings.socket is not None:
        path = settings.socket.expanduser().absolute()
        addresses.append(_bind_unix(server, path, int(settings.socket_mode, 8)))
    return addresses


def _bind_tcp(server: grpc.aio.Server, address: str) -> str:
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise StartError(f"Can't listen on {address} (listen): it is taken, or not of this host.")
    return f"{address.rpartition(':')[0]}:{port}"


def _bind_unix(server: grpc.aio.Server, path: Path, mode: int) -> str:
    try:
        _remove_stale(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        server.add_insecure_port(f"unix:{path}")
        # The socket is there from now on, and the server answers on it only once it has started.
        path.chmod(mode)
    except RuntimeError:
        raise StartError(f"Can't listen on {path} (socket): it can't be created there.") from None
    except OSError as error:
        raise StartError(f"Can't listen on {path} (socket): {error.strerror}.") from None
    return f"unix:{path}"


def _remove_stale(path: Path) -> None:
    """Removes the socket of a server that died; refuses that of one that lives."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} (socket) exists and is no socket; remove it or name another.")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWERS_WITHIN_SECONDS)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        else:
            raise StartError(f"Another server listens on {path} (socket); stop it first.")
