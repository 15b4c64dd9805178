"""AdminService's pools and samples, from the wire and back."""

import time

import numpy as np
from google.protobuf import timestamp_pb2

from pointsman.v1 import admin_service_pb2 as pb
from scoring.memory import EmbeddingSpace, NewSample, StoredSample
from scoring.pairs import pair_count
from server.conversion.checks import Checks
from server.conversion.replies import DURABILITY
from server.pools import Imported, PoolReport
from server.settings import Settings

_FLOAT32 = np.dtype("<f4")
_NANOSECONDS = 1_000_000_000
_YEAR_10000 = 253_402_300_800  # the end of what a protobuf timestamp can say


def pool_message(report: PoolReport) -> pb.Pool:
    """Writes a pool."""
    description = report.description
    return pb.Pool(
        name=description.name,
        space=space_message(description.space),
        samples=description.samples,
        capacity=description.capacity,
        revision=description.revision,
        voters=_voters(report),
        create_time=_timestamp(description.created_at),
        oldest_sample_time=_timestamp(description.oldest_at),
        newest_sample_time=_timestamp(description.newest_at),
    )


def space_message(space: EmbeddingSpace) -> pb.EmbeddingSpace:
    """Writes an embedding space."""
    return pb.EmbeddingSpace(id=space.id, dimension=space.dimension)


def sample_message(sample: StoredSample) -> pb.Sample:
    """Writes a stored sample."""
    message = pb.Sample(
        sample_id=sample.sample_id,
        learn_time=_timestamp(sample.learned_at),
        voters=sample.voters,
        distances_float32_le=sample.pairs.astype(_FLOAT32).tobytes(),
    )
    message.prompt.float32_le = sample.prompt.astype(_FLOAT32).tobytes()
    return message


def import_header(
    message: pb.ImportSamplesRequest, settings: Settings
) -> tuple[str, EmbeddingSpace]:
    """Validates the first message of an import.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    header = message.header
    if message.WhichOneof("item") != "header":
        checks.refuse("header", "must come first; send the pool and its space, then samples")
    else:
        checks.pool(header.pool, "header.pool")
        checks.name(header.space.id, "header.space.id")
        if not 1 <= header.space.dimension <= settings.limits.dimension:
            checks.refuse(
                "header.space.dimension",
                f"must be 1 to {settings.limits.dimension} (limits.dimension)",
            )
    checks.raise_if_any()
    return header.pool, EmbeddingSpace(header.space.id, header.space.dimension)


def import_sample(
    message: pb.ImportSamplesRequest, space: EmbeddingSpace, settings: Settings
) -> NewSample:
    """Validates a sample of an import.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    if message.WhichOneof("item") != "sample":
        checks.refuse("sample", "is empty; after the header, send samples only")
        checks.raise_if_any()
    sample = message.sample
    checks.name(sample.sample_id, "sample.sample_id")
    most = settings.memory.max_voters
    if not 1 <= len(sample.voters) <= most:
        checks.refuse(
            "sample.voters",
            f"has {len(sample.voters)} names; must have 1 to {most} (memory.max_voters)",
        )
        checks.raise_if_any()
    for index, voter in enumerate(sample.voters):
        checks.name(voter, f"sample.voters[{index}]")
    if len(set(sample.voters)) != len(sample.voters):
        checks.refuse("sample.voters", "must name each voter once")
    _check_learn_time(sample, checks)
    pairs = _distances(sample, checks)
    prompt = checks.vector(sample.prompt, "sample.prompt")
    if prompt is not None and len(prompt) != space.dimension:
        checks.refuse(
            "sample.prompt",
            f"has {len(prompt)} coordinates where the header says {space.dimension}",
        )
    checks.raise_if_any()
    assert prompt is not None  # noqa: S101  no missing vector without a violation
    return NewSample(
        sample_id=sample.sample_id,
        prompt=np.array(prompt, np.float32),
        voters=tuple(sample.voters),
        pairs=pairs,
        learned_at=_learn_time(sample),
    )


def import_response(imported: Imported) -> pb.ImportSamplesResponse:
    """Writes what became of an import."""
    return pb.ImportSamplesResponse(
        imported=imported.imported,
        skipped=imported.skipped,
        expired=imported.expired,
        durability=DURABILITY[imported.durability],
    )


def _distances(sample: pb.Sample, checks: Checks) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    field = "sample.distances_float32_le"
    wanted = pair_count(len(sample.voters)) * _FLOAT32.itemsize
    if len(sample.distances_float32_le) != wanted:
        checks.refuse(
            field,
            f"has {len(sample.distances_float32_le)} bytes where {len(sample.voters)} voters "
            f"need {wanted}",
        )
        return np.empty(0, np.float32)
    pairs = np.frombuffer(sample.distances_float32_le, _FLOAT32).astype(np.float32)
    if not np.isfinite(pairs).all() or (pairs < 0).any():
        checks.refuse(
            field, "holds NaN, infinity or a negative number; distances are none of these"
        )
    return pairs


def _check_learn_time(sample: pb.Sample, checks: Checks) -> None:
    stamp = sample.learn_time
    if not (0 <= stamp.seconds < _YEAR_10000 and 0 <= stamp.nanos < _NANOSECONDS):
        checks.refuse("sample.learn_time", "must be a timestamp of the years 1970 to 9999")


def _learn_time(sample: pb.Sample) -> float:
    if not sample.HasField("learn_time"):
        return time.time()
    return sample.learn_time.seconds + sample.learn_time.nanos / _NANOSECONDS


def _voters(report: PoolReport) -> list[pb.PoolVoter]:
    return [
        pb.PoolVoter(
            voter=voter,
            samples=int(samples),
            noise_variance=None if np.isnan(noise) else float(noise),
        )
        for voter, samples, noise in zip(
            report.description.voters, report.voter_samples, report.noise_variance, strict=True
        )
    ]


def _timestamp(seconds: float | None) -> timestamp_pb2.Timestamp | None:
    if seconds is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromNanoseconds(round(seconds * _NANOSECONDS))
    return stamp
