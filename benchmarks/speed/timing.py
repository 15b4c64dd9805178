"""Times two pieces of work in turn."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How thoroughly a benchmark measures.

    Attributes:
        quick: Fewer repeats and smaller data: to try a script out, not to quote from.
    """

    quick: bool = False

    def repeats(self, full: int) -> int:
        """How often to repeat what a full run repeats so often."""
        return max(3, full // 5) if self.quick else full


def in_turn(
    ours: Work, reference: Work, *, repeats: int, calls: int = 1
) -> tuple[list[float], list[float]]:
    """Times both, A B A B, after one round that is not counted.

    Args:
        ours: The one.
        reference: The other.
        repeats: Rounds that count.
        calls: Of each in a round, for what is too short for the clock.

    Returns:
        Seconds of one call of each, by round.
    """
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    for turn in range(repeats + 1):
        for work, into in zip((ours, reference), times, strict=True):
            began = time.perf_counter()
            for _ in range(calls):
                work()
            if turn:
                into.append((time.perf_counter() - began) / calls)
    return times
