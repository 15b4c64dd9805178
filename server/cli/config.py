"""`pointsman config`: are the settings valid, what do they come to, what is there."""

import typer

from server.cli.flags import ConfigFlag, SetFlag, parse_assignments, refuse
from server.errors import SettingsError
from server.settings import Settings, load_settings

app = typer.Typer(help="Checks, shows and explains the settings.", no_args_is_help=True)


@app.command()
def check(config: ConfigFlag = None, assignments: SetFlag = None) -> None:
    """Says whether the settings are valid; exit code 2 if not."""
    _load(config, assignments)
    typer.echo("The settings are valid.")


@app.command()
def show(config: ConfigFlag = None, assignments: SetFlag = None) -> None:
    """Prints what the settings come to, as YAML."""
    import yaml

    settings = _load(config, assignments)
    typer.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), nl=False)


@app.command()
def reference() -> None:
    """Prints every setting, its default and what it does, as Markdown."""
    from server.reference import settings_page

    typer.echo(settings_page(), nl=False)


def _load(config: ConfigFlag, assignments: SetFlag) -> Settings:
    try:
        return load_settings(config, parse_assignments(assignments or []))
    except SettingsError as error:
        refuse(error)
