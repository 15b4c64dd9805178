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
    if timings.queue > 0:  # which is a difference of others
        message.queue_us = round(timings.queue * 1e6)
    message.tokenise_us = round(timings.tokenise * 1e6)
    message.encode_us = round(timings.encode * 1e6)
    message.recall_us = round(timings.recall * 1e6)
    message.estimate_us = round(timings.estimate * 1e6)
    message.learn_us = round(timings.learn * 1e6)
    message.total_us = round(timings.total * 1e6)


def written_message(written: Written) -> types_pb2.WriteReceipt:
    """Writes what became of a write."""
    return types_pb2.WriteReceipt(
        durability=DURABILITY[written.durability],
        sample_id=written.sample_id,
        reason=written.reason,
        message=written.message,
    )
