"""What a few outcomes add to agreement, on AlpacaEval-style data: learning curves.

    python -m benchmarks.calibrated FOLDER --cache EMBEDDINGS.npz [--pools 200] [--repeats 4]

FOLDER holds, per model, a `model_outputs.json` and the judge's `annotations.json`. Outcomes of
random prompts are recorded for random pools of models, one random answer of each prompt or all of
them; every way to choose is judged on the prompts without outcomes. The fit is the one that serves.
Noise is over all prompts of the pool, as in a memory that scored them. The prior was chosen with
every second prompt (--half 0); the others (--half 1) say what it is worth where it wasn't.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.alpaca_eval import Embedded, load_embeddings
from evaluation.learning_curves import (
    COUNTS,
    WAYS,
    CurvePoint,
    PoolData,
    draw_pools,
    learning_curves,
    pool_data,
)
from evaluation.preferences import JudgedAnswers, read_judged
from scoring.calibrated import PRIOR, Prior

POOL_SIZE = 5

VARIANTS = {
    "as served": PRIOR,
    "without length": replace(PRIOR, features=(*PRIOR.features[:2], 1e-6)),
    "length alone": replace(PRIOR, features=(1e-6, 1e-6, PRIOR.features[2])),
    "without any feature": replace(PRIOR, features=(1e-6, 1e-6, 1e-6)),
    "agreement trusted more": replace(PRIOR, trust=0.1),
}


def main() -> None:
    arguments = parse()
    judged = read_judged(arguments.folder)
    embedded = load_embeddings(judged, arguments.cache, arguments.encoder)
    chosen = draw_pools(len(judged.voters), arguments.pool_size, arguments.pools, arguments.seed)
    rows = np.arange(len(judged.prompts))
    rows = rows if arguments.half is None else rows[arguments.half :: 2]
    pools = measure(judged, embedded, chosen, rows)
    print(f"{len(rows)} prompts, {len(pools)} pools of {arguments.pool_size}")
    for name in VARIANTS if arguments.variants else ("as served",):
        report(name, pools, arguments, VARIANTS[name])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--pools", type=int, default=200)
    parser.add_argument("--pool-size", type=int, default=POOL_SIZE)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--half", type=int, choices=(0, 1), help="every second prompt only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", action="store_true", help="other priors too")
    return parser.parse_args()


def measure(
    judged: JudgedAnswers,
    embedded: Embedded,
    chosen: list[NDArray[np.int64]],
    rows: NDArray[np.int64],
) -> list[PoolData]:
    lengths = np.log1p([[len(text) for text in texts] for texts in judged.texts])
    return [
        pool_data(
            judged.wins[np.ix_(rows, each)],
            embedded.prompts[rows],
            embedded.answers[np.ix_(rows, each)],
            lengths[np.ix_(rows, each)],
        )
        for each in chosen
    ]


def report(name: str, pools: list[PoolData], arguments: argparse.Namespace, prior: Prior) -> None:
    started = time.perf_counter()
    points = learning_curves(
        pools,
        counts=arguments.counts,
        repeats=arguments.repeats,
        seed=arguments.seed,
        prior=prior,
    )
    print(f"\n{name}: win rate in %, mean over pools ({time.perf_counter() - started:.0f} s)")
    print(
        f"{'outcomes':<14}" + "".join(f"{way:>16}" for way in WAYS) + "     gain over labels only"
    )
    for point in points:
        print_point(point)


def print_point(point: CurvePoint) -> None:
    rates = "".join(f"{100 * point.rates[way].mean:16.1f}" for way in WAYS)
    gain = point.gain
    interval = f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}"
    print(
        f"{point.outcomes:>5} {point.form:<8}{rates}   {100 * gain.mean:+8.2f}  ({interval})",
        flush=True,
    )


if __name__ == "__main__":
    main()
