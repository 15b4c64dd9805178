"""`pointsman report`: what a running server has seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.delivery import failure
from server.cli.report_folder import deliver_report, require_folder

if TYPE_CHECKING:
    from evaluation.drift import OutcomeHistory, PoolHistory, WindowPlan
    from evaluation.drift.summary import PoolSummary
    from pointsman.client import Client, Outcome, Pool, Sample

app = typer.Typer(help="Says what a running server has seen.", no_args_is_help=True)


@app.callback()
def report() -> None:
    """Says what a running server has seen."""


@app.command()
def pool(
    name: Annotated[str, typer.Argument(help="Name of the pool.")] = "default",
    *,
    address: Annotated[
        str, typer.Option(help="The server, host:port or unix:/path.")
    ] = "127.0.0.1:50051",
    window: Annotated[
        str, typer.Option(help="Width of a window: a number and s, m, h, d or w, as in 1d.")
    ] = "",
    windows: Annotated[
        int | None,
        typer.Option(min=1, help="So many windows of equal width; 10 where --window is not given."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, report.json and noise.csv."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON in place of tables.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for the server.")] = 30,
) -> None:
    """Say how noisy each voter of a pool has been over time, and which have changed."""
    from evaluation.drift.page import WINDOW_HEADER, pool_record, pool_report, window_rows

    if window and windows:
        raise typer.BadParameter("Give --window or --windows, not both.")
    require_folder(out)
    summary = _summed_up(name, address, window, windows or 10, timeout)
    sheets = {"noise.csv": (WINDOW_HEADER, window_rows(summary))}
    deliver_report(pool_report(summary), pool_record(summary), sheets, out, as_json=as_json)


def _summed_up(name: str, address: str, window: str, windows: int, timeout: float) -> "PoolSummary":
    from evaluation.errors import EvaluationError
    from pointsman.client import Client, PointsmanError

    try:
        with Client(address, timeout=timeout) as client:
            described = client.pool(name)
            return _history(client, described, _plan(described, window, windows))
    except (PointsmanError, ValueError) as error:
        message = error.message if isinstance(error, PointsmanError) else str(error)
        raise failure(f"The server at {address} can't be asked: {message}") from None
    except EvaluationError as error:
        raise failure(str(error)) from None


def _plan(described: "Pool", window: str, windows: int) -> "WindowPlan":
    from evaluation.drift import WindowPlan, parse_duration

    oldest = described.oldest_at.timestamp() if described.oldest_at else 0.0
    newest = described.newest_at.timestamp() if described.newest_at else 0.0
    if window:
        return WindowPlan.of_width(oldest, newest, parse_duration(window))
    return WindowPlan.of_count(oldest, newest, windows)


def _history(client: "Client", described: "Pool", plan: "WindowPlan") -> "PoolSummary":
    from evaluation.drift import OutcomeHistory, PoolHistory
    from evaluation.drift.summary import PoolSummary
    from server.cli.delivery import progress_bar

    history, outcomes = PoolHistory(plan), OutcomeHistory()
    total = described.samples + described.outcomes
    with progress_bar("Reading") as progress:
        for done, item in enumerate(client.export_samples(described.name), start=1):
            _take(item, history, outcomes)
            if done % 1000 == 0:
                progress(done, total)
    contradicted = described.agreement_contradicted if described.outcomes else None
    return PoolSummary.of(described.name, history, outcomes, contradicted=contradicted)


def _take(item: "Sample | Outcome", history: "PoolHistory", outcomes: "OutcomeHistory") -> None:
    import numpy as np

    from pointsman.client import Outcome

    if isinstance(item, Outcome):
        outcomes.add(item.model, item.quality)
    else:
        history.add(
            item.learned_at.timestamp(), item.voters, np.asarray(item.distances, np.float32)
        )
