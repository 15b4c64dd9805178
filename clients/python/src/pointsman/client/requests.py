"""What a caller passes, and how it becomes a message of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp

from pointsman.client.enums import embedding_number, estimator_number
from pointsman.client.inventory import EmbeddingSpace, Outcome, Sample
from pointsman.client.policies import Policy, Stickiness, policy_message
from pointsman.client.vectors import Vector, is_vector, to_bytes, to_message
from pointsman.v1 import admin_service_pb2, routing_service_pb2, scoring_service_pb2, types_pb2

Answer: TypeAlias = str | Vector
"""Text, or the embedding of a text."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer and who gave it."""

    voter: str
    """A model, or a prompt template. It may appear several times: its samples."""
    answer: Answer
    """Text, or its embedding, (d,) float32."""


Generations: TypeAlias = (
    Mapping[str, Answer | Sequence[Answer]]
    | Sequence[Generation | tuple[str, Answer | Sequence[Answer]]]
)
"""Answers by voter; where a voter has a list of them, they are its samples.

A list of numbers is one vector, never samples. A 2-D array is one sample per row."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One prompt and its answers; the arguments of `Client.score` as a value."""

    prompt: Answer
    generations: Generations
    pool: str = ""
    learn: bool = False
    estimator: str | None = None
    neighbours: int | None = None
    embedding: str | None = None
    embedding_space: str = ""
    sample_id: str | None = None


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """One prompt to route; the arguments of `Client.route` as a value."""

    prompt: Answer
    router: str = ""
    candidates: Sequence[str] = ()
    denied: Sequence[str] = ()
    policy: Policy | None = None
    stickiness: Stickiness | None = None
    embedding_space: str = ""


def score_message(request: ScoreRequest) -> scoring_service_pb2.ScoreGenerationsRequest:
    """Builds the request of `ScoreGenerations`.

    A request that learns gets its sample id here, so that an attempt repeated by gRPC learns
    nothing twice.

    Raises:
        TypeError: A prompt or an answer is neither text nor a vector.
        ValueError: A voter has no answers, or a choice doesn't exist.
    """
    return scoring_service_pb2.ScoreGenerationsRequest(
        pool=request.pool,
        prompt=prompt_message(request.prompt),
        generations=list(_generations(request.generations)),
        learn=request.learn,
        estimator=estimator_number(request.estimator),
        neighbours=request.neighbours,
        embedding=embedding_number(request.embedding),
        embedding_space=request.embedding_space,
        sample_id=request.sample_id or (uuid4().hex if request.learn else ""),
    )


def score_item(
    index: int, request: ScoreRequest
) -> scoring_service_pb2.ScoreGenerationsStreamRequest:
    """Builds one item of `ScoreGenerationsStream`; raises as `score_message` does."""
    return scoring_service_pb2.ScoreGenerationsStreamRequest(
        id=index, request=score_message(request)
    )


def route_message(request: RouteRequest) -> routing_service_pb2.RoutePromptRequest:
    """Builds the request of `RoutePrompt`.

    Raises:
        TypeError: The prompt is neither text nor a vector, the models are one string, or the
            policy is none of the client's.
    """
    return routing_service_pb2.RoutePromptRequest(
        router=request.router,
        prompt=prompt_message(request.prompt),
        candidates=_names("candidates", request.candidates),
        denied=_names("denied", request.denied),
        policy=policy_message(request.policy, request.stickiness),
        embedding_space=request.embedding_space,
    )


def route_item(index: int, request: RouteRequest) -> routing_service_pb2.RoutePromptStreamRequest:
    """Builds one item of `RoutePromptStream`; raises as `route_message` does."""
    return routing_service_pb2.RoutePromptStreamRequest(id=index, request=route_message(request))


def outcome_message(
    quality: float,
    *,
    model: str,
    sample_id: str | None,
    prompt: Answer | None,
    pool: str,
    outcome_id: str | None,
    embedding_space: str,
) -> routing_service_pb2.RecordOutcomeRequest:
    """Builds the request of `RecordOutcome`, with an outcome id so that it is safe to repeat.

    Raises:
        ValueError: Not exactly one of `sample_id` and `prompt` is given.
    """
    if (sample_id is None) == (prompt is None):
        raise ValueError("An outcome is of a sample_id or of a prompt; pass exactly one of them.")
    message = routing_service_pb2.RecordOutcomeRequest(
        pool=pool,
        model=model,
        quality=quality,
        outcome_id=outcome_id or uuid4().hex,
        embedding_space=embedding_space,
    )
    if sample_id is not None:
        message.sample_id = sample_id
    if prompt is not None:
        message.prompt.CopyFrom(prompt_message(prompt))
    return message


def import_header(pool: str, space: EmbeddingSpace) -> admin_service_pb2.ImportSamplesRequest:
    """Builds the first message of `ImportSamples`."""
    header = admin_service_pb2.SamplesHeader(
        pool=pool,
        space=admin_service_pb2.EmbeddingSpace(id=space.id, dimension=space.dimension),
    )
    return admin_service_pb2.ImportSamplesRequest(header=header)


def import_item(_index: int, item: Sample | Outcome) -> admin_service_pb2.ImportSamplesRequest:
    """Builds one sample or outcome of `ImportSamples`."""
    if isinstance(item, Outcome):
        return admin_service_pb2.ImportSamplesRequest(outcome=_outcome(item))
    return admin_service_pb2.ImportSamplesRequest(sample=_sample(item))


def prompt_message(prompt: Answer) -> types_pb2.Prompt:
    """Builds a prompt of text or of a vector.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(prompt, str):
        return types_pb2.Prompt(text=prompt)
    if not is_vector(prompt):
        raise TypeError(f"A prompt must be text or a vector, not {_kind(prompt)}.")
    return types_pb2.Prompt(vector=to_message(prompt))


def _generations(generations: Generations) -> Iterator[scoring_service_pb2.Generation]:
    for voter, answers in _by_voter(generations):
        samples = list(_samples(voter, answers))
        if not samples:
            raise ValueError(f"The voter {voter!r} has no answers; leave it out.")
        for answer in samples:
            yield _generation(voter, answer)


def _by_voter(generations: Generations) -> Iterator[tuple[str, Answer | Sequence[Answer]]]:
    if isinstance(generations, Mapping):
        yield from generations.items()
        return
    for each in generations:
        if isinstance(each, Generation):
            yield each.voter, each.answer
        elif isinstance(each, tuple) and len(each) == 2:
            yield each
        else:
            raise TypeError(
                "Each generation must be a (voter, answer) pair or a Generation, "
                f"not {_kind(each)}."
            )


def _samples(voter: str, answers: Answer | Sequence[Answer]) -> Iterator[Answer]:
    if isinstance(answers, str) or is_vector(answers):
        yield answers  # type: ignore[misc]  # is_vector can't narrow a union of sequences
    elif isinstance(answers, Iterable) and not isinstance(answers, Mapping):
        yield from answers  # type: ignore[misc]  # as above
    else:
        raise TypeError(_not_an_answer(voter, answers))


def _generation(voter: str, answer: Answer) -> scoring_service_pb2.Generation:
    if isinstance(answer, str):
        return scoring_service_pb2.Generation(voter=voter, text=answer)
    if not is_vector(answer):
        raise TypeError(_not_an_answer(voter, answer))
    return scoring_service_pb2.Generation(voter=voter, vector=to_message(answer))


def _sample(sample: Sample) -> admin_service_pb2.Sample:
    return admin_service_pb2.Sample(
        sample_id=sample.sample_id,
        learn_time=_stamp(sample.learned_at),
        prompt=to_message(sample.prompt),
        voters=sample.voters,
        distances_float32_le=to_bytes(sample.distances),
        features_float32_le=_packed(sample.features),
    )


def _outcome(outcome: Outcome) -> admin_service_pb2.Outcome:
    return admin_service_pb2.Outcome(
        outcome_id=outcome.outcome_id,
        model=outcome.model,
        quality=outcome.quality,
        record_time=_stamp(outcome.recorded_at),
        sample_id=outcome.sample_id,
        prompt=to_message(outcome.prompt),
        voters=outcome.voters,
        distances_float32_le=_packed(outcome.distances),
        features_float32_le=_packed(outcome.features),
    )


def _packed(numbers: Vector | None) -> bytes:
    return b"" if numbers is None else to_bytes(numbers)


def _stamp(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def _names(argument: str, names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str):
        raise TypeError(f"{argument} must be a list of models, not one string.")
    return names


def _not_an_answer(voter: str, answer: object) -> str:
    return (
        f"An answer of the voter {voter!r} must be text or a vector, or a list of these, "
        f"not {_kind(answer)}."
    )


def _kind(value: object) -> str:
    return type(value).__name__
