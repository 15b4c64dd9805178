"""Is it the authors' estimator? Ours and theirs, by definition, on AlpacaEval-style data.

    python -m benchmarks.alpaca_eval FOLDER --cache EMBEDDINGS.npz [--pools 30] [--encoder DIR]

FOLDER holds, per model, a `model_outputs.json` and the judge's `annotations.json`.
Embeddings are kept in the --cache file, which belongs outside the repository. What the choices
are worth, and their bounds, is said by `pointsman evaluate generations --judged FOLDER`.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders import SentenceEncoder, embedded_encoder
from evaluation.learning_curves import draw_pools
from evaluation.preferences import JudgedAnswers, read_judged
from evaluation.texts import EncodedTexts
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
    whole = [np.arange(len(judged.voters))]
    report("all models", embedded, neighbours, whole)
    pools = draw_pools(len(judged.voters), POOL_SIZE, arguments.pools, arguments.seed)
    report(f"{len(pools)} pools of {POOL_SIZE}", embedded, neighbours, pools)


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


HEADINGS = f"{'undefined':>12}{'differ':>9}{'of':>8}{'largest |diff|':>16}{'relative':>11}"


def report(
    title: str,
    embedded: Embedded,
    neighbours: NDArray[np.int64],
    pools: list[NDArray[np.int64]],
) -> None:
    found: dict[str, list[Comparison]] = {}
    for pool in pools:
        for each in comparisons(embedded, neighbours, pool):
            found.setdefault(each.name, []).append(each)
    print(f"\n{'Ours and the authors, ' + title:<44}{HEADINGS}")
    for name, each_pool in found.items():
        print_comparisons(name, each_pool)


def print_comparisons(name: str, compared: list[Comparison]) -> None:
    undefined = sum(each.undefined for each in compared)
    differ = sum(int((each.ours != each.theirs).sum()) for each in compared)
    prompts = sum(each.ours.size for each in compared)
    absolute = max(each.absolute for each in compared)
    relative = max(each.relative for each in compared)
    print(f"{name:<44}{undefined:>12}{differ:>9}{prompts:>8}{absolute:>16.1e}{relative:>11.1e}")


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
