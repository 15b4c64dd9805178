"""How time grows: with samples, with voters, with tokens, and with the size of a memory.

    python -m benchmarks.speed.growth [--quick] [--json FILE]
    python -m benchmarks.speed.growth --plot docs/growth.svg

Each figure is the slope of log time against log size, by least squares: 1 is linear, 0 constant.

- `growth/global-fit/samples`: `fit_global`, 10^3 to 10^6 samples, K = 5, d = 64.
- `growth/global-fit/voters`: the same with 3 to 64 voters, n = 2,000.
- `growth/encoder/tokens`: one text of 16 to 512 tokens, the longest that the model has positions
  for, through the embedded encoder's model, one thread.
- `growth/neighbours/samples`: one search of a memory's graph for 20 neighbours among 10^3 to
  10^5 vectors of 16 dimensions.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import scoring
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from encoders import Precision, Provider, SentenceEncoder, Tokens, embedded_encoder
from evaluation.report.plots import render_svg
from evaluation.report.values import Line, Lines
from evaluation.speed import Figure, Spread, Target
from scoring.memory.segment import Segment
from scoring.memory.values import HnswParameters


@dataclass(frozen=True, slots=True)
class Growth:
    """Seconds by size: `seconds` (sizes, repeats)."""

    name: str
    what: str
    most: float
    sizes: tuple[int, ...]
    seconds: tuple[tuple[float, ...], ...]

    def figure(self) -> Figure:
        """The slope of log time against log size, one for each repeat."""
        logs = np.log(self.seconds)
        slopes = np.polyfit(np.log(self.sizes), logs, 1)[0]
        last = 1e3 * float(np.median(self.seconds[-1]))
        return Figure(
            f"growth/{self.name}",
            self.what,
            "slope",
            Spread.of(slopes),
            target=Target("at most", self.most),
            note=f"{self.sizes[0]:,} to {self.sizes[-1]:,}; the largest took {last:.3g} ms.",
        )


def measure(effort: Effort) -> list[Figure]:
    """Measures every growth."""
    return [each.figure() for each in grow(effort)]


def grow(effort: Effort) -> list[Growth]:
    """Times every size of everything."""
    return [_samples(effort), _voters(effort), _tokens(effort), _neighbours(effort)]


def _timed(work: Callable[[], object], repeats: int, calls: int = 1) -> tuple[float, ...]:
    work()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(calls):
            work()
        seconds.append((time.perf_counter() - began) / calls)
    return tuple(seconds)


def _fits(shapes: Sequence[tuple[int, int, int]], repeats: int) -> tuple[tuple[float, ...], ...]:
    rng, found = np.random.default_rng(0), []
    scoring.fit_global(np.zeros((1, 3, 1), np.float32))
    for shape in shapes:
        embeddings = rng.standard_normal(shape, dtype=np.float32)
        calls = max(1, 2_000_000 // embeddings.size)
        found.append(_timed(lambda data=embeddings: scoring.fit_global(data), repeats, calls))
    return tuple(found)


def _samples(effort: Effort) -> Growth:
    sizes = (1_000, 10_000, 100_000) if effort.quick else (1_000, 10_000, 100_000, 1_000_000)
    seconds = _fits([(size, 5, 64) for size in sizes], effort.repeats(7))
    return Growth("global-fit/samples", "Global fit by samples", 1.1, sizes, seconds)


def _voters(effort: Effort) -> Growth:
    sizes = (3, 6, 12, 24, 64)
    seconds = _fits([(2_000, size, 64) for size in sizes], effort.repeats(15))
    return Growth("global-fit/voters", "Global fit by voters", 1.1, sizes, seconds)


def _tokens(effort: Effort) -> Growth:
    sizes, found = (16, 32, 64, 128, 256, 512), []
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        directory = embedded_encoder(Path(name), Precision.FP32)
        encoder = SentenceEncoder.load(directory, provider=Provider.CPU, threads=1)
        for size in sizes:
            # Two tokens mark beginning and end.
            ids = np.array([101, *(2_000 + place for place in range(size - 2)), 102], np.int64)
            tokens = [Tokens(ids, truncated=False)]
            found.append(_timed(lambda some=tokens: encoder.encode_tokens(some), effort.repeats(7)))
    return Growth("encoder/tokens", "Encoder by tokens", 1.1, sizes, tuple(found))


def _neighbours(effort: Effort) -> Growth:
    sizes = (1_000, 4_000, 16_000) if effort.quick else (1_000, 10_000, 100_000)
    rng, found = np.random.default_rng(0), []
    queries = rng.standard_normal((200, 16), dtype=np.float32)
    for size in sizes:
        segment = Segment(16, size, HnswParameters())
        vectors = rng.standard_normal((size, 16), dtype=np.float32)
        for start in range(0, size, 250):
            seqs = np.arange(start, start + 250, dtype=np.int64)
            segment.insert_many(seqs, vectors[start : start + 250])
        work = lambda graph=segment: [graph.search(query, 20) for query in queries]  # noqa: E731
        found.append(tuple(each / len(queries) for each in _timed(work, effort.repeats(7))))
    what = "Neighbour search by samples in memory"
    return Growth("neighbours/samples", what, 0.35, sizes, tuple(found))


def plot(growths: Sequence[Growth]) -> str:
    """Draws time over that of the smallest size, both as powers of two."""
    lines = tuple(
        Line(
            f"{each.what}: slope {each.figure().measured.median:.2f}",
            tuple(size / each.sizes[0] for size in each.sizes),
            tuple(np.log2(np.median(each.seconds, axis=1) / np.median(each.seconds[0])).tolist()),
        )
        for each in growths
    )
    alt = "Doublings of time over the growth of samples, voters and tokens."
    size, doublings = "size, over the smallest", "doublings of time"
    return render_svg(Lines("How time grows", alt, size, doublings, lines, logarithmic=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw into this SVG instead")
    options, _ = parser.parse_known_args()
    if options.plot is None:
        run_alone(measure)
    options.plot.write_text(plot(grow(Effort())), encoding="utf-8")


if __name__ == "__main__":
    main()
