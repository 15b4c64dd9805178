"""Starts a server, ranks the answers to the example prompts, routes new ones, and stops it.

Run it from an environment that has the server: `python examples/quickstart.py`.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.client import (
    Client,
    Durability,
    Estimator,
    PointsmanError,
    Pool,
    RouteResult,
    ScoreRequest,
    ScoreResult,
)

EXAMPLES = Path(__file__).with_name("generations.jsonl")
POOL = "default"  # the pool that the default router rests on
NEW_PROMPTS = (
    "Why does the Moon look larger near the horizon?",
    "When should I use a set rather than a dict in Python?",
    "A film starts at 19:50 and lasts 105 minutes. When does it end?",
    "Write a short, polite e-mail that asks a colleague to move a meeting.",
)
NEIGHBOURS = 5
START_SECONDS = 150.0
STOP_SECONDS = 30.0
LOG_LINES = 20
PAGE_WIDTH = 120
PROMPT_WIDTH = 34
RECONNECT_OFTEN = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class QuickstartError(Exception):
    """Something went wrong; the message is for the person who started this."""


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and its answers, by voter."""

    sample_id: str
    prompt: str
    answers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """A server process of our own."""

    process: subprocess.Popen[bytes]
    target: str
    log: Path

    def last_words(self) -> str:
        """Returns the end of the server's log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:]) or "(the log is empty)"


def main() -> int:
    """Runs it all; returns the exit code."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PAGE_WIDTH)
    try:
        examples = read_examples(EXAMPLES)
        with tempfile.TemporaryDirectory(prefix="pointsman-") as home:
            run(Path(home), examples, console)
    except (QuickstartError, PointsmanError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    return 0


def run(home: Path, examples: list[Example], console: Console) -> None:
    """Starts a server, scores and routes, prints the tables and stops the server."""
    with running_server(home) as server:
        began = time.perf_counter()
        wait_until_serving(server)
        console.print(f"The server is ready after {time.perf_counter() - began:.1f} s.")
        with Client(server.target, timeout=60.0) as client:
            results = score(client, examples)
            pool = client.pool(POOL)
            routes = [client.route(prompt) for prompt in NEW_PROMPTS]
        console.print(choices_table(examples, results))
        console.print(voters_table(results, pool))
        console.print(routes_table(routes))
        code = stop(server)
    console.print(f"The server stopped with exit code {code}.")
    if code != 0:
        raise QuickstartError(f"the server should have stopped with exit code 0, not {code}.")


def read_examples(path: Path) -> list[Example]:
    """Reads prompts and answers, one JSON object per line."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        Example(
            f"example-{number}",
            row["prompt"],
            {each["voter"]: each["text"] for each in row["generations"]},
        )
        for number, row in enumerate(rows, start=1)
    ]


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """Starts a server on a Unix socket; whatever happens, it doesn't outlive this."""
    socket, log = home / "pointsman.sock", home / "server.log"
    command = [sys.executable, "-m", "server.cli", "serve"]
    command += ["--socket", str(socket), "--state", str(home / "state")]
    # The default router recalls 20 neighbours, which would be all the examples for every prompt.
    command += ["--set", "routers.default.kind=smoothie"]
    command += ["--set", f"routers.default.neighbours={NEIGHBOURS}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603  our own
    try:
        yield Server(process, f"unix:{socket}", log)
    finally:
        process.kill()
        process.wait()


def wait_until_serving(server: Server) -> None:
    """Waits until the server says that it serves."""
    deadline = time.monotonic() + START_SECONDS
    with grpc.insecure_channel(server.target, RECONNECT_OFTEN) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while not is_serving(health):
            code = server.process.poll()
            if code is not None:
                raise QuickstartError(
                    f"the server ended with exit code {code} before it was ready. It said:\n"
                    + server.last_words()
                )
            if time.monotonic() > deadline:
                raise QuickstartError(
                    f"the server was not ready after {START_SECONDS:.0f} s. It said:\n"
                    + server.last_words()
                )
            time.sleep(0.1)


def is_serving(health: health_pb2_grpc.HealthStub) -> bool:
    """Asks once."""
    try:
        reply = health.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
    except grpc.RpcError:
        return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def score(client: Client, examples: list[Example]) -> list[ScoreResult]:
    """Lets the server learn every example, then ranks each among its neighbours.

    An example has the same sample id both times: the sample that it left in the pool would
    otherwise be the nearest neighbour of its own.
    """
    for each in examples:
        learned = client.score(
            each.prompt, each.answers, pool=POOL, learn=True, sample_id=each.sample_id
        ).learned
        if learned is None or learned.durability is Durability.NONE:
            raise QuickstartError(f"the server did not learn the prompt {each.prompt!r}.")
    requests = [
        ScoreRequest(
            each.prompt,
            each.answers,
            pool=POOL,
            estimator=Estimator.LOCAL,
            neighbours=NEIGHBOURS,
            sample_id=each.sample_id,
        )
        for each in examples
    ]
    replies = dict(client.score_many(requests))
    return [checked(replies[index]) for index in range(len(examples))]


def checked(reply: ScoreResult | PointsmanError) -> ScoreResult:
    """Returns a result that came about as it was asked for."""
    if isinstance(reply, PointsmanError):
        raise reply
    if reply.fallback is not None:
        raise QuickstartError(f"the server fell back: {reply.fallback.message}")
    return reply


def choices_table(examples: list[Example], results: list[ScoreResult]) -> Table:
    """Shows the chosen answer of each prompt."""
    table = Table(title="Chosen answers", title_justify="left", expand=True)
    table.add_column("Prompt", no_wrap=True, width=PROMPT_WIDTH)
    table.add_column("Voter", no_wrap=True)
    table.add_column("Margin", justify="right", no_wrap=True)
    table.add_column("Answer", no_wrap=True, ratio=1)
    for example, result in zip(examples, results, strict=True):
        table.add_row(
            Text(example.prompt),
            Text(result.best),
            "-" if result.margin is None else f"{result.margin:.3f}",
            Text(" ".join(example.answers[result.best].split())),
        )
    return table


def voters_table(results: list[ScoreResult], pool: Pool) -> Table:
    """Shows how good each voter was, over all prompts."""
    table = Table(title="Voters", title_justify="left")
    table.add_column("Voter")
    for title in ("Best", "Mean weight", "Noise variance"):
        table.add_column(title, justify="right")
    for voter in pool.voters:
        noise = voter.noise_variance
        table.add_row(
            Text(voter.voter),
            f"{sum(each.best == voter.voter for each in results)} of {len(results)}",
            f"{mean_weight(results, voter.voter):.3f}",
            "-" if noise is None else f"{noise:.3f}",
        )
    return table


def routes_table(routes: list[RouteResult]) -> Table:
    """Shows which model should answer each new prompt, by what was scored before."""
    table = Table(title="New prompts, routed before anybody answers", title_justify="left")
    table.add_column("Prompt", no_wrap=True)
    table.add_column("Model", no_wrap=True)
    table.add_column("Next best", no_wrap=True)
    for title in ("Margin", "Neighbours"):
        table.add_column(title, justify="right")
    for prompt, route in zip(NEW_PROMPTS, routes, strict=True):
        table.add_row(
            Text(prompt),
            Text(route.model),
            Text(route.ranking[1].model),
            "-" if route.margin is None else f"{route.margin:.3f}",
            str(route.neighbours_used),
        )
    return table


def mean_weight(results: list[ScoreResult], voter: str) -> float:
    """Averages the weight of a voter over the prompts."""
    weights = [each.weight for result in results for each in result.voters if each.voter == voter]
    return sum(weights) / len(weights)


def stop(server: Server) -> int:
    """Asks the server to stop; returns its exit code."""
    server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise QuickstartError(
            f"the server did not stop within {STOP_SECONDS:.0f} s of SIGTERM. It said:\n"
            + server.last_words()
        ) from None


if __name__ == "__main__":
    sys.exit(main())
