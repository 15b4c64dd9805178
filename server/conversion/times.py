"""Points in time, from the wire and back."""

import time

from google.protobuf import timestamp_pb2

from server.conversion.checks import Checks

_NANOSECONDS = 1_000_000_000
_YEAR_10000 = 253_402_300_800  # the end of what a protobuf timestamp can say
_LAST = _YEAR_10000 * _NANOSECONDS - 1


def timestamp_message(seconds: float | None) -> timestamp_pb2.Timestamp | None:
    """Writes unix seconds; nothing where they are absent."""
    if seconds is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromNanoseconds(min(round(seconds * _NANOSECONDS), _LAST))
    return stamp


def time_of(stamp: timestamp_pb2.Timestamp | None, field: str, checks: Checks) -> float:
    """Reads unix seconds; now where they are absent."""
    if stamp is None:
        return time.time()
    seconds = stamp.seconds + stamp.nanos / _NANOSECONDS
    # In a float the last microseconds of the year 9999 are the first of the next.
    if not (0 <= seconds < _YEAR_10000 and 0 <= stamp.nanos < _NANOSECONDS):
        checks.refuse(field, "must be a timestamp of the years 1970 to 9999")
    return seconds
