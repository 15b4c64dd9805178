"""What happens once, before the encoder learns: groups, and where the embeddings begin."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.training.checkpoints import read_checkpoint, write_checkpoint
from encoders.training.errors import TrainingError
from encoders.training.groups import group_prompts
from encoders.training.hyperparameters import Hyperparameters, Start
from encoders.training.losses import method_loss
from encoders.training.network import cosines, data_embeddings, normal_embeddings

_WARM_BATCH = 512


@dataclass(frozen=True, slots=True)
class Preparation:
    """What training begins with."""

    groups: NDArray[np.int64]
    """(n,) of the prompts; all 0 where no loss asks for them."""
    embeddings: NDArray[np.float32]
    """(K, d) of the models."""

    def write(self, path: Path) -> None:
        """Keeps it, for a training that goes on after an interruption."""
        arrays = {"groups": self.groups, "embeddings": self.embeddings}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        write_checkpoint(path, tensors, {})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `write` wrote.

        Raises:
            TrainingError: It is missing or damaged.
        """
        found = read_checkpoint(path)
        if found is None:
            raise TrainingError(f"{path} is missing; give --restart to train anew")
        return cls(found.tensors["groups"].numpy(), found.tensors["embeddings"].numpy())


def needs_vectors(hyperparameters: Hyperparameters) -> bool:
    """Whether anything rests on the vectors of the encoder as it came."""
    return (
        hyperparameters.sample_weight > 0
        or hyperparameters.start is Start.DATA
        or hyperparameters.warm_start > 0
    )


def prepare(
    hyperparameters: Hyperparameters,
    vectors: NDArray[np.float32] | None,
    scores: NDArray[np.float64],
    dimension: int,
) -> Preparation:
    """Groups the prompts and starts the embeddings.

    Args:
        hyperparameters: All of them.
        vectors: (n, d) of the encoder as it came; None where `needs_vectors` is false.
        scores: (n, K).
        dimension: d.
    """
    models, seed = scores.shape[1], hyperparameters.seed
    groups = np.zeros(len(scores), dtype=np.int64)
    embeddings = normal_embeddings(models, dimension, seed)
    if vectors is not None:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.maximum(norms, np.float32(1e-12))
        if hyperparameters.sample_weight > 0:
            groups = group_prompts(unit, hyperparameters.groups, seed)
        if hyperparameters.start is Start.DATA:
            embeddings = data_embeddings(unit, scores)
        embeddings = warm_start(hyperparameters, unit, scores, embeddings)
    return Preparation(groups, embeddings)


def warm_start(
    hyperparameters: Hyperparameters,
    vectors: NDArray[np.float32],
    scores: NDArray[np.float64],
    embeddings: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Teaches the embeddings alone, on vectors that stay.

    Args:
        hyperparameters: `warm_start` says for how many steps.
        vectors: (n, d).
        scores: (n, K).
        embeddings: (K, d), the start.

    Returns:
        (K, d).
    """
    random = torch.Generator().manual_seed(hyperparameters.seed)
    prompts, targets = torch.from_numpy(vectors), torch.from_numpy(scores).float()
    learnt = torch.from_numpy(embeddings.copy()).requires_grad_()
    optimizer = torch.optim.Adam([learnt], lr=hyperparameters.warm_start_learning_rate)
    for step in range(hyperparameters.warm_start):
        rows = torch.randint(len(prompts), (min(_WARM_BATCH, len(prompts)),), generator=random)
        logits = cosines(prompts[rows], learnt) / hyperparameters.temperature
        tie_break = torch.rand(logits.shape, generator=random)
        loss = method_loss(hyperparameters, logits, targets[rows], tie_break)
        optimizer.param_groups[0]["lr"] = hyperparameters.warm_start_learning_rate * (
            1 - step / hyperparameters.warm_start
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return learnt.detach().numpy()
