"""What a router is trained on: prompts, and how well each model did on them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from encoders.training.errors import TrainingError

_LEAST_MODELS = 2
_LEAST_PROMPTS = 2


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Prompts with a score per model."""

    prompts: tuple[str, ...]
    """n texts."""
    scores: NDArray[np.float64]
    """(n, K), higher is better; NaN where a model has none."""
    models: tuple[str, ...]
    """K names."""
    tasks: tuple[str, ...]
    """n names: what the prompt belongs to."""
    costs: NDArray[np.float64] | None = None
    """(K,) per prompt, NaN where unknown."""

    def rows(self, indexes: NDArray[np.int64]) -> Self:
        """The rows of these indexes, in their order."""
        return type(self)(
            tuple(self.prompts[index] for index in indexes),
            self.scores[indexes],
            self.models,
            tuple(self.tasks[index] for index in indexes),
            self.costs,
        )

    def require_usable(self) -> None:
        """Refuses what no router can be learnt from.

        Raises:
            TrainingError: There are no rows, fewer than two models, lengths that
                do not agree, scores that are infinite or below 0, or no row on
                which two models differ.
        """
        shape = (len(self.prompts), len(self.models))
        if len(self.tasks) != shape[0] or self.scores.shape != shape:
            message = f"scores are {self.scores.shape}; {shape[0]} prompts of {shape[1]} models"
            raise TrainingError(f"{message} ask for {shape}")
        if not self.prompts:
            raise TrainingError("the data hold no rows; name files with prompts and scores")
        if len(self.models) < _LEAST_MODELS:
            raise TrainingError("the data score one model only; a router needs at least two")
        if np.isnan(self.scores).all(axis=1).any():
            raise TrainingError("a row has no score at all; leave it out")
        if np.isinf(self.scores).any() or (self.scores < 0).any():
            raise TrainingError("a score is infinite or negative; scale scores to 0 and above")
        if not informative(self.scores).any():
            raise TrainingError("no prompt tells two models apart; nothing can be learnt of them")


def require_same_models(data: TrainingData, validation: TrainingData) -> None:
    """Refuses validation rows that can't judge what is learnt.

    Raises:
        TrainingError: There are none, their models are others, or one has no score.
    """
    if not validation.prompts:
        raise TrainingError("there are no rows to validate on; give more data, or other files")
    if validation.models != data.models:
        raise TrainingError("the validation files score other models than the data; name others")
    if np.isnan(validation.scores).all(axis=1).any():
        raise TrainingError("a validation row has no score at all; leave it out")


def apart_from(data: TrainingData, validation: TrainingData) -> TrainingData:
    """The rows whose prompt no validation row has, so that none is judged on what it taught."""
    held = frozenset(validation.prompts)
    return data.rows(
        np.array([row for row, prompt in enumerate(data.prompts) if prompt not in held], np.int64)
    )


def fingerprint(data: TrainingData) -> str:
    """SHA-256 over prompts, tasks, models and scores, as 64 hex characters."""
    texts = json.dumps([data.prompts, data.tasks, data.models])
    scores = np.ascontiguousarray(data.scores, dtype="<f8").tobytes()
    return hashlib.sha256(texts.encode() + scores).hexdigest()


def informative(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of (n, K) hold two scores that differ; NaN is no score."""
    least = np.where(np.isnan(scores), np.inf, scores).min(axis=1)
    most = np.where(np.isnan(scores), -np.inf, scores).max(axis=1)
    differs: NDArray[np.bool_] = least < most
    return differs


def split(data: TrainingData, share: float, seed: int) -> tuple[TrainingData, TrainingData]:
    """Sets a share of each task's rows aside for validation.

    Rows with the same prompt stay on one side, so that nothing is validated on what
    was trained on. Each task gives at least one prompt, and keeps at least one.

    Args:
        data: What to split.
        share: Of each task's prompts, 0 < share < 1; rounded.
        seed: Of the draw.

    Returns:
        The rows for training and those for validation, each in their order.

    Raises:
        TrainingError: No task has two different prompts.
    """
    random = np.random.default_rng(seed)
    aside = np.zeros(len(data.prompts), dtype=np.bool_)
    seen: set[str] = set()
    for task in dict.fromkeys(data.tasks):
        own = dict.fromkeys(
            prompt
            for prompt, of in zip(data.prompts, data.tasks, strict=True)
            if of == task and prompt not in seen
        )
        seen.update(own)
        chosen = _draw(list(own), share, random)
        aside |= np.array([prompt in chosen for prompt in data.prompts])
    if not aside.any():
        raise TrainingError("there are too few prompts to set some aside; give --validation files")
    return data.rows(np.flatnonzero(~aside)), data.rows(np.flatnonzero(aside))


def _draw(prompts: Sequence[str], share: float, random: np.random.Generator) -> set[str]:
    if len(prompts) < _LEAST_PROMPTS:
        return set()
    count = min(max(1, round(share * len(prompts))), len(prompts) - 1)
    return {prompts[place] for place in random.permutation(len(prompts))[:count]}
