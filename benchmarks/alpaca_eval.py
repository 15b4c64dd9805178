"""Win rates on AlpacaEval-style data: our choice, its bounds, and the authors' formula.

    python -m benchmarks.alpaca_eval FOLDER --cache EMBEDDINGS.npz [--pools 30] [--encoder DIR]

FOLDER holds, per model, a `model_outputs.json` and the judge's `annotations.json`.
Embeddings are kept in the --cache file, which belongs outside the repository.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import SentenceEncoder, embedded_encoder
from evaluation.preferences import JudgedAnswers, read_judged
from evaluation.texts import EncodedTexts
from evaluation.win_rate import (
    best_single,
    choice_outcomes,
    longest_choice,
    oracle_outcomes,
    random_outcomes,
    win_rate,
)
from scoring.dataset import fit_global, fit_local, nearest_prompts
from scoring.reference import reference_weights, triplet_noise

NEIGHBOURS = (1, 5, 20)
POOL_SIZE = 5

Vectors = NDArray[np.float32]
Noise = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Embedded:
    """(n, d) vectors of the prompts and (n, K, d) of the answers."""

    prompts: Vectors
    answers: Vectors


@dataclass(frozen=True, slots=True)
class Comparison:
    """One estimator, ours and theirs, on one pool.

    Attributes:
        name: Of the estimator.
        ours: (n,) voter chosen by least noise.
        theirs: (n,) voter chosen by the authors' weights.
        undefined: Prompts where their weights are infinite, negative or NaN.
        absolute: Largest difference between our noises and theirs.
        relative: The same, over the largest noise of the prompt.
    """

    name: str
    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]
    undefined: int
    absolute: float
    relative: float


def main() -> None:
    arguments = parse()
    judged = read_judged(arguments.folder)
    embedded = load_embeddings(judged, arguments.cache, arguments.encoder)
    neighbours = nearest_prompts(embedded.prompts, max(NEIGHBOURS))
    print(f"{len(judged.prompts)} prompts, {len(judged.voters)} models, seed {arguments.seed}")
    whole = np.arange(len(judged.voters))
    report_all(judged, embedded, neighbours, whole)
    generator = np.random.default_rng(arguments.seed)
    pools = [
        np.sort(generator.choice(whole, POOL_SIZE, replace=False)) for _ in range(arguments.pools)
    ]
    report_pools(judged, embedded, neighbours, pools)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--pools", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def load_embeddings(judged: JudgedAnswers, cache: Path, directory: Path | None) -> Embedded:
    """Takes the embeddings from the cache, where it has those of just these texts."""
    directory = directory or embedded_encoder(Path("~/.cache/pointsman").expanduser())
    encoder = SentenceEncoder.load(directory)
    key = digest(encoder.revision, *judged.prompts, *(text for row in judged.texts for text in row))
    if cache.exists():
        with np.load(cache) as stored:
            if str(stored["key"]) == key:
                return Embedded(stored["prompts"], stored["answers"])
    embedded = encode(judged, encoder)
    np.savez(cache, key=np.array(key), prompts=embedded.prompts, answers=embedded.answers)
    return embedded


def digest(*texts: str) -> str:
    sha = hashlib.sha256()
    for text in texts:
        sha.update(text.encode() + b"\0")
    return sha.hexdigest()


def encode(judged: JudgedAnswers, encoder: SentenceEncoder) -> Embedded:
    answers = [text for row in judged.texts for text in row]
    texts = EncodedTexts([*judged.prompts, *answers], encoder, print_progress)
    print(f"\n{texts.truncated} of {len(texts)} texts were longer than {encoder.max_tokens} tokens")
    shape = (len(judged.prompts), len(judged.voters), encoder.dimension)
    return Embedded(texts.of(judged.prompts), texts.of(answers).reshape(shape))


def print_progress(done: int, total: int) -> None:
    print(f"\r{done} of {total} texts encoded", end="", flush=True)


def report_all(
    judged: JudgedAnswers,
    embedded: Embedded,
    neighbours: NDArray[np.int64],
    pool: NDArray[np.int64],
) -> None:
    print(f"\nAll {len(pool)} models: win rate in %, 95 % interval")
    for name, outcomes in ways(judged, embedded, neighbours, pool):
        rate = win_rate(outcomes)
        print(f"{name:<42}{rate.mean:7.1%}   {rate.low:.1%} to {rate.high:.1%}")
    print(f"\n{'Ours and the authors, all models':<34}{HEADINGS}")
    for each in comparisons(embedded, neighbours, pool):
        print_comparisons(each.name, [each])


HEADINGS = f"{'undefined':>12}{'differ':>9}{'of':>8}{'largest |diff|':>16}{'relative':>11}"


def report_pools(
    judged: JudgedAnswers,
    embedded: Embedded,
    neighbours: NDArray[np.int64],
    pools: list[NDArray[np.int64]],
) -> None:
    rates: dict[str, list[float]] = {}
    found: dict[str, list[Comparison]] = {}
    for pool in pools:
        for name, outcomes in ways(judged, embedded, neighbours, pool, each_model=False):
            rates.setdefault(name, []).append(win_rate(outcomes, resamples=1).mean)
        for each in comparisons(embedded, neighbours, pool):
            found.setdefault(each.name, []).append(each)
    print_rates(rates)
    print(f"\n{'Ours and the authors, all pools':<34}{HEADINGS}")
    for name, each_pool in found.items():
        print_comparisons(name, each_pool)


def print_rates(rates: dict[str, list[float]]) -> None:
    count = len(rates["random"])
    print(
        f"\n{count} pools of {POOL_SIZE}: mean win rate, and lead over random (mean, least, most)"
    )
    for name, values in rates.items():
        lead = 100 * (np.array(values) - np.array(rates["random"]))
        spread = f"{lead.mean():+6.1f} {lead.min():+6.1f} {lead.max():+6.1f}"
        print(f"{name:<42}{np.mean(values):7.1%}   {spread}")


def print_comparisons(name: str, compared: list[Comparison]) -> None:
    undefined = sum(each.undefined for each in compared)
    differ = sum(int((each.ours != each.theirs).sum()) for each in compared)
    prompts = sum(each.ours.size for each in compared)
    absolute = max(each.absolute for each in compared)
    relative = max(each.relative for each in compared)
    print(f"{name:<34}{undefined:>12}{differ:>9}{prompts:>8}{absolute:>16.1e}{relative:>11.1e}")


def ways(
    judged: JudgedAnswers,
    embedded: Embedded,
    neighbours: NDArray[np.int64],
    pool: NDArray[np.int64],
    *,
    each_model: bool = True,
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yields the name and the outcomes of every way to choose within a pool."""
    wins = judged.wins[:, pool]
    yield "random", random_outcomes(wins)
    if each_model:
        for column, model in enumerate(pool):
            yield f"  {judged.voters[model]}", wins[:, column]
    yield "best single (by the judge)", wins[:, best_single(wins)]
    yield "oracle (by the judge)", oracle_outcomes(wins)
    longest = longest_choice([[texts[model] for model in pool] for texts in judged.texts])
    yield "longest answer", choice_outcomes(wins, longest)
    for each in comparisons(embedded, neighbours, pool):
        yield each.name, choice_outcomes(wins, each.ours)
        yield f"{each.name}, authors' formula", choice_outcomes(wins, each.theirs)


def comparisons(
    embedded: Embedded, neighbours: NDArray[np.int64], pool: NDArray[np.int64]
) -> Iterator[Comparison]:
    """Yields Global and every Local, ours by the kernels and theirs by definition."""
    answers = np.ascontiguousarray(embedded.answers[:, pool])
    fit = fit_global(answers)
    ours = np.full(len(answers), fit.order[0])
    yield compared("Global", ours, fit.noise_variance[None], triplet_noise(answers)[None])
    for k in NEIGHBOURS:
        local = fit_local(answers, neighbours[:, :k])
        theirs = np.stack([triplet_noise(answers[each]) for each in neighbours[:, :k]])
        yield compared(f"Local k={k}", local.order[:, 0], local.noise_variance, theirs)


def compared(
    name: str, ours: NDArray[np.int64], our_noise: Noise, their_noise: Noise
) -> Comparison:
    weights = np.stack([reference_weights(noise, 1) for noise in their_noise])
    theirs = np.broadcast_to(np.argmax(weights, axis=1), ours.shape)
    undefined = ~(their_noise > 0).all(axis=1)
    apart = np.abs(our_noise - their_noise)
    largest = np.abs(their_noise).max(axis=1, keepdims=True)
    relative = np.divide(apart, largest, out=np.zeros_like(apart), where=largest > 0)
    return Comparison(
        name,
        ours,
        theirs,
        int(np.broadcast_to(undefined, ours.shape).sum()),
        float(apart.max()),
        float(relative.max()),
    )


if __name__ == "__main__":
    main()
