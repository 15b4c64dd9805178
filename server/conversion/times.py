"""Points in time, from the wire and back."""

import time

from google.protobuf import timestamp_pb2

from server.conversion.checks import Checks

_NANOSECONDS = 1_000_000_000
_YEAR_10000 = 253_402_300_800  # the end of what a protobuf timestamp can say


def timestamp_message(seconds: float | None) -> timestamp_pb2.Timestamp | None:
    """Writes unix seconds; nothing where they are absent."""
    if seconds is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromNanoseconds(round(seconds * _NANOSECONDS))
    return stamp


def time_of(stamp: timestamp_pb2.Timestamp | None, field: str, checks: Checks) -> float:
    """Reads unix seconds; now where they are absent."""
    if stamp is None:
        return time.time()
    if not (0 <= stamp.seconds < _YEAR_10000 and 0 <= stamp.nanos < _NANOSECONDS):
        checks.refuse(field, "must be a timestamp of the years 1970 to 9999")
    return stamp.seconds + stamp.nanos / _NANOSECONDS
