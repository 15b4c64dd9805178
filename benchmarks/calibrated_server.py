"""The learning curve of `calibrated` for one pool, through a running server.

    python -m benchmarks.calibrated_server FOLDER [--voters NAME ...] [--judged 100] [--limit 403]

FOLDER holds, per model, a `model_outputs.json` and the judge's `annotations.json`. A server is
started and learns every answer as text by ScoreGenerations. Some prompts are set aside; of the
others more and more are judged, all their answers or one random answer each, by RecordOutcome.
After each step the answers to the prompts set aside are scored again, and the judge's word on the
best one is the outcome; the weight of agreement is that of the first of them. Labels only is the
voter with the best mean quality, unseen ones counting as the mean of the seen, ties shared.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.preferences import JudgedAnswers, read_judged
from evaluation.win_rate import best_single, win_rate
from pointsman.client import AsyncClient, Calibration, Estimator, ScoreRequest, ScoreResult
from tests.server_process import ServerProcess

COUNTS = (0, 5, 10, 20, 50, 100, 200)
POOL_SIZE = 5

Rows = NDArray[np.int64]
Labels = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Reached:
    """(m,) win probability of what was chosen for each prompt set aside, and what a reply says."""

    outcomes: NDArray[np.float64]
    calibration: Calibration


def main() -> None:
    arguments = parse()
    judged = only(read_judged(arguments.folder), arguments)
    order = np.random.default_rng(arguments.seed).permutation(len(judged.prompts))
    aside, others = order[: arguments.judged], order[arguments.judged :]
    print(f"{', '.join(judged.voters)}: {len(others)} prompts may be judged, {len(aside)} aside")
    report_bounds(judged.wins[aside])
    for form in ("whole", "single"):
        labels = labels_of(form, others, len(judged.voters), arguments.seed)
        asyncio.run(curve(form, judged, aside, others, labels))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voters", nargs="+", help="of the pool; five at random if none")
    parser.add_argument("--judged", type=int, default=100, help="prompts set aside to judge by")
    parser.add_argument("--limit", type=int, default=10**9, help="prompts to use")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def only(judged: JudgedAnswers, arguments: argparse.Namespace) -> JudgedAnswers:
    """Keeps the voters of the pool, and the prompts that the judge knows for all of them."""
    drawn = np.random.default_rng(arguments.seed).choice(judged.voters, POOL_SIZE, replace=False)
    judged = judged.of_voters(
        np.array([judged.voters.index(name) for name in arguments.voters or drawn], np.int64)
    )
    known = np.flatnonzero(np.isfinite(judged.wins).all(axis=1))
    return judged.rows(known[: arguments.limit])


def labels_of(form: str, rows: Rows, voters: int, seed: int) -> list[Labels]:
    """What is judged of each prompt, in the order in which it becomes known."""
    generator = np.random.default_rng(seed)
    if form == "whole":
        return [[(row, voter) for voter in range(voters)] for row in rows.tolist()]
    return [[(row, int(generator.integers(voters)))] for row in rows.tolist()]


def report_bounds(wins: NDArray[np.float64]) -> None:
    best = wins[:, best_single(wins)].mean()
    print(f"random {wins.mean():.1%}, best voter (by the judge) {best:.1%}")
    print(f"{'form':<8}{'judged':>7}{'calibrated':>25}{'labels only':>13}", end="")
    print(f"{'agreement weight':>19}{'contradicted':>14}")


async def curve(
    form: str, judged: JudgedAnswers, aside: Rows, others: Rows, labels: list[Labels]
) -> None:
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        async with AsyncClient(server.target, timeout=600) as client:
            await ask(client, judged, np.concatenate([others, aside]), learn=True)
            known: Labels = []
            for count in [each for each in COUNTS if each <= len(labels)]:
                for label in (one for row in labels[len_of(known, labels) : count] for one in row):
                    await record(client, judged, *label)
                    known.append(label)
                report(form, count, await reached(client, judged, aside), judged, aside, known)


def len_of(known: Labels, labels: list[Labels]) -> int:
    """How many prompts have been judged."""
    return len(known) // len(labels[0])


async def reached(client: AsyncClient, judged: JudgedAnswers, aside: Rows) -> Reached:
    results = await ask(client, judged, aside, learn=False)
    voters = [judged.voters.index(result.best) for result in results]
    calibration = results[0].calibration
    assert calibration is not None
    return Reached(judged.wins[aside, voters], calibration)


async def ask(
    client: AsyncClient, judged: JudgedAnswers, rows: Rows, *, learn: bool
) -> Sequence[ScoreResult]:
    found: dict[int, ScoreResult] = {}
    async for place, result in client.score_many(requests(judged, rows, learn), in_flight=4):
        assert not isinstance(result, Exception), result
        found[place] = result
    return [found[place] for place in range(len(rows))]


def requests(judged: JudgedAnswers, rows: Rows, learn: bool) -> Iterator[ScoreRequest]:  # noqa: FBT001
    for row in rows.tolist():
        answers = dict(zip(judged.voters, judged.texts[row], strict=True))
        estimator = Estimator.GLOBAL if learn else Estimator.CALIBRATED
        yield ScoreRequest(
            judged.prompts[row], answers, learn=learn, estimator=estimator, sample_id=str(row)
        )


async def record(client: AsyncClient, judged: JudgedAnswers, row: int, voter: int) -> None:
    written = await client.record_outcome(
        float(judged.wins[row, voter]),
        model=judged.voters[voter],
        sample_id=str(row),
        outcome_id=f"{row}-{voter}",
    )
    assert written.recorded.durability, written


def report(
    form: str, count: int, found: Reached, judged: JudgedAnswers, aside: Rows, known: Labels
) -> None:
    rate = win_rate(found.outcomes)
    said = found.calibration
    by_label = labels_only(judged, aside, known)
    print(
        f"{form:<8}{count:>7}{rate.mean:>9.1%} ({rate.low:.1%} to {rate.high:.1%})"
        f"{by_label:>11.1%}{said.agreement_weight:>19.2f}{said.contradicted!s:>14}",
        flush=True,
    )


def labels_only(judged: JudgedAnswers, aside: Rows, known: Labels) -> float:
    """The mean win rate, on the prompts set aside, of the voters with the best mean."""
    count = len(judged.voters)
    means = np.full(count, np.nan)
    for voter in range(count):
        own = [judged.wins[row, who] for row, who in known if who == voter]
        means[voter] = np.mean(own) if own else np.nan
    filled = np.zeros(count) if not known else np.where(np.isnan(means), np.nanmean(means), means)
    best = filled >= filled.max() - 1e-9
    return float(judged.wins[np.ix_(aside, np.flatnonzero(best))].mean())


if __name__ == "__main__":
    main()
