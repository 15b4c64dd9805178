"""Into which windows the time of a pool is divided."""

import math
import re
from dataclasses import dataclass
from typing import Self

from evaluation.errors import UnreadableDataError

MOST_WINDOWS = 400
"""So many windows can still be read, and kept in memory for many voters."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def parse_duration(text: str) -> float:
    """Returns the seconds of a duration such as `30m`, `12h`, `1d` or `1.5w`.

    Raises:
        UnreadableDataError: It is no duration above 0.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise UnreadableDataError(
            f"{text} is no duration; give a number and s, m, h, d or w, as in 1d."
        )
    return seconds


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Windows of equal width, side by side.

    Attributes:
        start: Where window 0 begins, in seconds since 1970, UTC.
        width: Seconds; above 0.
        last: Index of the last window, where what is later falls too; None if it is open.
    """

    start: float
    width: float
    last: int | None = None

    @classmethod
    def of_width(cls, oldest: float, newest: float, width: float) -> Self:
        """Makes windows that begin at whole multiples of their width, as days do at midnight UTC.

        Raises:
            UnreadableDataError: There would be more than `MOST_WINDOWS`.
        """
        start = math.floor(oldest / width) * width
        if (newest - start) / width >= MOST_WINDOWS:
            raise UnreadableDataError(
                f"The pool goes over {(newest - oldest) / 86_400:.1f} days, which makes more "
                f"than {MOST_WINDOWS} windows; give a longer --window."
            )
        return cls(start, width)

    @classmethod
    def of_count(cls, oldest: float, newest: float, count: int) -> Self:
        """Divides the time from the oldest sample to the newest.

        Raises:
            UnreadableDataError: The count is below 1 or above `MOST_WINDOWS`.
        """
        if not 1 <= count <= MOST_WINDOWS:
            raise UnreadableDataError(f"{count} windows; give 1 to {MOST_WINDOWS}.")
        return cls(oldest, max(newest - oldest, 1e-6) / count, count - 1)

    def index(self, time: float) -> int:
        """Returns the window of a time."""
        index = math.floor((time - self.start) / self.width)
        return index if self.last is None else min(max(index, 0), self.last)

    def bounds(self, index: int) -> tuple[float, float]:
        """Returns where a window begins and ends."""
        return self.start + index * self.width, self.start + (index + 1) * self.width
