"""What a server without any cost of its own would do: it encodes, and nothing else."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.generator import Plan, arrival_times
from encoders import Provider, SentenceEncoder, cpu_limit


def encode_seconds(directory: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """Measures what it takes to tokenise and encode each of n texts by itself, all cores free.

    Args:
        directory: Of the encoder.
        texts: n texts.

    Returns:
        (n,).
    """
    encoder = SentenceEncoder.load(directory, provider=Provider.CPU, threads=cpu_limit())
    times = np.empty(len(texts))
    for place, text in enumerate(texts):
        began = time.perf_counter()
        encoder.encode([text])
        times[place] = time.perf_counter() - began
    return times


def ideal_latencies(plan: Plan, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns latencies where requests are served one by one as they come, and nothing is lost.

    Args:
        plan: An open loop.
        seconds: (n,) that each request takes, in turn as the load generator sends them.

    Returns:
        Seconds of each request that is due after the warm-up.
    """
    dues = arrival_times(plan)
    free, latencies = 0.0, np.empty(dues.size)
    for place, due in enumerate(dues.tolist()):
        free = max(free, due) + seconds[place % len(seconds)]
        latencies[place] = free - due
    return latencies[dues >= plan.warm_up]
