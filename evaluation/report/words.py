"""Numbers as texts: shares from 0 to 1 become per cent, differences become points."""

import math

from evaluation.bootstrap import Interval

UNKNOWN = "-"


def printable(text: str) -> str:
    """Replaces what a terminal, a page or XML might obey, or can't hold, by blanks."""
    return "".join(each if each.isprintable() else " " for each in text)


def percent(share: float, digits: int = 1) -> str:
    """Writes a share as `58.3`; a dash where it isn't known."""
    return f"{100 * share:.{digits}f}" if math.isfinite(share) else UNKNOWN


def points(difference: float, digits: int = 1) -> str:
    """Writes the size of a difference of shares as `2.9`, without its sign."""
    return percent(abs(difference), digits)


def signed_points(difference: float, digits: int = 1) -> str:
    """Writes a difference of shares as `+2.9` or `-0.4`; zero has no sign."""
    if not math.isfinite(difference):
        return UNKNOWN
    rounded = round(100 * difference, digits)
    sign = "+" if rounded > 0 else "-" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def spread(interval: Interval, digits: int = 1, *, signed: bool = False) -> str:
    """Writes the ends of an interval as `56.9 to 59.7`; nothing where there is none."""
    if not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return ""
    write = signed_points if signed else percent
    return f"{write(interval.low, digits)} to {write(interval.high, digits)}"


def cost(value: float) -> str:
    """Writes a cost with three digits that count, in the data's own unit."""
    return f"{value:.3g}" if math.isfinite(value) else UNKNOWN


def seconds(value: float) -> str:
    """Writes a duration in the unit that suits it."""
    if not math.isfinite(value):
        return UNKNOWN
    for least, factor, unit in ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs")):
        if value >= least:
            return f"{value * factor:.3g} {unit}"
    return UNKNOWN
