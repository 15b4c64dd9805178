"""How fast noise is estimated, against the triplet loop and against doing nothing.

    python -m benchmarks.estimator [--quick]

The authors' loop measures three mean distances for each of K(K-1)(K-2)/2 triplets.
Where it is too slow to repeat it runs on some of the prompts, and is scaled up.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

import scoring
from scoring.kernels.compilation import request_kernel
from scoring.reference import triplet_noise

Floats = NDArray[np.float32]


def seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Times repeated calls after one that is not timed."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def repeat(work: Callable[[], object], calls: int) -> None:
    """Calls often enough for the clock to see it."""
    for _ in range(calls):
        work()


def report(name: str, times: list[float], calls: float = 1.0) -> float:
    """Prints median and quartiles of one call; returns the median."""
    low, median, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    low, median, high = (1e6 * value / calls for value in (low, median, high))
    print(f"{name:<58} {median:>14,.1f} {low:>14,.1f} {high:>14,.1f}")
    return median


def authors_loop(embeddings: Floats) -> NDArray[np.float64]:
    """The triplet estimator as published: every distance again for every triplet."""

    def apart(i: int, j: int) -> float:
        return float((np.linalg.norm(embeddings[:, i] - embeddings[:, j], axis=1) ** 2).mean())

    noise = np.zeros(embeddings.shape[1])
    for i in range(len(noise)):
        others = [voter for voter in range(len(noise)) if voter != i]
        triplets = combinations(others, 2)
        noise[i] = np.mean([0.5 * (apart(i, j) + apart(i, k) - apart(j, k)) for j, k in triplets])
    return noise


def bench_global(rng: np.random.Generator, samples: int, repeats: int) -> None:
    embeddings = rng.normal(size=(samples, 10, 384)).astype(np.float32)
    present = rng.random((samples, 10)) < 0.9
    print(f"\nGlobal, n = {samples}, K = 10, d = 384")
    ours = report("fit_global", seconds(lambda: scoring.fit_global(embeddings), repeats))
    masked = seconds(lambda: scoring.fit_global(embeddings, present), repeats)
    report("fit_global, a tenth missing", masked)
    total = report("embeddings.sum()", seconds(embeddings.sum, repeats))
    once = report(
        "triplets of distances measured once, float64",
        seconds(lambda: triplet_noise(embeddings), 2),
    )
    part = embeddings[: samples // 20]
    loop = report("authors' loop", seconds(lambda: authors_loop(part), 2), calls=1 / 20)
    print(
        f"fit_global / sum() = {ours / total:.2f}; triplets / fit_global = {once / ours:.0f}; "
        f"authors' loop / fit_global = {loop / ours:.0f}"
    )


def bench_local(rng: np.random.Generator, samples: int, repeats: int) -> None:
    embeddings = rng.normal(size=(samples, 10, 384)).astype(np.float32)
    prompts = rng.normal(size=(samples, 384)).astype(np.float32)
    neighbours = scoring.nearest_prompts(prompts, 20)
    print(f"\nLocal, n = {samples}, K = 10, k = 20, d = 384")
    found = seconds(lambda: scoring.nearest_prompts(prompts, 20), min(repeats, 3))
    report("nearest_prompts", found)
    ours = report("fit_local", seconds(lambda: scoring.fit_local(embeddings, neighbours), repeats))
    few = neighbours[:20]
    loop = seconds(lambda: [authors_loop(embeddings[these]) for these in few], 2)
    theirs = report("authors' loop", loop, calls=len(few) / samples)
    print(f"authors' loop / fit_local = {theirs / ours:.0f}")


@request_kernel
def nothing(rows: Floats) -> int:
    """What a call into compiled code costs at least, with one array."""
    return len(rows)


def bench_request(rng: np.random.Generator, repeats: int) -> None:
    calls = 1000
    vectors = rng.normal(size=(5, 384)).astype(np.float32)
    voters = list("abcde")
    answers = scoring.measure_answers(voters, vectors)
    rows = rng.uniform(1, 2, (20, 10)).astype(np.float32)
    nearby = scoring.Neighbourhood(tuple(voters), rows, np.zeros(20, np.float32))
    estimate = scoring.estimate_local(answers, nearby)
    works: dict[str, Callable[[], object]] = {
        "an empty compiled call": lambda: nothing(rows),
        "measure_answers, 5 answers": lambda: scoring.measure_answers(voters, vectors),
        "estimate_alone": lambda: scoring.estimate_alone(answers),
        "estimate_local, 20 rows": lambda: scoring.estimate_local(answers, nearby),
        "rank_generations": lambda: scoring.rank_generations(answers, estimate),
    }
    print("\nOne request, K = 5, k = 20, d = 384")
    medians = {}
    for name, work in works.items():
        times = seconds(partial(repeat, work, calls), repeats)
        medians[name] = report(name, times, calls=calls)
    ratio = medians["estimate_local, 20 rows"] / medians["an empty compiled call"]
    print(f"estimate_local / an empty call = {ratio:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the estimators.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, few repeats")
    quick = parser.parse_args().quick
    rng, repeats = np.random.default_rng(0), 5 if quick else 15
    print(f"{'microseconds':<58} {'median':>14} {'quartile 1':>14} {'quartile 3':>14}")
    bench_request(rng, repeats)
    bench_global(rng, 1_000 if quick else 10_000, repeats)
    bench_local(rng, 500 if quick else 5_000, repeats)


if __name__ == "__main__":
    main()
