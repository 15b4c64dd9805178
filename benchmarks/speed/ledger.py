"""What became of every request of a load, and what it comes to."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.histogram import Histogram

OK = grpc.StatusCode.OK.value[0]
NOT_SENT = -1
"""In place of a code: its deadline had passed before the generator came to send it."""

_CODES = {each.value[0]: each.name for each in grpc.StatusCode}
_FIELDS = 4


class Ledger:
    """Takes down four numbers a request, which the garbage collector never looks at."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def add(self, intended: float, sent: float, done: float, code: int) -> None:
        """Takes down a request: three times in seconds of one clock, and its status code."""
        self._numbers.extend((intended, sent, done, code))

    def rows(self) -> NDArray[np.float64]:
        """Returns intended, sent, done, code of each request (n, 4), in the order they ended."""
        return np.array(self._numbers, np.float64).reshape(-1, _FIELDS)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load came to, of the requests after the warm-up.

    Attributes:
        seconds: For which requests were counted.
        deadline: Of each, in seconds from when it was due.
        offered: Requests that were due; in a closed loop, those that ended.
        sent: Those of them that were sent before their deadline.
        in_time: Those that ended with OK within the deadline, counted from when they were due.
        latencies: By name of the status code, seconds from when a request was due until it ended.
        late_p50: Seconds by which the generator itself was late to send, the median.
        late_p99: The same, the 99th percentile.
        cpu_seconds: Of the generator, user and system, over `seconds`.
        interrupted: Whether it was stopped before its time.
    """

    seconds: float
    deadline: float
    offered: int
    sent: int
    in_time: int
    latencies: dict[str, Histogram] = field(repr=False)
    late_p50: float
    late_p99: float
    cpu_seconds: float
    interrupted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many requests ended with each code."""
        return {code: each.count for code, each in self.latencies.items()}

    @property
    def completed(self) -> int:
        """How many ended, with whatever code."""
        return sum(self.counts.values())

    @property
    def goodput(self) -> float:
        """Requests a second that ended with OK within the deadline."""
        return self.in_time / self.seconds

    @property
    def cpu_share(self) -> float:
        """Of one core, that the generator itself took."""
        return self.cpu_seconds / self.seconds

    @property
    def kept_up(self) -> bool:
        """Whether the generator sent all, 99 % of it within a twentieth of the deadline."""
        return self.sent == self.offered and self.late_p99 <= self.deadline / 20

    def latency(self, code: str = "OK") -> Histogram:
        """Returns the latencies of the requests that ended with a code; none is no error."""
        return self.latencies.get(code) or Histogram.of(())

    def to_json(self) -> dict[str, Any]:
        """Returns what `from_json` reads, with figures for who reads it by eye."""
        derived = ("completed", "goodput", "kept_up")
        return {
            **{name: getattr(self, name) for name in (*_PLAIN, *derived)},
            "latencies": {code: _readable(each) for code, each in self.latencies.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Reads what `to_json` returned."""
        histograms = {code: Histogram.from_json(each) for code, each in value["latencies"].items()}
        return cls(latencies=histograms, **{name: value[name] for name in _PLAIN})


_PLAIN = tuple(each.name for each in fields(LoadResult) if each.name != "latencies")


def open_result(
    rows: NDArray[np.float64],
    offered: int,
    window: tuple[float, float],
    deadline: float,
    cpu_seconds: float,
) -> LoadResult:
    """Sums up an open loop: the requests that were due within the window, whenever they ended.

    Args:
        rows: As of a ledger, (n, 4).
        offered: Requests that were due in the window.
        window: Its begin and end, in seconds of the ledger's clock.
        deadline: Seconds from when a request was due.
        cpu_seconds: That the generator took within the window.
    """
    begin, end = window
    counted = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end)]
    return _result(counted, offered, end - begin, deadline, cpu_seconds)


def closed_result(
    rows: NDArray[np.float64], window: tuple[float, float], deadline: float, cpu_seconds: float
) -> LoadResult:
    """Sums up a closed loop: the requests that ended within the window, whenever they began."""
    begin, end = window
    counted = rows[(rows[:, 2] >= begin) & (rows[:, 2] < end)]
    return _result(counted, len(counted), end - begin, deadline, cpu_seconds)


def _result(
    rows: NDArray[np.float64], offered: int, seconds: float, deadline: float, cpu_seconds: float
) -> LoadResult:
    codes = rows[:, 3].astype(np.int64)
    latencies = rows[:, 2] - rows[:, 0]
    lateness = rows[:, 1] - rows[:, 0]
    late_p50, late_p99 = _percentiles(lateness, (50, 99))
    return LoadResult(
        seconds=seconds,
        deadline=deadline,
        offered=offered,
        sent=int((codes != NOT_SENT).sum()),
        in_time=int(((codes == OK) & (latencies <= deadline)).sum()),
        latencies={
            code_name(code): Histogram.of(latencies[codes == code])
            for code in np.unique(codes).tolist()
        },
        late_p50=late_p50,
        late_p99=late_p99,
        cpu_seconds=cpu_seconds,
    )


def code_name(code: int) -> str:
    """Returns `OK` for 0, and so on; NOT_SENT for what never was."""
    return "NOT_SENT" if code == NOT_SENT else _CODES[code]


def _percentiles(values: NDArray[np.float64], percents: Sequence[float]) -> list[float]:
    if not values.size:
        return [0.0] * len(percents)
    return [float(each) for each in np.percentile(values, percents)]


def _readable(histogram: Histogram) -> dict[str, object]:
    read = {f"p{percent:g}": histogram.percentile(percent) for percent in (50, 90, 99, 99.9)}
    return {"count": histogram.count, "mean": histogram.mean, **read, **histogram.to_json()}
