"""Parts that several replies share."""

from collections.abc import Mapping

from pointsman.v1 import types_pb2
from scoring.memory import Durability
from server.requests import Timings, Written

DURABILITY: Mapping[Durability | None, types_pb2.Durability.ValueType] = {
    None: types_pb2.DURABILITY_UNSPECIFIED,
    Durability.PROCESS: types_pb2.DURABILITY_PROCESS,
    Durability.DEVICE: types_pb2.DURABILITY_DEVICE,
}


def write_timings(timings: Timings, message: types_pb2.Timings) -> None:
    """Writes seconds as microseconds, in place: a message that is passed in is copied."""
    message.queue_us = _microseconds(timings.queue)
    message.tokenise_us = _microseconds(timings.tokenise)
    message.encode_us = _microseconds(timings.encode)
    message.recall_us = _microseconds(timings.recall)
    message.estimate_us = _microseconds(timings.estimate)
    message.learn_us = _microseconds(timings.learn)
    message.total_us = _microseconds(timings.total)


def written_message(written: Written) -> types_pb2.WriteReceipt:
    """Writes what became of a write."""
    return types_pb2.WriteReceipt(
        durability=DURABILITY[written.durability],
        sample_id=written.sample_id,
        reason=written.reason,
        message=written.message,
    )


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e6))
