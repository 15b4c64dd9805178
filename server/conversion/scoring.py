"""ScoreGenerations, from the wire and back."""

import os
from collections.abc import Iterable, Mapping, Sequence
from math import isnan

import numpy as np
from numpy.typing import NDArray

from pointsman.v1 import scoring_service_pb2 as pb
from pointsman.v1 import types_pb2
from scoring.calibrated import CalibratedEstimate
from server.conversion.checks import Checks
from server.conversion.replies import write_timings, written_message
from server.requests import (
    DEFAULT_POOL,
    EmbeddingKind,
    EstimatorKind,
    ScoreReply,
    ScoreRequest,
    Texts,
    Vectors,
)
from server.settings import Settings

_NEW_ID_BYTES = 16
_ESTIMATORS: Mapping[int, EstimatorKind] = {
    pb.ESTIMATOR_UNSPECIFIED: EstimatorKind.AUTO,
    pb.ESTIMATOR_GLOBAL: EstimatorKind.GLOBAL,
    pb.ESTIMATOR_LOCAL: EstimatorKind.LOCAL,
    pb.ESTIMATOR_SINGLE: EstimatorKind.SINGLE,
    pb.ESTIMATOR_SAMPLES: EstimatorKind.SAMPLES,
    pb.ESTIMATOR_CALIBRATED: EstimatorKind.CALIBRATED,
}
_ESTIMATOR_VALUES: Mapping[EstimatorKind, pb.Estimator.ValueType] = {
    EstimatorKind.AUTO: pb.ESTIMATOR_UNSPECIFIED,
    EstimatorKind.GLOBAL: pb.ESTIMATOR_GLOBAL,
    EstimatorKind.LOCAL: pb.ESTIMATOR_LOCAL,
    EstimatorKind.SINGLE: pb.ESTIMATOR_SINGLE,
    EstimatorKind.SAMPLES: pb.ESTIMATOR_SAMPLES,
    EstimatorKind.CALIBRATED: pb.ESTIMATOR_CALIBRATED,
}
_EMBEDDINGS: Mapping[int, EmbeddingKind] = {
    pb.EMBEDDING_UNSPECIFIED: EmbeddingKind.POOL,
    pb.EMBEDDING_GENERATION: EmbeddingKind.GENERATION,
    pb.EMBEDDING_PROMPT_AND_GENERATION: EmbeddingKind.PROMPT_AND_GENERATION,
}


def score_request(message: pb.ScoreGenerationsRequest, settings: Settings) -> ScoreRequest:
    """Validates a request.

    Raises:
        InvalidRequestError: Names every invalid field.
    """
    checks = Checks(settings.limits)
    pool = message.pool or DEFAULT_POOL
    checks.pool(pool)
    checks.space(message.embedding_space)
    checks.name(message.sample_id, "sample_id", required=False)
    _check_options(message, checks)
    _check_count(message, checks)
    # A list, for each look into the message makes its parts anew.
    generations = list(message.generations)
    voters = tuple([each.voter for each in generations])
    checks.names(voters, lambda index: f"generations[{index}].voter")
    content = _content(message, generations, checks)
    checks.raise_if_any()
    assert content is not None  # noqa: S101  no content without a violation
    return ScoreRequest(
        pool=pool,
        voters=voters,
        content=content,
        estimator=_ESTIMATORS[message.estimator],
        neighbours=(
            message.neighbours if message.HasField("neighbours") else settings.estimator.neighbours
        ),
        embedding=_EMBEDDINGS[message.embedding],
        learn=message.learn,
        sample_id=message.sample_id or (os.urandom(_NEW_ID_BYTES).hex() if message.learn else ""),
    )


def _check_options(message: pb.ScoreGenerationsRequest, checks: Checks) -> None:
    if message.estimator not in _ESTIMATORS:
        checks.refuse("estimator", f"has the unknown value {message.estimator}")
    if message.embedding not in _EMBEDDINGS:
        checks.refuse("embedding", f"has the unknown value {message.embedding}")
    most = checks.limits.neighbours
    if message.HasField("neighbours") and not 1 <= message.neighbours <= most:
        checks.refuse(
            "neighbours",
            f"is {message.neighbours}; must be 1 to {most} (limits.neighbours), or absent for "
            "the server's default",
        )


def _check_count(message: pb.ScoreGenerationsRequest, checks: Checks) -> None:
    count, most = len(message.generations), checks.limits.generations
    if not 1 <= count <= most:
        checks.refuse(
            "generations", f"has {count} items; must have 1 to {most} (limits.generations)"
        )
        checks.raise_if_any()


def _content(
    message: pb.ScoreGenerationsRequest, generations: Sequence[pb.Generation], checks: Checks
) -> Texts | Vectors | None:
    kind = message.prompt.WhichOneof("content")
    if kind is None:
        checks.refuse("prompt", "is empty; send its text or its vector")
    for index, generation in enumerate(generations):
        other = generation.WhichOneof("content")
        if other == kind and kind is not None:
            continue
        if other is None:
            checks.refuse(f"generations[{index}]", "is empty; send its text or its vector")
        elif kind is not None:
            checks.refuse(
                f"generations[{index}].{other}",
                f"is a {other} where the prompt is a {kind}; send all as text or all as vectors",
            )
    checks.raise_if_any()
    read = _texts if kind == "text" else _vectors
    return read(message, generations, checks)


def _texts(
    message: pb.ScoreGenerationsRequest, generations: Sequence[pb.Generation], checks: Checks
) -> Texts:
    if message.embedding_space:
        checks.refuse("embedding_space", "names the encoder of vectors, but the request has text")
    checks.text(message.prompt.text, "prompt.text")
    for index, generation in enumerate(generations):
        checks.text(generation.text, f"generations[{index}].text")
    return Texts(message.prompt.text, tuple([each.text for each in generations]))


def _vectors(
    message: pb.ScoreGenerationsRequest, generations: Sequence[pb.Generation], checks: Checks
) -> Vectors | None:
    if message.embedding == pb.EMBEDDING_PROMPT_AND_GENERATION:
        checks.refuse(
            "embedding",
            "asks to embed prompt and answer, but the request has vectors; embed them before",
        )
    vectors = [message.prompt.vector, *[each.vector for each in generations]]
    rows = checks.vectors(vectors, _vector_field)
    return None if rows is None else Vectors(rows[0], rows[1:], message.embedding_space)


def _vector_field(place: int) -> str:
    return f"generations[{place - 1}].vector" if place else "prompt.vector"


def score_response(reply: ScoreReply) -> pb.ScoreGenerationsResponse:
    """Writes a reply."""
    estimate = reply.estimate
    response = pb.ScoreGenerationsResponse(
        best_index=reply.ranking.best_index,
        estimator=_ESTIMATOR_VALUES[reply.estimator],
        neighbours_used=estimate.neighbours_used,
        margin=_known(estimate.margin),
        margin_standard_error=_known(estimate.margin_standard_error),
        tied=reply.ranking.tied,
        agreement=_known(reply.answers.agreement),
        encoder_revision=reply.encoder_revision,
        pool_revision=reply.pool_revision,
        prompt_truncated=bool(reply.truncated[0]),
        max_tokens=reply.max_tokens,
        learned=_learned(reply),
        calibration=None if reply.calibrated is None else _calibration(reply.calibrated),
    )
    noise = _all_known(estimate.noise_variance)
    _add_generations(response, reply, noise)
    _add_voters(response, reply, noise)
    write_timings(reply.timings, response.timings)
    if reply.fallback is not None:
        response.fallback.wanted = _ESTIMATOR_VALUES[reply.fallback.wanted]
        response.fallback.reason = reply.fallback.reason
        response.fallback.message = reply.fallback.message
    return response


def _learned(reply: ScoreReply) -> types_pb2.WriteReceipt | None:
    return written_message(reply.learned) if reply.learned else None


def _calibration(calibrated: CalibratedEstimate) -> pb.Calibration:
    told = not isnan(calibrated.lead)
    return pb.Calibration(
        agreement_weight=calibrated.agreement_weight,
        outcomes=calibrated.outcomes,
        lead=calibrated.lead if told else 0.0,
        lead_low=calibrated.lead_low if told else 0.0,
        lead_high=calibrated.lead_high if told else 0.0,
        contradicted=calibrated.contradicted,
    )


def _add_generations(
    response: pb.ScoreGenerationsResponse, reply: ScoreReply, noise: Sequence[float | None]
) -> None:
    voters, add = reply.answers.voters, response.scores.add
    rows = zip(
        reply.answers.voter_of.tolist(),
        reply.ranking.weight.tolist(),
        reply.ranking.rank.tolist(),
        reply.answers.mean_squared_distance.tolist(),
        reply.truncated[1:].tolist(),
        strict=True,
    )
    for voter, weight, rank, distance, truncated in rows:
        add(
            voter=voters[voter],
            weight=weight,
            noise_variance=noise[voter],
            rank=rank,
            mean_squared_distance=distance,
            truncated=truncated,
        )


def _add_voters(
    response: pb.ScoreGenerationsResponse, reply: ScoreReply, noise: Sequence[float | None]
) -> None:
    estimate, add = reply.estimate, response.voters.add
    count = len(reply.answers.voters)
    rank, own = [0] * count, [0] * count
    for place, voter in enumerate(estimate.order.tolist(), 1):
        rank[voter] = place
    for voter in reply.answers.voter_of.tolist():
        own[voter] += 1
    rows = zip(
        reply.answers.voters,
        estimate.weight.tolist(),
        noise,
        rank,
        own,
        estimate.samples_used.tolist(),
        strict=True,
    )
    for name, weight, variance, place, generations, samples in rows:
        add(
            voter=name,
            weight=weight,
            noise_variance=variance,
            rank=place,
            generations=generations,
            samples_used=samples,
        )
    if reply.calibrated is not None:
        _add_qualities(response.voters, reply.calibrated)


def _add_qualities(scores: Iterable[pb.VoterScore], calibrated: CalibratedEstimate) -> None:
    errors = _all_known(calibrated.quality_standard_error)
    for score, quality, error in zip(scores, _all_known(calibrated.quality), errors, strict=True):
        if quality is not None:
            score.expected_quality = quality
        if error is not None:
            score.expected_quality_standard_error = error


def _all_known(values: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(value) else value for value in values.tolist()]


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)
