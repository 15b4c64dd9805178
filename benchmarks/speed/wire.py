"""What the way of a request costs beside the arithmetic of the encoder.

    python -m benchmarks.speed.wire [--quick]

A server, an echo (a bare grpc.aio server that replies with as many bytes as ours does) and the
encoder in this process are measured in turn. The echo runs on asyncio's loop, as grpc.aio does by
itself. A second one on uvloop, as our server has it, is measured beside it where there are two
rows, and has no target. The load generator is a process of its own, kept to the last core; servers
may use every core. Routing needs a router: one with five made-up embeddings over the embedded
encoder.

- `route`: a prompt of 32 tokens that nobody sent before, one at a time, against the time to
  tokenise and encode the same prompts in this process plus that of the echo.
- `cached`: the same prompt again and again, against the echo; once more, `apart`, with servers that
  are kept off the generator's core, so that none of their threads changes cores.
- `score`: five vectors of 384 dimensions against a pool of 100,000 samples, 20 neighbours, against
  the echo of as many bytes.
- `saturation`: prompts of 8 to 128 tokens, thirty-two at a time, against the encoder alone.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import grpc
import numpy as np

from benchmarks.speed import traffic
from benchmarks.speed.echo import Loop
from benchmarks.speed.load import LoadResult, Plan, run_load
from benchmarks.speed.memory import made_vectors, prepared_state
from benchmarks.speed.serving import Served, echo_server, our_server
from benchmarks.speed.suite import run_alone
from benchmarks.speed.timing import Effort
from encoders import SentenceEncoder
from evaluation.speed import Figure, Target
from pointsman.v1 import routing_service_pb2 as routing
from pointsman.v1 import types_pb2 as types
from server.engine import load_encoder
from server.settings import EncoderSettings

TOKENS = 32
SAMPLES = 100_000
_GENERATOR_CPU = max(os.sched_getaffinity(0))
_DEADLINE = 30.0
_ECHO = "a bare grpc.aio echo of the same bytes, on asyncio's loop"
_UVLOOP_ECHO = "the same echo on uvloop"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every figure of this module takes.

    Attributes:
        served: Our server.
        settings: Of our server.
        encoder: The one that it serves, in this process.
        rounds: How often to measure in turn.
        seconds: For which a load runs each time.
    """

    served: Served
    settings: Mapping[str, object]
    encoder: SentenceEncoder
    rounds: int
    seconds: float


def measure(effort: Effort) -> list[Figure]:
    """Measures the way of RoutePrompt and ScoreGenerations."""
    with started(effort) as bench:
        return [*route(bench), *cached(bench), *score(bench), saturation(bench)]


@contextmanager
def started(effort: Effort) -> Iterator[Bench]:
    """Runs a server with a router, over a memory of 100,000 samples."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        router = Path(name) / "router"
        traffic.write_router(router)
        settings: dict[str, object] = {"routers.main.directory": str(router)}
        state = prepared_state(Path(name) / "state", SAMPLES // 10 if effort.quick else SAMPLES)
        served = stack.enter_context(our_server(settings, state=state))
        encoder = load_encoder(EncoderSettings())
        assert isinstance(encoder, SentenceEncoder)
        yield Bench(served, settings, encoder, effort.repeats(5), 0.5 if effort.quick else 2.0)


def route(bench: Bench) -> Iterator[Figure]:
    """A prompt that nobody sent before, one at a time."""
    texts = prompts_of(TOKENS, 40_000)
    sent = iter(texts)
    ours, sums, tails = [], [], []
    with echo_of(bench, traffic.ROUTE, [request_of(next(sent))]) as echo:
        for _ in range(bench.rounds):
            mine = list(islice(sent, 2000))
            result = alone(bench, bench.served, traffic.ROUTE, [request_of(each) for each in mine])
            floor = 1e3 * percentile(alone(bench, echo, traffic.ROUTE, [request_of(mine[0])]), 50)
            encoded = 1e3 * float(np.median(encode_each(bench, list(islice(sent, 200)))))
            ours.append(1e3 * percentile(result, 50))
            tails.append(1e3 * percentile(result, 99))
            sums.append(floor + encoded)
    against = "tokenise and encode in process, plus a bare grpc.aio echo on asyncio's loop, medians"
    yield Figure.paired(
        "wire/route-p50/sum", f"RoutePrompt, {TOKENS} new tokens, one at a time, p50", "ms",
        ours, against, sums, target=Target("at most", 1.15),
    )  # fmt: skip
    yield Figure.paired(
        "wire/route-p99/sum", f"RoutePrompt, {TOKENS} new tokens, one at a time, p99", "ms",
        tails, against, sums, target=Target("at most", 2.0),
    )  # fmt: skip


def cached(bench: Bench) -> Iterator[Figure]:
    """The same prompt again and again."""
    what = "RoutePrompt, a prompt that is cached, one at a time, p50"
    messages = [request_of(prompts_of(TOKENS, 1)[0])]
    ours, floor, uvloop = beside_echoes(bench, traffic.ROUTE, messages)
    yield Figure.paired(
        "wire/cached-p50/echo", what, "ms", ours, _ECHO, floor, target=Target("at most", 1.4)
    )
    yield Figure.paired("wire/cached-p50/echo-uvloop", what, "ms", ours, _UVLOOP_ECHO, uvloop)
    apart = os.sched_getaffinity(0) - {_GENERATOR_CPU}
    if apart:
        with our_server(bench.settings, cpus=apart) as served:
            beside = replace(bench, served=served)
            ours, floor = beside_echoes(beside, traffic.ROUTE, messages, ("asyncio",), apart)
        yield Figure.paired(
            "wire/cached-apart-p50/echo", f"{what}, the generator on a core of its own", "ms",
            ours, _ECHO, floor, target=Target("at most", 1.4),
        )  # fmt: skip


def score(bench: Bench) -> Iterator[Figure]:
    """Five vectors among many samples."""
    what = "ScoreGenerations, five vectors, 100,000 samples, k = 20, p50"
    _, prompts = made_vectors(SAMPLES)
    messages = traffic.score_vector_requests(400, seed=1, prompts=prompts)
    ours, floor, uvloop = beside_echoes(bench, traffic.SCORE, messages)
    yield Figure.paired(
        "wire/score-p50/echo", what, "ms", ours, _ECHO, floor, target=Target("at most", 2.0)
    )
    yield Figure.paired("wire/score-p50/echo-uvloop", what, "ms", ours, _UVLOOP_ECHO, uvloop)


def saturation(bench: Bench) -> Figure:
    """As many new prompts as it can answer, of all lengths."""
    source = traffic.texts(seed=7)
    ours, theirs, shares = [], [], []
    for _ in range(bench.rounds):
        mine = [request_of(each) for each in islice(source, 4000)]
        plan = Plan(2 * bench.seconds, warm_up=0.5, deadline=_DEADLINE, concurrency=32)
        result = run_load(bench.served.target, traffic.ROUTE, mine, plan, cpu=_GENERATOR_CPU)
        ours.append(result.goodput)
        shares.append(result.cpu_share)
        theirs.append(encoder_alone(bench, list(islice(source, 4000)), 2 * bench.seconds))
    share = 100 * float(np.median(shares))
    return Figure.paired(
        "wire/saturation/encoder", "RoutePrompt at saturation, 8 to 128 tokens", "1/s",
        ours, "the encoder alone on the same mix, as many texts a call", theirs,
        target=Target("at least", 0.9),
        note=f"The load generator took {share:.0f} % of a core beside the server, and nothing "
        "beside the encoder alone.",
    )  # fmt: skip


def prompts_of(tokens: int, count: int) -> list[str]:
    """Makes different texts of so many tokens."""
    lengths = traffic.LENGTHS
    source = traffic.texts(seed=tokens)
    wanted = islice(source, lengths.index(tokens), None, len(lengths))
    return list(islice(wanted, count))


def request_of(text: str) -> bytes:
    """Makes a request to the only router."""
    return routing.RoutePromptRequest(prompt=types.Prompt(text=text)).SerializeToString()


def beside_echoes(
    bench: Bench,
    method: str,
    messages: Sequence[bytes],
    loops: Sequence[Loop] = ("asyncio", "uvloop"),
    cpus: Iterable[int] = (),
) -> list[list[float]]:
    """Median milliseconds of our server, and of an echo on each loop, kept to some cores.

    Returns:
        A list of a median by round for each of them, ours first.
    """
    brief = replace(bench, seconds=0.75 * bench.seconds)
    with ExitStack() as stack:
        echoes = [echo_of(bench, method, messages, cpus, loop) for loop in loops]
        all_of_them = [bench.served, *map(stack.enter_context, echoes)]
        rounds = [
            [1e3 * percentile(alone(brief, each, method, messages), 50) for each in all_of_them]
            for _ in range(bench.rounds)
        ]
    return [list(each) for each in zip(*rounds, strict=True)]


@contextmanager
def echo_of(
    bench: Bench,
    method: str,
    messages: Sequence[bytes],
    cpus: Iterable[int] = (),
    loop: Loop = "asyncio",
) -> Iterator[Served]:
    """Runs an echo that replies what our server replies to the first message."""
    with grpc.insecure_channel(bench.served.target) as channel:
        reply = channel.unary_unary(method, request_serializer=None)(messages[0], timeout=60)
    with echo_server(reply=bytes(reply), cpus=cpus, loop=loop) as echo:
        yield echo


def alone(bench: Bench, served: Served, method: str, messages: Sequence[bytes]) -> LoadResult:
    """One request at a time."""
    plan = Plan(bench.seconds, warm_up=0.3, deadline=_DEADLINE, concurrency=1)
    result = run_load(served.target, method, messages, plan, cpu=_GENERATOR_CPU)
    assert result.counts.keys() == {"OK"}, result.counts
    return result


def percentile(result: LoadResult, percent: float) -> float:
    """Seconds of a percentile of the calls that went well."""
    return result.latency().percentile(percent)


def encode_each(bench: Bench, texts: Sequence[str]) -> list[float]:
    """Seconds to tokenise and encode each text by itself."""
    times = []
    for text in texts:
        began = time.perf_counter()
        bench.encoder.encode([text])
        times.append(time.perf_counter() - began)
    return times


def encoder_alone(bench: Bench, texts: Sequence[str], seconds: float) -> float:
    """Texts a second, thirty-two a call, as many as wait at the server."""
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds and done < len(texts):
        bench.encoder.encode(texts[done : done + 32])
        done += 32
    return done / took


if __name__ == "__main__":
    run_alone(measure)
