"""How fast noise is estimated, against the authors' loop and against doing next to nothing.

    python -m benchmarks.speed.estimators [--quick] [--json FILE]

- `estimator/global/...`: `fit_global` of (10,000, 10, 384) float32, in this process, on as many
  threads as its row says; the references run on one. Beside `embeddings.sum()` it runs on one
  thread as well, which has no target. The authors' loop measures three mean distances for each of
  K(K-1)(K-2)/2 triplets, in NumPy, over all prompts, for a part of them would fit the cache.
- `estimator/local/...`: `nearest_prompts` and `fit_local`, 5,000 prompts, K = 10, k = 20. The
  authors' side is scikit-learn's brute-force search over all of them, and their loop over the
  neighbourhoods of ten prompts, scaled up.
- `estimator/request/...`: 20 recalled rows, K = 5, d = 384. `estimate_local` is from recalled rows
  and measured answers to the estimate, with every check; what a compiled call costs that takes
  one array and does nothing is taken away, pair by pair.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations

import numba
import numpy as np
from numpy.typing import NDArray

import scoring
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort, in_turn
from evaluation.speed import Figure, Spread, Target
from scoring.features import measure_features
from scoring.kernels.compilation import request_kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FEW = 10  # neighbourhoods that the authors' loop runs on


def authors_loop(embeddings: Floats) -> Doubles:
    """The triplet estimator as published: every distance again for every triplet."""

    def apart(i: int, j: int) -> float:
        return float((np.linalg.norm(embeddings[:, i] - embeddings[:, j], axis=1) ** 2).mean())

    noise = np.zeros(embeddings.shape[1])
    for i in range(len(noise)):
        others = [voter for voter in range(len(noise)) if voter != i]
        triplets = combinations(others, 2)
        noise[i] = np.mean([0.5 * (apart(i, j) + apart(i, k) - apart(j, k)) for j, k in triplets])
    return noise


@request_kernel
def nothing(rows: Floats) -> int:
    """What a call into compiled code costs at least, with one array."""
    return len(rows)


def measure(effort: Effort) -> list[Figure]:
    """Measures data sets, then one request."""
    rng = np.random.default_rng(0)
    return [*_global(rng, effort), _local(rng, effort), *_request(rng, effort)]


def _global(rng: np.random.Generator, effort: Effort) -> list[Figure]:
    samples = 1_000 if effort.quick else 10_000
    embeddings = rng.standard_normal((samples, 10, 384), dtype=np.float32)
    fit, repeats = lambda: scoring.fit_global(embeddings), effort.repeats(15)
    ours, total = in_turn(fit, embeddings.sum, repeats=repeats, calls=3)
    with on_one_thread():
        alone, beside = in_turn(fit, embeddings.sum, repeats=repeats, calls=3)
    several, loop = in_turn(fit, lambda: authors_loop(embeddings), repeats=3)
    what, reference = f"Global fit, n = {samples:,}, K = 10", "embeddings.sum(), 1 thread"
    return [
        Figure.paired(
            "estimator/global/authors-loop", f"{what}, {_threads()}", "ms", _ms(several),
            "the authors' loop in NumPy, 1 thread", _ms(loop),
            ratio_of="reference/ours", target=Target("at least", 1000),
        ),
        Figure.paired(
            "estimator/global/sum", f"{what}, {_threads()}", "ms", _ms(ours),
            reference, _ms(total), target=Target("at most", 1.3),
        ),
        Figure.paired(
            "estimator/global-one-thread/sum", f"{what}, 1 thread", "ms", _ms(alone),
            reference, _ms(beside),
        ),
    ]  # fmt: skip


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keeps what Numba runs in parallel to this thread."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _threads() -> str:
    count = numba.get_num_threads()
    return f"{count} thread{'s' if count > 1 else ''}"


def _ms(seconds: Sequence[float]) -> Doubles:
    return 1e3 * np.array(seconds)


def _local(rng: np.random.Generator, effort: Effort) -> Figure:
    from sklearn.neighbors import NearestNeighbors

    samples = 500 if effort.quick else 5_000
    embeddings = rng.standard_normal((samples, 10, 384), dtype=np.float32)
    prompts = rng.standard_normal((samples, 384), dtype=np.float32)
    neighbours = scoring.nearest_prompts(prompts, 20)

    def ours() -> None:
        scoring.fit_local(embeddings, scoring.nearest_prompts(prompts, 20))

    def search() -> None:
        NearestNeighbors(n_neighbors=20, algorithm="brute").fit(prompts).kneighbors(prompts)

    def loop() -> None:
        for these in neighbours[:_FEW]:
            authors_loop(embeddings[these])

    # The loop is nearly all of it. The search is timed alone: its threads spin on for a while.
    fit, looped = in_turn(ours, loop, repeats=effort.repeats(15))
    _, found = in_turn(lambda: None, search, repeats=3)
    theirs = float(np.median(found)) + np.array(looped) * samples / _FEW
    return Figure.paired(
        "estimator/local/authors-loop",
        f"Local fit, n = {samples:,}, K = 10, k = 20, neighbours included, {_threads()}",
        "ms",
        _ms(fit),
        "scikit-learn's brute-force search on every core, then the authors' loop on 1 thread",
        1e3 * theirs,
        ratio_of="reference/ours",
        target=Target("at least", 500),
        note=f"The loop ran on {_FEW} neighbourhoods, and is scaled up.",
    )


def _request(rng: np.random.Generator, effort: Effort) -> list[Figure]:
    vectors = rng.standard_normal((5, 384), dtype=np.float32)
    prompt = rng.standard_normal(384, dtype=np.float32)
    voters, rows = tuple("abcde"), rng.uniform(1, 2, (20, 10)).astype(np.float32)
    nearby = scoring.Neighbourhood(voters, rows, np.zeros(20, np.float32))
    answers = scoring.measure_answers(voters, vectors)
    estimate = scoring.estimate_local(answers, nearby)
    works = {
        "estimate": lambda: scoring.estimate_local(answers, nearby),
        "measure": lambda: scoring.measure_answers(voters, vectors),
        "features": lambda: measure_features(answers, prompt, vectors, (9, 8, 7, 6, 5)),
        "rank": lambda: scoring.rank_generations(answers, estimate),
    }
    figures = []
    for name, work in works.items():
        ours, empty = in_turn(work, lambda: nothing(rows), repeats=effort.repeats(25), calls=1_000)
        more = 1e6 * (np.array(ours) - np.array(empty))
        figures.append(
            Figure(
                f"estimator/request/{name}",
                f"One request, K = 5, k = 20: {name}, more than an empty compiled call",
                "us",
                Spread.of(more),
                target=Target("at most", 10) if name == "estimate" else None,
                note=f"The empty call took {1e6 * float(np.median(empty)):.2f} us.",
            )
        )
    return figures


if __name__ == "__main__":
    run_alone(measure)
