"""Routing without labels on AlpacaEval-style data: half is scored traffic, half is routed.

    python -m benchmarks.label_free FOLDER --cache EMBEDDINGS.npz [--pools 100] [--limit 403]

FOLDER holds, per model, a `model_outputs.json` and the judge's `annotations.json`. A server is
started; the answers of all models to one half of the prompts are fed to it as text by
ScoreGenerations, which learns them; then the other half is routed by RoutePrompt, of which the
server has seen no answer. The judge's word on the chosen model's answer is the outcome.

Random pools of five need a memory each. They run in this process: the same Memory and
SmoothieRouter that the server has, on the same encoder's vectors, which --cache keeps (a file that
belongs outside the repository). The pool of all models runs both ways, and the choices are
compared.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.alpaca_eval import Embedded, load_embeddings
from evaluation.preferences import JudgedAnswers, read_judged
from evaluation.routing import route_table
from evaluation.win_rate import (
    best_single,
    choice_outcomes,
    longest_choice,
    oracle_outcomes,
    random_outcomes,
    win_rate,
)
from pointsman.client import AsyncClient, ScoreRequest
from scoring.answers import measure_answers
from scoring.memory import EmbeddingSpace, Memory, MemorySettings, NewSample
from scoring.policies import ArgMax
from scoring.routers import SmoothieRouter
from server.cli.remote_router import RemoteRouter
from server.cli.wanted import Wanted
from tests.server_process import ServerProcess

POOL_SIZE = 5
SPACE = "benchmark/label-free"

Choices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Halves:
    """Rows of the prompts that are scored traffic, and of those that are routed."""

    fed: NDArray[np.int64]
    routed: NDArray[np.int64]


def main() -> None:
    arguments = parse()
    judged = read_judged(arguments.folder)
    embedded = load_embeddings(judged, arguments.cache, None)
    halves = halve(min(arguments.limit, len(judged.prompts)), arguments.seed)
    print(
        f"{len(judged.voters)} models; {len(halves.fed)} prompts fed, {len(halves.routed)} routed, "
        f"seed {arguments.seed}, {arguments.neighbours} neighbours"
    )
    everybody = np.arange(len(judged.voters))
    ours = route_here(judged, embedded, halves, everybody, arguments.neighbours)
    served = route_by_server(judged, halves, arguments.neighbours)
    print(
        f"The server chose otherwise than this process for {int((ours != served).sum())} prompts."
    )
    report_all(judged, halves, everybody, served)
    generator = np.random.default_rng(arguments.seed)
    pools = [
        np.sort(generator.choice(everybody, POOL_SIZE, replace=False))
        for _ in range(arguments.pools)
    ]
    report_pools(judged, embedded, halves, pools, arguments.neighbours)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--pools", type=int, default=100)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--limit", type=int, default=10**9, help="prompts to use, both halves")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def halve(prompts: int, seed: int) -> Halves:
    order = np.random.default_rng(seed).permutation(prompts)
    return Halves(np.sort(order[: prompts // 2]), np.sort(order[prompts // 2 :]))


def route_by_server(judged: JudgedAnswers, halves: Halves, neighbours: int) -> Choices:
    """Feeds and routes over the wire; the model chosen for each routed prompt."""
    section = f"{{smoothie: {{kind: smoothie, pool: alpaca, neighbours: {neighbours}}}}}"
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(Path(folder), "--set", f"routers={section}") as server,
    ):
        began = time.perf_counter()
        asyncio.run(feed(server.target, judged, halves.fed))
        print(f"fed {len(halves.fed)} prompts in {time.perf_counter() - began:.0f} s")
        remote = RemoteRouter(server.target, "smoothie")
        prompts = [judged.prompts[row] for row in halves.routed]
        results = asyncio.run(remote.route(prompts, Wanted(ArgMax())))
    used = [result.neighbours_used for result in results]
    fallbacks = sum(result.fallback is not None for result in results)
    print(f"routed; {min(used)} to {max(used)} neighbours used, {fallbacks} fallbacks")
    return np.array([judged.voters.index(result.model) for result in results], np.int64)


async def feed(target: str, judged: JudgedAnswers, rows: NDArray[np.int64]) -> None:
    """Sends the answers of all models to some prompts, to be ranked and learned."""
    requests = (
        ScoreRequest(
            judged.prompts[row],
            dict(zip(judged.voters, judged.texts[row], strict=True)),
            pool="alpaca",
            learn=True,
        )
        for row in rows
    )
    async with AsyncClient(target, timeout=600) as client:
        async for row, result in client.score_many(requests, in_flight=4):
            assert not isinstance(result, Exception), (row, result)
            assert result.learned is not None
            assert result.learned.durability, result.learned.message
            print(f"\r{row + 1} of {len(rows)} prompts fed", end="", flush=True)
    print()


def route_here(
    judged: JudgedAnswers,
    embedded: Embedded,
    halves: Halves,
    pool: NDArray[np.int64],
    neighbours: int,
) -> Choices:
    """Feeds and routes in this process; the column of the pool chosen for each routed prompt."""
    voters = [judged.voters[model] for model in pool]
    space = EmbeddingSpace(SPACE, embedded.prompts.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory.open(MemorySettings(Path(folder)))
        with closing(memory):
            written = [
                memory.learn("pool", space, sample(embedded, row, pool, voters))
                for row in halves.fed
            ]
            for each in written:
                each.result()
            router = SmoothieRouter(memory, "pool", neighbours=neighbours)
            scores = route_table(router, embedded.prompts[halves.routed])
    assert scores.models == tuple(voters)
    return np.asarray(np.nanargmax(scores.scores, axis=1), np.int64)


def sample(
    embedded: Embedded, row: int, pool: NDArray[np.int64], voters: Sequence[str]
) -> NewSample:
    answers = measure_answers(voters, np.ascontiguousarray(embedded.answers[row, pool]))
    return NewSample(str(row), embedded.prompts[row], answers.voters, answers.pairs, 0.0)


def ways(
    judged: JudgedAnswers, halves: Halves, pool: NDArray[np.int64], chosen: Choices
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yields the name and the outcomes on the routed half of every way to choose."""
    wins = judged.wins[np.ix_(halves.routed, pool)]
    fed = judged.wins[np.ix_(halves.fed, pool)]
    texts = [[judged.texts[row][model] for model in pool] for row in halves.routed]
    yield "random", random_outcomes(wins)
    yield "smoothie router (no labels)", choice_outcomes(wins, chosen)
    yield "best single (judged on the fed half)", wins[:, best_single(fed)]
    yield "best single (judged on these prompts)", wins[:, best_single(wins)]
    yield "oracle per prompt (by the judge)", oracle_outcomes(wins)
    yield "longest answer (seen)", choice_outcomes(wins, longest_choice(texts))


def report_all(
    judged: JudgedAnswers, halves: Halves, pool: NDArray[np.int64], chosen: Choices
) -> None:
    print(f"\nAll {len(pool)} models, by the server: win rate in %, 95 % interval")
    for name, outcomes in ways(judged, halves, pool, chosen):
        rate = win_rate(outcomes)
        print(f"{name:<42}{rate.mean:7.1%}   {rate.low:.1%} to {rate.high:.1%}")
    shares = np.bincount(chosen, minlength=len(pool)) / len(chosen)
    for model in np.argsort(-shares)[:5]:
        if shares[model]:
            alone = win_rate(judged.wins[halves.routed, model]).mean
            print(f"  {shares[model]:6.1%} of calls to {judged.voters[model]}, alone {alone:.1%}")


def report_pools(
    judged: JudgedAnswers,
    embedded: Embedded,
    halves: Halves,
    pools: Sequence[NDArray[np.int64]],
    neighbours: int,
) -> None:
    rates: dict[str, list[float]] = {}
    for pool in pools:
        chosen = route_here(judged, embedded, halves, pool, neighbours)
        for name, outcomes in ways(judged, halves, pool, chosen):
            rates.setdefault(name, []).append(win_rate(outcomes, resamples=1).mean)
    print(f"\n{len(pools)} random pools of {POOL_SIZE}, in this process: mean win rate, and lead")
    print("over random in points (mean, least, most; pools below random)")
    for name, values in rates.items():
        lead = 100 * (np.array(values) - np.array(rates["random"]))
        spread = (
            f"{lead.mean():+6.1f} {lead.min():+6.1f} {lead.max():+6.1f} {(lead < 0).mean():6.0%}"
        )
        print(f"{name:<42}{np.mean(values):7.1%}   {spread}")


if __name__ == "__main__":
    main()
