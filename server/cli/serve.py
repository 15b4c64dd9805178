"""`pointsman serve`: the sidecar."""

from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.flags import ConfigFlag, SetFlag, parse_assignments, refuse

_FAILED_EXIT = 1


def serve(
    config: ConfigFlag = None,
    listen: Annotated[str | None, typer.Option(help="TCP address, host:port.")] = None,
    socket: Annotated[Path | None, typer.Option(help="Path of a Unix socket.")] = None,
    state: Annotated[Path | None, typer.Option(help="Directory of the memory.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
    assignments: SetFlag = None,
) -> None:
    """Serves until SIGTERM, then drains. Exit code 2 if it can't start, 1 if a part died."""
    import uvloop

    from scoring.errors import ScoringError
    from scoring.kernels.kept import keep_compiled
    from server.errors import ServerError, StartError
    from server.lifecycle import serve as serve_until_stopped
    from server.logs import configure_logs
    from server.settings import load_settings

    named: dict[str, Any] = {
        "listen": listen,
        "socket": socket,
        "state": state,
        "log.level": log_level,
        "log.format": log_format,
    }
    given = {name: value for name, value in named.items() if value is not None}
    try:
        settings = load_settings(config, {**parse_assignments(assignments or []), **given})
        configure_logs(settings.log)
        keep_compiled(settings.encoder.cache.expanduser() / "kernels")
        uvloop.run(serve_until_stopped(settings))
    except (ServerError, ScoringError) as error:
        refuse(error)
    except ExceptionGroup as group:
        refused = group.subgroup(StartError)
        if refused is not None:
            refuse(refused.exceptions[0])
        parts = ", ".join(type(each).__name__ for each in group.exceptions)
        typer.echo(f"pointsman: a part of the server died ({parts}); its log says why.", err=True)
        raise typer.Exit(_FAILED_EXIT) from None
