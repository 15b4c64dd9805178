"""`pointsman evaluate`: what routing, or scoring answers, is worth on your own data."""

import typer

from server.cli.evaluate_generations import generations
from server.cli.evaluate_routing import routing

app = typer.Typer(
    help="Says what routing, or choosing among answers, is worth on your data.",
    no_args_is_help=True,
)


@app.callback()
def evaluate() -> None:
    """Says what routing, or choosing among answers, is worth on your data."""


app.command()(routing)
app.command()(generations)
