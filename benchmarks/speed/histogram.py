"""A histogram of latencies: fixed in size, exact to three digits, and it can be merged.

The buckets are those of an HDR histogram, linear within each power of two: a latency of up to
2,047 units of 0.1 microseconds has a bucket of its own, and a longer one is off by less than
1 / 1,024 of itself. Latencies are counted all at once after a run, so that counting them costs
the run nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

_UNIT = 1e-7
# Of each power of two, so that the width of a bucket is at most 1 / 1,024 of what is in it.
_HALF = 1024
_LONGEST = 100.0
_DOUBLINGS = int(np.ceil(np.log2(_LONGEST / _UNIT / (2 * _HALF))))
_BUCKETS = _HALF * (_DOUBLINGS + 2)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Latencies from 1 microsecond to 100 seconds; longer ones count as 100.

    Attributes:
        counts: (buckets,) int64.
        total: Sum of the latencies in seconds, exact.
    """

    counts: NDArray[np.int64]
    total: float

    @classmethod
    def of(cls, latencies: ArrayLike) -> Self:
        """Counts latencies (n,) in seconds.

        Raises:
            ValueError: One is negative, or not a number.
        """
        seconds = np.asarray(latencies, np.float64).ravel()
        if not (seconds >= 0).all():
            raise ValueError("a latency is negative, or not a number")
        counts = np.bincount(bucket_of(seconds), minlength=_BUCKETS)
        return cls(counts.astype(np.int64), float(seconds.sum()))

    @property
    def count(self) -> int:
        """How many latencies were counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Seconds; not a number if nothing was counted."""
        return self.total / self.count if self.count else float("nan")

    def percentile(self, percent: float) -> float:
        """Returns the least latency that so many per cent do not exceed, in seconds.

        Within a thousandth of it, or a tenth of a microsecond; not a number if nothing was counted.
        """
        if not self.count:
            return float("nan")
        rank = max(1, int(np.ceil(percent / 100 * self.count)))
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return float(middle_of(np.array([bucket]))[0])

    def above(self, seconds: float) -> int:
        """Counts the latencies that are longer, as far as buckets tell."""
        return int(self.counts[int(bucket_of(np.array([seconds]))[0]) + 1 :].sum())

    def merged(self, other: Self) -> Self:
        """Returns the histogram of the latencies of both."""
        return type(self)(self.counts + other.counts, self.total + other.total)

    def to_json(self) -> dict[str, object]:
        """Returns the counts that aren't 0, by bucket, and the sum."""
        filled = np.flatnonzero(self.counts)
        counts = {str(bucket): int(self.counts[bucket]) for bucket in filled}
        return {"counts": counts, "total": self.total}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Self:
        """Reads what `to_json` returned."""
        counts, total = np.zeros(_BUCKETS, np.int64), value["total"]
        stored = value["counts"]
        assert isinstance(stored, dict)
        assert isinstance(total, float | int)
        for bucket, count in stored.items():
            counts[int(bucket)] = count
        return cls(counts, float(total))


def bucket_of(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the bucket of each latency (n,), int64."""
    units = (np.minimum(seconds, _LONGEST) / _UNIT).astype(np.int64)
    # frexp is exact: the exponent of the first power of two that is greater.
    exponents = np.frexp(units.astype(np.float64))[1] - 1
    shifts = np.maximum(0, exponents - int(np.log2(_HALF)))
    return np.asarray(shifts * _HALF + (units >> shifts), np.int64)


def middle_of(buckets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the latency in the middle of each bucket (n,), in seconds."""
    shifts = np.maximum(0, buckets // _HALF - 1)
    least = (buckets - shifts * _HALF) << shifts
    return np.asarray((least + 0.5 * (1 << shifts)) * _UNIT, np.float64)
