"""RecordOutcome, and outcomes that are moved, from the wire and back."""

import uuid

import numpy as np

from pointsman.v1 import admin_service_pb2 as admin_pb
from pointsman.v1 import routing_service_pb2 as pb
from scoring.memory import EmbeddingSpace, NewOutcome, StoredOutcome
from server.conversion.answers import read_answers, write_answers
from server.conversion.checks import Checks
from server.conversion.replies import written_message
from server.conversion.times import time_of, timestamp_message
from server.requests import DEFAULT_POOL, OutcomeReply, OutcomeRequest, PromptVector
from server.settings import Settings

_FLOAT32 = np.dtype("<f4")


def outcome_request(message: pb.RecordOutcomeRequest, settings: Settings) -> OutcomeRequest:
    """Validates a request.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    pool = message.pool or DEFAULT_POOL
    checks.pool(pool)
    checks.name(message.model, "model")
    checks.name(message.outcome_id, "outcome_id", required=False)
    checks.space(message.embedding_space)
    checks.quality(message, "quality")
    prompt = _subject(message, checks)
    checks.raise_if_any()
    return OutcomeRequest(
        pool=pool,
        sample_id=message.sample_id,
        prompt=prompt,
        model=message.model,
        quality=message.quality,
        outcome_id=message.outcome_id or uuid.uuid4().hex,
    )


def outcome_response(reply: OutcomeReply) -> pb.RecordOutcomeResponse:
    """Writes a reply."""
    return pb.RecordOutcomeResponse(
        recorded=written_message(reply.recorded), outcome_id=reply.outcome_id
    )


def outcome_message(outcome: StoredOutcome) -> admin_pb.Outcome:
    """Writes a stored outcome."""
    message = admin_pb.Outcome(
        outcome_id=outcome.outcome_id,
        model=outcome.model,
        quality=outcome.quality,
        record_time=timestamp_message(outcome.recorded_at),
        sample_id=outcome.sample_id,
    )
    message.prompt.float32_le = outcome.prompt.astype(_FLOAT32).tobytes()
    if outcome.answers is not None:
        write_answers(outcome.answers, message)
    return message


def import_outcome(
    message: admin_pb.Outcome, space: EmbeddingSpace, settings: Settings, checks: Checks
) -> NewOutcome:
    """Validates an outcome of an import.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks.name(message.outcome_id, "outcome.outcome_id")
    checks.name(message.model, "outcome.model")
    checks.name(message.sample_id, "outcome.sample_id", required=False)
    checks.quality(message, "outcome.quality")
    stamp = message.record_time if message.HasField("record_time") else None
    recorded_at = time_of(stamp, "outcome.record_time", checks)
    prompt = checks.vector(message.prompt, "outcome.prompt", dimension=space.dimension)
    answers = None
    if message.voters or message.distances_float32_le or message.features_float32_le:
        answers = read_answers(message, "outcome", settings, checks)
    checks.raise_if_any()
    return NewOutcome(
        outcome_id=message.outcome_id,
        model=message.model,
        quality=message.quality,
        recorded_at=recorded_at,
        sample_id=message.sample_id,
        prompt=np.array(prompt, np.float32),
        answers=answers,
    )


def _subject(message: pb.RecordOutcomeRequest, checks: Checks) -> str | PromptVector | None:
    kind = message.WhichOneof("subject")
    if kind == "prompt":
        return checks.prompt(message.prompt, message.embedding_space)
    if kind is None:
        checks.refuse("subject", "is absent; send the sample_id or the prompt")
        return None
    checks.name(message.sample_id, "sample_id")
    if message.embedding_space:
        checks.refuse("embedding_space", "names the encoder of a vector, but the request has none")
    return None
