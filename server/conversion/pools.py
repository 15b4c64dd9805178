"""AdminService's pools and samples, from the wire and back."""

from collections.abc import AsyncIterator

import numpy as np

from pointsman.v1 import admin_service_pb2 as pb
from scoring.memory import (
    EmbeddingSpace,
    MeasuredAnswers,
    NewOutcome,
    NewSample,
    StoredSample,
)
from server.conversion.answers import read_answers, write_answers
from server.conversion.checks import Checks
from server.conversion.outcomes import import_outcome
from server.conversion.replies import DURABILITY
from server.conversion.times import time_of, timestamp_message
from server.errors import InvalidRequestError
from server.pools import Imported, PoolReport
from server.settings import Settings

_FLOAT32 = np.dtype("<f4")


def pool_message(report: PoolReport) -> pb.Pool:
    """Writes a pool."""
    description = report.description
    return pb.Pool(
        name=description.name,
        space=space_message(description.space),
        samples=description.samples,
        capacity=description.capacity,
        outcomes=description.outcomes,
        revision=description.revision,
        voters=_voters(report),
        create_time=timestamp_message(description.created_at),
        oldest_sample_time=timestamp_message(description.oldest_at),
        newest_sample_time=timestamp_message(description.newest_at),
        agreement_contradicted=report.contradicted,
    )


def space_message(space: EmbeddingSpace) -> pb.EmbeddingSpace:
    """Writes an embedding space."""
    return pb.EmbeddingSpace(id=space.id, dimension=space.dimension)


def sample_message(sample: StoredSample) -> pb.Sample:
    """Writes a stored sample."""
    message = pb.Sample(
        sample_id=sample.sample_id,
        learn_time=timestamp_message(sample.learned_at),
    )
    write_answers(MeasuredAnswers(sample.voters, sample.pairs, sample.features), message)
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


async def import_items(
    messages: AsyncIterator[pb.ImportSamplesRequest], space: EmbeddingSpace, settings: Settings
) -> AsyncIterator[NewSample | NewOutcome]:
    """Validates what follows the header of an import, one by one.

    Raises:
        InvalidRequestError: Names every invalid field of the first message that has any, and its
            place: `items[0]` is the first after the header.
    """
    place = 0
    async for each in messages:
        try:
            item = import_item(each, space, settings)
        except InvalidRequestError as error:
            raise error.within(f"items[{place}]") from None
        yield item
        place += 1


def import_item(
    message: pb.ImportSamplesRequest, space: EmbeddingSpace, settings: Settings
) -> NewSample | NewOutcome:
    """Validates a sample or an outcome of an import.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    match message.WhichOneof("item"):
        case "sample":
            return _import_sample(message.sample, space, settings, checks)
        case "outcome":
            return import_outcome(message.outcome, space, settings, checks)
    checks.refuse("sample", "is empty; after the header, send samples and outcomes only")
    checks.raise_if_any()
    raise AssertionError  # a violation was raised


def _import_sample(
    sample: pb.Sample, space: EmbeddingSpace, settings: Settings, checks: Checks
) -> NewSample:
    checks.name(sample.sample_id, "sample.sample_id")
    answers = read_answers(sample, "sample", settings, checks)
    stamp = sample.learn_time if sample.HasField("learn_time") else None
    learned_at = time_of(stamp, "sample.learn_time", checks)
    prompt = checks.vector(sample.prompt, "sample.prompt", dimension=space.dimension)
    checks.raise_if_any()
    assert prompt is not None  # noqa: S101  no missing vector without a violation
    return NewSample(
        sample_id=sample.sample_id,
        prompt=np.array(prompt, np.float32),
        voters=answers.voters,
        pairs=answers.pairs,
        learned_at=learned_at,
        features=answers.features,
    )


def import_response(imported: Imported) -> pb.ImportSamplesResponse:
    """Writes what became of an import."""
    samples, outcomes = imported.samples, imported.outcomes
    return pb.ImportSamplesResponse(
        imported=samples.imported,
        skipped=samples.skipped,
        expired=samples.expired,
        outcomes_imported=outcomes.imported,
        outcomes_skipped=outcomes.skipped,
        outcomes_expired=outcomes.expired,
        durability=DURABILITY[imported.durability],
    )


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
