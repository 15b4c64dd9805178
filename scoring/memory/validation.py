"""What a sample or an outcome must be before it may wait among others."""

import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.errors import (
    InvalidArrayError,
    MemoryStorageError,
    PoolNotFoundError,
    TooManyPoolsError,
    TooManyVotersError,
)
from scoring.features import FEATURES
from scoring.kernels.recall import squared_norm
from scoring.memory.outcomes.values import MeasuredAnswers, NewOutcome
from scoring.memory.values import EmbeddingSpace, MemorySettings, NewSample
from scoring.pairs import pair_count
from scoring.validation import LARGEST_SQUARED_NORM


def own_prompt(prompt: ArrayLike, dimension: int) -> NDArray[np.float32]:
    """A copy of a prompt's vector (d,) that nobody else can change.

    Raises:
        InvalidArrayError: It has another shape, is not finite, or is too long.
    """
    vector = np.array(prompt, np.float32, order="C")
    if vector.shape != (dimension,):
        raise InvalidArrayError(
            f"The prompt has shape {vector.shape}; give ({dimension},).", field="prompt"
        )
    if squared_norm(vector) <= LARGEST_SQUARED_NORM:
        return vector
    if not np.isfinite(vector).all():
        raise InvalidArrayError(
            "The prompt holds NaN or infinity; give finite numbers.", field="prompt"
        )
    raise InvalidArrayError(
        "The prompt is so long that distances overflow float32; normalise it.", field="prompt"
    )


def own_prompts(prompts: Sequence[ArrayLike], dimension: int) -> NDArray[np.float32]:
    """A copy of several (n, d), for `own_prompt` checked one by one only where something is wrong.

    Raises:
        InvalidArrayError: One has another shape, is not finite, or is too long.
    """
    try:
        vectors = np.array(prompts, np.float32, order="C")
    except ValueError:  # of several shapes
        vectors = np.empty(0, np.float32)
    alike = vectors.shape == (len(prompts), dimension)
    if alike and squared_norm(vectors.reshape(-1)) <= LARGEST_SQUARED_NORM:
        return vectors
    return np.stack([own_prompt(prompt, dimension) for prompt in prompts])


def own_sample(sample: NewSample, space: EmbeddingSpace, settings: MemorySettings) -> NewSample:
    """A copy of a sample that nobody else can change and that the log will take.

    Raises:
        InvalidArrayError: An array has another shape or holds what it must not.
        TooManyVotersError: It has more voters than a pool may know.
    """
    _require_names(sample.sample_id)
    if not math.isfinite(sample.learned_at):
        raise InvalidArrayError("learned_at must be a finite time.", field="learned_at")
    prompt = own_prompt(sample.prompt, space.dimension)
    own = _own_answers(MeasuredAnswers(sample.voters, sample.pairs, sample.features), settings)
    return replace(sample, prompt=prompt, pairs=own.pairs, features=own.features)


def _own_answers(answers: MeasuredAnswers, settings: MemorySettings) -> MeasuredAnswers:
    if len(answers.voters) > settings.max_voters:
        raise TooManyVotersError(
            f"There are answers of {len(answers.voters)} voters and a pool may know "
            f"{settings.max_voters}; raise max_voters or send fewer.",
            field="voters",
        )
    _require_names(*answers.voters)
    if len(set(answers.voters)) != len(answers.voters) or not answers.voters:
        raise InvalidArrayError("voters must be one or more distinct names.", field="voters")
    pairs = _own_pairs(answers.pairs, len(answers.voters))
    features = answers.features
    if features is not None:
        features = _own_features(features, len(answers.voters))
    return MeasuredAnswers(answers.voters, pairs, features)


def _own_features(given: ArrayLike, voters: int) -> NDArray[np.float32]:
    features = np.array(given, np.float32, order="C")
    if features.shape != (voters, len(FEATURES)):
        raise InvalidArrayError(
            f"features has shape {features.shape}; give ({voters}, {len(FEATURES)}) for {voters} "
            "voters.",
            field="features",
        )
    if np.isinf(features).any():
        raise InvalidArrayError(
            "features holds infinity; give finite numbers, NaN where one is missing.",
            field="features",
        )
    return features


def _own_pairs(given: ArrayLike, voters: int) -> NDArray[np.float32]:
    pairs = np.array(given, np.float32, order="C")
    if pairs.shape != (pair_count(voters),):
        raise InvalidArrayError(
            f"pairs has shape {pairs.shape}; give ({pair_count(voters)},) for {voters} voters.",
            field="pairs",
        )
    if not (np.isfinite(pairs) & (pairs >= 0)).all():
        raise InvalidArrayError(
            "pairs holds NaN, infinity or a negative number; give squared distances.",
            field="pairs",
        )
    return pairs


def own_outcome(
    outcome: NewOutcome, space: EmbeddingSpace | None, settings: MemorySettings
) -> NewOutcome:
    """A copy of an outcome that names its subject and that nobody else can change.

    Raises:
        InvalidArrayError: A name can't be stored, there is no subject, a number
            is out of its range, or the prompt is not one of the space.
        TooManyVotersError: It brings answers of more voters than a pool may know.
    """
    for field in ("outcome_id", "model"):
        _require_names(getattr(outcome, field), field=field)
    quality, recorded_at = float(outcome.quality), float(outcome.recorded_at)
    if not 0 <= quality <= 1:
        raise InvalidArrayError("quality must be a number from 0 to 1.", field="quality")
    if not math.isfinite(recorded_at):
        raise InvalidArrayError("recorded_at must be a finite time.", field="recorded_at")
    prompt = _own_subject(outcome, space)
    sample_id = outcome.sample_id
    if prompt is None or sample_id:
        _require_names(sample_id, field="sample_id")
    else:
        sample_id = name_of(prompt)
    answers = None if outcome.answers is None else _own_answers(outcome.answers, settings)
    return NewOutcome(
        outcome.outcome_id, outcome.model, quality, recorded_at, sample_id, prompt, answers
    )


def _own_subject(outcome: NewOutcome, space: EmbeddingSpace | None) -> NDArray[np.float32] | None:
    if outcome.prompt is None:
        return None
    if space is None:
        raise InvalidArrayError("Say in which space the prompt's vector lives.", field="space")
    return own_prompt(outcome.prompt, space.dimension)


def name_of(prompt: NDArray[np.float32]) -> str:
    """Names a prompt (d,) without a name; equal vectors have the same."""
    unsigned = prompt + np.float32(0)  # -0 equals 0, and has other bytes
    return f"prompt-{sha256(unsigned.astype('<f4').tobytes()).hexdigest()[:32]}"


def require_identity(pool: str, space: EmbeddingSpace) -> None:
    """Refuses a pool that could not be written down.

    Raises:
        InvalidArrayError: A name can't be stored, or the space has no dimension.
    """
    _require_names(pool, space.id)
    if space.dimension < 1:
        raise InvalidArrayError("dimension must be 1 or more.", field="space")


def _require_names(*names: str, field: str = "") -> None:
    for name in names:
        try:
            fine = bool(name.encode())
        except UnicodeEncodeError:
            fine = False
        if not fine:
            raise InvalidArrayError(
                f"{name!r} is no name; give text that UTF-8 can carry.", field=field
            )


def require_settings(settings: MemorySettings) -> None:
    """Refuses settings that make no sense.

    Raises:
        MemoryStorageError: A number is out of its range.
    """
    for name in ("capacity", "max_pools", "max_voters", "queue", "exact", "segment_size"):
        if getattr(settings, name) < 1:
            raise MemoryStorageError(f"{name} must be 1 or more.")
    if settings.time_to_live is not None and not settings.time_to_live > 0:
        raise MemoryStorageError("time_to_live must be above 0 seconds, or absent.")
    if settings.max_voters > 2**16:
        raise MemoryStorageError(f"max_voters must be {2**16} or less.")


def pool_not_found(pool: str) -> PoolNotFoundError:
    """The error for a name that no pool has."""
    return PoolNotFoundError(
        f"There is no pool {pool!r}: learn a sample into it first.", field="pool"
    )


def too_many_pools(limit: int) -> TooManyPoolsError:
    """The error for one pool more than there may be."""
    return TooManyPoolsError(
        f"The memory holds {limit} pools and may hold no more: delete one, or raise max_pools.",
        field="pool",
    )
