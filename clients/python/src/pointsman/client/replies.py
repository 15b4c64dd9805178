"""Messages of the contract to the values that callers get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pointsman.client.enums import durability_of, estimator_of
from pointsman.client.errors import PointsmanError, item_error
from pointsman.client.inventory import (
    EmbeddingSpace,
    ImportResult,
    Outcome,
    Pool,
    PoolVoter,
    Router,
    Sample,
)
from pointsman.client.results import (
    Calibration,
    Fallback,
    GenerationScore,
    ModelScore,
    OutcomeResult,
    RouteResult,
    RoutingFallback,
    ScoreResult,
    Timings,
    VoterScore,
    WriteReceipt,
)
from pointsman.client.vectors import from_bytes, from_message

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from pointsman.client.vectors import Vector
    from pointsman.v1 import admin_service_pb2, routing_service_pb2, scoring_service_pb2, types_pb2


def score_result(
    response: scoring_service_pb2.ScoreGenerationsResponse, request_id: str
) -> ScoreResult:
    """Converts the reply of `ScoreGenerations`."""
    return ScoreResult(
        best_index=response.best_index,
        scores=tuple(_generation_scores(response.scores)),
        voters=tuple(_voter_score(each) for each in response.voters),
        estimator=estimator_of(response.estimator),
        neighbours_used=response.neighbours_used,
        margin=_optional(response, "margin"),
        margin_standard_error=_optional(response, "margin_standard_error"),
        tied=tuple(response.tied),
        agreement=_optional(response, "agreement"),
        fallback=_fallback(response.fallback) if response.HasField("fallback") else None,
        calibration=_calibration(response),
        learned=_receipt(response.learned) if response.HasField("learned") else None,
        timings=_timings(response.timings),
        encoder_revision=response.encoder_revision,
        pool_revision=response.pool_revision,
        prompt_truncated=response.prompt_truncated,
        max_tokens=response.max_tokens,
        request_id=request_id,
    )


def score_item_result(
    response: scoring_service_pb2.ScoreGenerationsStreamResponse, request_id: str
) -> tuple[int, ScoreResult | PointsmanError]:
    """Converts one reply of `ScoreGenerationsStream`: which item, and its result or error."""
    if response.WhichOneof("result") == "error":
        return response.id, item_error(response.error, request_id)
    return response.id, score_result(response.response, request_id)


def route_result(response: routing_service_pb2.RoutePromptResponse, request_id: str) -> RouteResult:
    """Converts the reply of `RoutePrompt`."""
    return RouteResult(
        model=response.model,
        ranking=tuple(_model_score(each) for each in response.ranking),
        margin=_optional(response, "margin"),
        entropy=_optional(response, "entropy"),
        abstained=response.abstained,
        fallback=_routing_fallback(response),
        router=response.router,
        router_revision=response.router_revision,
        neighbours_used=response.neighbours_used,
        voters_used=response.voters_used,
        timings=_timings(response.timings),
        prompt_truncated=response.prompt_truncated,
        request_id=request_id,
    )


def route_item_result(
    response: routing_service_pb2.RoutePromptStreamResponse, request_id: str
) -> tuple[int, RouteResult | PointsmanError]:
    """Converts one reply of `RoutePromptStream`: which item, and its result or error."""
    if response.WhichOneof("result") == "error":
        return response.id, item_error(response.error, request_id)
    return response.id, route_result(response.response, request_id)


def outcome_result(
    response: routing_service_pb2.RecordOutcomeResponse, request_id: str
) -> OutcomeResult:
    """Converts the reply of `RecordOutcome`."""
    return OutcomeResult(
        recorded=_receipt(response.recorded),
        outcome_id=response.outcome_id,
        request_id=request_id,
    )


def pool(message: admin_service_pb2.Pool) -> Pool:
    """Converts one pool."""
    return Pool(
        name=message.name,
        space=_space(message.space),
        samples=message.samples,
        capacity=message.capacity,
        revision=message.revision,
        voters=tuple(_pool_voter(each) for each in message.voters),
        created_at=_time(message, "create_time"),
        oldest_at=_time(message, "oldest_sample_time"),
        newest_at=_time(message, "newest_sample_time"),
        outcomes=message.outcomes,
        agreement_contradicted=message.agreement_contradicted,
    )


def router(message: admin_service_pb2.Router) -> Router:
    """Converts one router."""
    return Router(
        name=message.name,
        kind=message.kind,
        revision=message.revision,
        models=tuple(message.models),
        space=_space(message.space) if message.HasField("space") else None,
        loaded_at=_time(message, "load_time"),
        last_error=message.last_error,
    )


def exported_items(
    message: admin_service_pb2.ExportSamplesResponse,
) -> tuple[Sample | Outcome, ...]:
    """Converts one message of `ExportSamples`.

    Returns:
        A sample or an outcome; nothing where it is the header, or an item that this release of
        the client doesn't know.
    """
    match message.WhichOneof("item"):
        case "sample":
            return (_sample(message.sample),)
        case "outcome":
            return (_outcome(message.outcome),)
    return ()


def import_result(message: admin_service_pb2.ImportSamplesResponse) -> ImportResult:
    """Converts the reply of `ImportSamples`."""
    return ImportResult(
        imported=message.imported,
        skipped=message.skipped,
        expired=message.expired,
        outcomes_imported=message.outcomes_imported,
        outcomes_skipped=message.outcomes_skipped,
        outcomes_expired=message.outcomes_expired,
        durability=durability_of(message.durability),
    )


def _generation_scores(
    messages: Iterable[scoring_service_pb2.GenerationScore],
) -> Iterator[GenerationScore]:
    seen: Counter[str] = Counter()
    for each in messages:
        yield GenerationScore(
            voter=each.voter,
            sample=seen[each.voter],
            weight=each.weight,
            noise_variance=_optional(each, "noise_variance"),
            rank=each.rank,
            mean_squared_distance=each.mean_squared_distance,
            truncated=each.truncated,
        )
        seen[each.voter] += 1


def _voter_score(message: scoring_service_pb2.VoterScore) -> VoterScore:
    return VoterScore(
        voter=message.voter,
        weight=message.weight,
        noise_variance=_optional(message, "noise_variance"),
        rank=message.rank,
        generations=message.generations,
        samples_used=message.samples_used,
        expected_quality=_optional(message, "expected_quality"),
        expected_quality_standard_error=_optional(message, "expected_quality_standard_error"),
    )


def _model_score(message: routing_service_pb2.ModelScore) -> ModelScore:
    return ModelScore(
        model=message.model,
        score=message.score,
        probability=_optional(message, "probability"),
        cost=_optional(message, "cost"),
    )


def _pool_voter(message: admin_service_pb2.PoolVoter) -> PoolVoter:
    return PoolVoter(
        voter=message.voter,
        samples=message.samples,
        noise_variance=_optional(message, "noise_variance"),
    )


def _sample(message: admin_service_pb2.Sample) -> Sample:
    return Sample(
        sample_id=message.sample_id,
        learned_at=_instant(message.learn_time),
        prompt=from_message(message.prompt),
        voters=tuple(message.voters),
        distances=from_bytes(message.distances_float32_le),
        features=_floats(message.features_float32_le),
    )


def _outcome(message: admin_service_pb2.Outcome) -> Outcome:
    return Outcome(
        outcome_id=message.outcome_id,
        model=message.model,
        quality=message.quality,
        recorded_at=_instant(message.record_time),
        sample_id=message.sample_id,
        prompt=from_message(message.prompt),
        voters=tuple(message.voters),
        distances=from_bytes(message.distances_float32_le) if message.voters else None,
        features=_floats(message.features_float32_le),
    )


def _floats(float32_le: bytes) -> Vector | None:
    return from_bytes(float32_le) if float32_le else None


def _fallback(message: scoring_service_pb2.Fallback) -> Fallback:
    return Fallback(
        wanted=estimator_of(message.wanted), reason=message.reason, message=message.message
    )


def _calibration(response: scoring_service_pb2.ScoreGenerationsResponse) -> Calibration | None:
    if not response.HasField("calibration"):
        return None
    message = response.calibration
    return Calibration(
        agreement_weight=message.agreement_weight,
        outcomes=message.outcomes,
        lead=message.lead,
        lead_low=message.lead_low,
        lead_high=message.lead_high,
        contradicted=message.contradicted,
    )


def _routing_fallback(response: routing_service_pb2.RoutePromptResponse) -> RoutingFallback | None:
    if not response.HasField("fallback"):
        return None
    return RoutingFallback(reason=response.fallback.reason, message=response.fallback.message)


def _receipt(message: types_pb2.WriteReceipt) -> WriteReceipt:
    return WriteReceipt(
        durability=durability_of(message.durability),
        sample_id=message.sample_id,
        reason=message.reason,
        message=message.message,
    )


def _timings(message: types_pb2.Timings) -> Timings:
    return Timings(
        queue_us=message.queue_us,
        tokenise_us=message.tokenise_us,
        encode_us=message.encode_us,
        recall_us=message.recall_us,
        estimate_us=message.estimate_us,
        learn_us=message.learn_us,
        total_us=message.total_us,
    )


def _space(message: admin_service_pb2.EmbeddingSpace) -> EmbeddingSpace:
    return EmbeddingSpace(id=message.id, dimension=message.dimension)


def _optional(message: Message, field: str) -> float | None:
    return float(getattr(message, field)) if message.HasField(field) else None


def _time(message: Message, field: str) -> datetime | None:
    return _instant(getattr(message, field)) if message.HasField(field) else None


def _instant(stamp: Timestamp) -> datetime:
    # To the nearest microsecond: cut off, a time would drift with every export and import.
    whole = datetime.fromtimestamp(stamp.seconds, UTC)
    return whole + timedelta(microseconds=round(stamp.nanos / 1000))
