"""How close the embedded encoder comes to a card's arithmetic in fp16, and what a route takes.

    python -m benchmarks.speed.cuda [--peak-tflops 989] [--runs 50]

Not part of the suite, for it needs a card and onnxruntime-gpu; without them it says so. First the
encoder as the server loads it with `encoder.precision` fp16, padding and copies included: for each
length and batch the median time of one batch alone, and the throughput with as many batches at a
time as the server runs, with the share of the card's peak. Operations are those of the matrix
products of BERT, two for each multiplication, of what was asked and not of its padding. Then the
p50 of RoutePrompt, one at a time, from a server with `encoder.provider` cuda, whose log must say
that CUDA is the provider in use.

The peaks are those of dense products in fp16, from the data sheets of the cards: --peak-tflops
stands in for a card that is not in the table, or does not run at its full clock.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.speed import traffic
from benchmarks.speed.load import Plan, run_load
from benchmarks.speed.serving import our_server
from encoders import (
    ManifestDraft,
    Precision,
    Provider,
    ProviderUnavailableError,
    SentenceEncoder,
    Tokens,
    embedded_encoder,
    write_artefact,
)
from encoders.artefact.manifest import ModelEntry
from encoders.bert import BertShape

CUDA = "CUDAExecutionProvider"
_BATCHES = (1, 8, 32, 128)
_LENGTHS = (16, 32, 64, 128, 256)
_WARM_UPS = 3
_ROUTE_SECONDS = 5.0
_PEAKS = (
    ({"H100", "PCIe"}, 756.0),
    ({"H100", "NVL"}, 835.0),
    ({"H100"}, 989.0),
    ({"H200"}, 989.0),
    ({"A100"}, 312.0),
    ({"L4"}, 121.0),
    ({"T4"}, 65.0),
)
"""TFLOP/s of dense fp16, by words of the card's name; the first that fits."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What an encoder takes for batches of one shape.

    Attributes:
        length: Tokens of each text.
        batch: Texts of each batch.
        seconds: Median of one batch alone.
        rate: Texts per second, with several batches at a time.
    """

    length: int
    batch: int
    seconds: float
    rate: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--peak-tflops", type=float, help="of dense fp16, in place of the table's")
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pm-") as name:
        cache = Path(name)
        directory = embedded_encoder(cache, Precision.FP16)
        try:
            encoder = SentenceEncoder.load(directory, provider=Provider.CUDA)
        except ProviderUnavailableError as error:
            print(f"Nothing was measured: {error}.")
            return
        card = card_name()
        peak = options.peak_tflops or peak_of(card)
        print(f"{card or 'a card'}, {encoder.provider}, fp16, median of {options.runs} runs")
        shape = BertShape.read(directory / "config.json")
        for speed in speeds(encoder, shape, options.runs):
            print(line(speed, shape, peak))
        del encoder
        print(route(cache))


def speeds(
    encoder: SentenceEncoder,
    shape: BertShape,
    runs: int,
    lengths: tuple[int, ...] = _LENGTHS,
    batches: tuple[int, ...] = _BATCHES,
) -> Iterator[Speed]:
    """Measures every length with every batch."""
    random = np.random.default_rng(0)
    for length, batch in product(lengths, batches):
        ids = random.integers(0, shape.vocabulary, (batch, length))
        tokens = [Tokens(row, truncated=False) for row in ids]
        taken = [_seconds(encoder, tokens) for _ in range(runs + _WARM_UPS)][_WARM_UPS:]
        rate = batch / _seconds_of_each(encoder, tokens, runs)
        yield Speed(length, batch, float(np.median(taken)), rate)


def line(speed: Speed, shape: BertShape, peak: float | None) -> str:
    """Says a speed, and the share of a peak in TFLOP/s."""
    teraflops = speed.rate * operations(shape, speed.length) / 1e12
    share = f", {teraflops / peak:.1%} of peak" if peak else ""
    return (
        f"{speed.length:4d} tokens, batch {speed.batch:3d}: {1e3 * speed.seconds:7.3f} ms alone; "
        f"{speed.rate:9.0f} texts/s, {teraflops:6.2f} TFLOP/s{share}"
    )


def operations(shape: BertShape, length: int) -> int:
    """Of the matrix products of one text: projections, feed-forward, scores and mixtures."""
    dense = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate
    return 2 * shape.layers * length * (dense + 2 * length * shape.hidden)


def peak_of(card: str) -> float | None:
    """TFLOP/s of a card in dense fp16, by its name; None where it is not in the table."""
    words = set(card.replace("-", " ").split())
    return next((peak for wanted, peak in _PEAKS if wanted <= words), None)


def card_name() -> str:
    """The name of the first card; empty where nvidia-smi is not there to say it."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed
    return next(iter(said.stdout.splitlines()), "").strip()


def route(cache: Path) -> str:
    """Says the p50 of RoutePrompt, one at a time, on a server that runs on the card.

    Raises:
        RuntimeError: The server runs on something else, or refused requests.
    """
    router = cache / "router"
    _write_router(router, embedded_encoder(cache, Precision.FP16))
    settings: dict[str, object] = {
        "encoder.provider": "cuda",
        "encoder.precision": "fp16",
        "encoder.cache": str(cache),
        "routers.main.directory": str(router),
    }
    with our_server(settings) as served:
        provider = provider_in(served.log.read_text(encoding="utf-8"))
        if provider != CUDA:
            raise RuntimeError(f"the server says that its encoder runs on {provider}")
        plan = Plan(seconds=_ROUTE_SECONDS, warm_up=1, concurrency=1)
        result = run_load(served.target, traffic.ROUTE, traffic.route_requests(5000), plan)
    if set(result.counts) != {"OK"}:
        raise RuntimeError(f"requests ended with {result.counts}")
    found = result.latencies["OK"]
    return (
        f"RoutePrompt, one at a time, {found.count} answers: p50 {1e3 * found.percentile(50):.2f} "
        f"ms, p99 {1e3 * found.percentile(99):.2f} ms; the server's encoder is on {provider}"
    )


def provider_in(log: str) -> str | None:
    """The provider that a server's log names; None where it names none."""
    for each in log.splitlines():
        try:
            said = json.loads(each)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("event") == "encoder":
            return str(said["provider"])
    return None


def _write_router(folder: Path, encoder: Path) -> None:
    draft = ManifestDraft(
        kind="routerdc",
        models=tuple(ModelEntry(name=name) for name in traffic.MODELS),
        encoder_name="all-MiniLM-L6-v2",
        precision=Precision.FP16,
    )
    size = (len(traffic.MODELS), traffic.DIMENSION)
    embeddings = np.random.default_rng(0).standard_normal(size, np.float32)
    write_artefact(folder, draft, {"llm_embeddings": embeddings}, encoder)


def _seconds(encoder: SentenceEncoder, tokens: list[Tokens]) -> float:
    began = time.perf_counter()
    encoder.encode_tokens(tokens)
    return time.perf_counter() - began


def _seconds_of_each(encoder: SentenceEncoder, tokens: list[Tokens], runs: int) -> float:
    """Seconds per batch, as many of them at a time as the server runs."""
    with ThreadPoolExecutor(encoder.batches_at_a_time) as threads:
        list(threads.map(encoder.encode_tokens, [tokens] * _WARM_UPS))
        began = time.perf_counter()
        list(threads.map(encoder.encode_tokens, [tokens] * runs))
        return (time.perf_counter() - began) / runs


if __name__ == "__main__":
    main()
