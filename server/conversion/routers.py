"""AdminService's routers, from the wire and back."""

from pathlib import Path

from pointsman.v1 import admin_service_pb2 as pb
from server.conversion.checks import Checks
from server.conversion.pools import space_message
from server.conversion.times import timestamp_message
from server.routers.values import RouterReport
from server.settings import Settings

_PATH_BYTES = 4096


def router_message(report: RouterReport) -> pb.Router:
    """Writes a router."""
    return pb.Router(
        name=report.name,
        kind=report.kind,
        revision=report.revision,
        models=report.models,
        space=space_message(report.space) if report.space else None,
        load_time=timestamp_message(report.loaded_at),
        last_error=report.last_error,
    )


def router_name(name: str, settings: Settings) -> str:
    """Validates the name of a router, which must be there.

    Raises:
        InvalidRequestError: It is empty, or no name.
    """
    checks = Checks(settings.limits)
    _check_name(name, checks)
    checks.raise_if_any()
    return name


def reload_request(message: pb.ReloadRouterRequest, settings: Settings) -> tuple[str, Path | None]:
    """Validates a request; the directory is None where the one before is meant.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    _check_name(message.router, checks)
    checks.name(message.directory, "directory", required=False, most=_PATH_BYTES)
    if message.directory and not message.directory.startswith("/"):
        checks.refuse("directory", "is relative; give the whole path, as the server sees it")
    checks.raise_if_any()
    return message.router, Path(message.directory) if message.directory else None


def _check_name(name: str, checks: Checks) -> None:
    if name:
        checks.pool(name, "router")
    else:
        checks.refuse("router", "is empty; name a router")
