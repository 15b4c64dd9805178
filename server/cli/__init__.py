"""The command line `pointsman`."""

from typing import Annotated

import typer

from server.cli.bench import app as bench_app
from server.cli.calibrate import calibrate
from server.cli.config import app as config_app
from server.cli.evaluate import app as evaluate_app
from server.cli.export import export
from server.cli.export_ranker import export_ranker
from server.cli.report import app as report_app
from server.cli.route import route
from server.cli.score import score
from server.cli.serve import serve
from server.cli.train import train

app = typer.Typer(
    name="pointsman",
    help="Routes among large language models: which answer is best, without labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(score)
app.command()(route)
app.command()(calibrate)
app.command()(train)
app.command()(export)
app.command()(export_ranker)
app.add_typer(config_app, name="config")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(report_app, name="report")
app.add_typer(bench_app, name="bench")


@app.command()
def version(
    *, verbose: Annotated[bool, typer.Option(help="Also those of the libraries.")] = False
) -> None:
    """Prints the version."""
    import importlib.metadata as metadata

    typer.echo(f"pointsman {metadata.version('pointsman-server')}")
    if verbose:
        for library in ("grpcio", "protobuf", "onnxruntime", "numba", "hnswlib", "numpy"):
            typer.echo(f"{library} {metadata.version(library)}")


def main() -> None:
    """Runs the command line, with the native libraries kept to what we have."""
    from encoders.cpu import cpu_limit
    from server.native import limit_native_threads, quieten_grpc

    limit_native_threads(cpu_limit())
    quieten_grpc()
    app()
