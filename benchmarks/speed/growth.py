"""How time grows: with samples, with voters, with tokens, and with the size of a memory.

    python -m benchmarks.speed.growth [--quick] [--json FILE]
    python -m benchmarks.speed.growth --plot docs/growth.svg  # draws them as well

Each figure is the slope of log time against log size, by least squares: 1 is linear, 0 constant.
The sizes are timed in turn, over and over, and each round gives a slope.

- `growth/global-fit/samples`: `fit_global`, 10^3 to 10^6 samples, K = 5, d = 64.
- `growth/global-fit/voters`: the same with 3 to 64 voters, n = 2,000.
- `growth/request/voters`: one request of 3 to 64 voters, d = 384, with 20 neighbours of the same
  voters: its answers are measured, the estimate made, and the answers ranked.
- `growth/request/pairs`: the same times against K(K-1)/2, the distances of a sample.
- `growth/encoder/tokens`: one text of 16 to 512 tokens, the longest that the model has positions
  for, through the embedded encoder's model, one thread.
- `growth/neighbours/samples`: one search of a memory's graph for 20 neighbours among 10^3 to
  10^6 vectors of 16 dimensions. The graphs are built once, and kept. The largest takes minutes,
  and takes part once `python -m benchmarks.speed.graphs` has built it.
- `growth/recall/samples`: one recall of a whole memory, as a request has it, 10^3 to 10^5 samples
  of 384 dimensions (those of `memory`, kept likewise). All of them lie in one graph, as after
  a start, even the fewest; none is compared one by one.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import scoring
from benchmarks.memory_recall import Vectors
from benchmarks.speed.graphs import LARGEST, has_largest, kept_graph, made_queries
from benchmarks.speed.memory import SAMPLES, SPACE, K, made_vectors, prepared_state
from benchmarks.speed.suite import add_common, run_alone
from benchmarks.speed.timing import Effort, Work
from benchmarks.speed.traffic import DIMENSION, POOL
from encoders import Precision, Provider, SentenceEncoder, Tokens, embedded_encoder
from evaluation.report.plots import render_svg
from evaluation.report.values import Line, Lines
from evaluation.speed import Figure, Spread, Target
from scoring.memory import Memory, MemorySettings
from scoring.memory.segment import Segment

_VOTERS = (3, 6, 12, 24, 64)


@dataclass(frozen=True, slots=True)
class Growth:
    """Seconds by size: `seconds` (rounds, sizes)."""

    name: str
    what: str
    most: float
    sizes: tuple[int, ...]
    seconds: NDArray[np.float64]
    note: str = ""

    def figure(self) -> Figure:
        """The slope of log time against log size, one for each round."""
        milliseconds = 1e3 * np.median(self.seconds, axis=0)
        took = zip(milliseconds.tolist(), self.sizes, strict=True)
        said = ", ".join(f"{each:.3g} ms at {size:,}" for each, size in took)
        last = _slopes(self.sizes[-2:], milliseconds[-2:])
        return Figure(
            f"growth/{self.name}",
            self.what,
            "slope",
            Spread.of(_slopes(self.sizes, self.seconds.T)),
            target=Target("at most", self.most),
            note=f"{said}; the last step alone has the slope {last:.2f}. {self.note}".strip(),
        )


def _slopes(sizes: Sequence[int], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    slopes: NDArray[np.float64] = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    return slopes


def measure(effort: Effort, picture: Path | None = None) -> list[Figure]:
    """Measures every growth, and draws all of them into an SVG where one is named."""
    growths = grow(effort)
    if picture is not None:
        picture.write_text(plot(growths), encoding="utf-8")
    return [each.figure() for each in growths]


def grow(effort: Effort) -> list[Growth]:
    """Times every size of everything."""
    return [
        _samples(effort),
        _voters(effort),
        *_request(effort),
        _tokens(effort),
        _neighbours(effort),
        _recall(effort),
    ]


def _timed(works: Sequence[Work], repeats: int, calls: Sequence[int]) -> NDArray[np.float64]:
    """Seconds (repeats, works) of one call of each, in turn, after a round that is not counted."""
    found = np.empty((repeats + 1, len(works)))
    for turn in range(repeats + 1):
        for place, (work, count) in enumerate(zip(works, calls, strict=True)):
            began = time.perf_counter()
            for _ in range(count):
                work()
            found[turn, place] = (time.perf_counter() - began) / count
    return found[1:]


def _fits(shapes: Sequence[tuple[int, int, int]], repeats: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    made = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    works = [partial(scoring.fit_global, embeddings) for embeddings in made]
    return _timed(works, repeats, [max(1, 2_000_000 // each.size) for each in made])


def _samples(effort: Effort) -> Growth:
    sizes = (1_000, 10_000, 100_000) if effort.quick else (1_000, 10_000, 100_000, 1_000_000)
    seconds = _fits([(size, 5, 64) for size in sizes], effort.repeats(7))
    return Growth("global-fit/samples", "Global fit by samples", 1.1, sizes, seconds)


def _voters(effort: Effort) -> Growth:
    seconds = _fits([(2_000, size, 64) for size in _VOTERS], effort.repeats(15))
    return Growth("global-fit/voters", "Global fit by voters", 1.1, _VOTERS, seconds)


def _request(effort: Effort) -> list[Growth]:
    works = [_estimate(size) for size in _VOTERS]
    seconds = _timed(works, effort.repeats(25), [3_000 // size for size in _VOTERS])
    pairs = tuple(size * (size - 1) // 2 for size in _VOTERS)
    note = (
        "What every request costs is most of it at first, and in the end it is quadratic: each of "
        "the 20 samples, and the request, has K(K-1)/2 distances."
    )
    return [
        Growth("request/voters", "Request by voters", 1.1, _VOTERS, seconds, note),
        Growth("request/pairs", "Request by pairs of voters", 1.1, pairs, seconds),
    ]


def _estimate(voters: int) -> Work:
    """One request of so many voters, its neighbours recalled already."""
    rng, names = np.random.default_rng(voters), tuple(f"voter-{place}" for place in range(voters))
    vectors = rng.standard_normal((voters, DIMENSION), dtype=np.float32)
    rows = rng.uniform(1, 2, (20, voters * (voters - 1) // 2)).astype(np.float32)
    nearby = scoring.Neighbourhood(names, rows, np.zeros(20, np.float32))

    def request() -> object:
        answers = scoring.measure_answers(names, vectors)
        return scoring.rank_generations(answers, scoring.estimate_local(answers, nearby))

    return request


def _tokens(effort: Effort) -> Growth:
    sizes = (16, 32, 64, 128, 256, 512)
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        directory = embedded_encoder(Path(name), Precision.FP32)
        encoder = SentenceEncoder.load(directory, provider=Provider.CPU, threads=1)
        works = [partial(encoder.encode_tokens, [_text(size)]) for size in sizes]
        seconds = _timed(works, effort.repeats(7), [1] * len(sizes))
    return Growth("encoder/tokens", "Encoder by tokens", 1.1, sizes, seconds)


def _text(size: int) -> Tokens:
    # Two tokens mark beginning and end.
    ids = np.array([101, *(2_000 + place for place in range(size - 2)), 102], np.int64)
    return Tokens(ids, truncated=False)


def _neighbours(effort: Effort) -> Growth:
    sizes = (1_000, 4_000, 16_000) if effort.quick else (1_000, 10_000, 100_000)
    if has_largest() and not effort.quick:
        sizes = (*sizes, LARGEST)
    queries = made_queries(200)
    works = [partial(_search_all, kept_graph(size), queries) for size in sizes]
    seconds = _timed(works, effort.repeats(25), [1] * len(sizes)) / len(queries)
    note = (
        f"The logarithm itself has the slope {_slopes(sizes, np.log(sizes)):.2f}; besides, the "
        "larger the graph, the longer each of its vectors takes to come from memory."
    )
    return Growth("neighbours/samples", "Neighbour search by samples", 0.35, sizes, seconds, note)


def _search_all(graph: Segment, queries: Vectors) -> None:
    for query in queries[:, None]:
        graph.search(query, K)


def _recall(effort: Effort) -> Growth:
    sizes = (1_000, 10_000) if effort.quick else (1_000, 10_000, 100_000)
    # Other prompts of the same topics, whatever the size.
    queries = made_vectors(min(sizes))[1]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        works = []
        for size in sizes:
            state = prepared_state(Path(name, str(size)), size)
            memory = stack.enter_context(Memory.open(MemorySettings(state, capacity=SAMPLES)))
            works.append(partial(_recall_all, memory, queries))
        seconds = _timed(works, effort.repeats(25), [1] * len(sizes)) / len(queries)
    note = "All of them lie in one graph, as after a start."
    return Growth("recall/samples", "Recall by samples", 0.35, sizes, seconds, note)


def _recall_all(memory: Memory, prompts: Vectors) -> None:
    for prompt in prompts:
        memory.recall(POOL, SPACE, prompt, K - 1, without="x")


def plot(growths: Sequence[Growth]) -> str:
    """Draws time over that of the smallest size, both as powers of two."""
    lines = tuple(
        Line(
            f"{each.what}: {each.figure().measured.median:.2f}",
            tuple(size / each.sizes[0] for size in each.sizes),
            _doublings(each),
        )
        for each in growths
    )
    alt = "Doublings of time over the growth of samples, voters and tokens."
    size, doublings = "size, over the smallest (beside the names: slopes)", "doublings of time"
    return render_svg(Lines("How time grows", alt, size, doublings, lines, logarithmic=True))


def _doublings(growth: Growth) -> tuple[float, ...]:
    medians = np.median(growth.seconds, axis=0)
    return tuple(np.log2(medians / medians[0]).tolist())


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    add_common(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="the SVG to draw into")
    options = parser.parse_args()
    run_alone(partial(measure, picture=options.plot), options)


if __name__ == "__main__":
    main()
