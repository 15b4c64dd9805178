"""The network that is trained: an encoder, and one embedding per model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.pooling import Pooling

NORMAL_DEVIATION = 0.78
"""Of the entries of a model's embedding at the start, as in the authors' code."""


class RouterNetwork(nn.Module):
    """Prompts in, their vectors and their cosines to every model's embedding out."""

    def __init__(
        self, encoder: nn.Module, embeddings: Tensor, pooling: Pooling, frozen_layers: int = 0
    ) -> None:
        """Takes the parts.

        Args:
            encoder: Gives `last_hidden_state` (n, t, d).
            embeddings: (K, d) float32.
            pooling: Mean or CLS.
            frozen_layers: That are behind prompts which come as states.
        """
        super().__init__()
        self.encoder = encoder
        self.llm_embeddings = nn.Parameter(embeddings)
        self.pooling = pooling
        self.frozen_layers = frozen_layers

    def forward(self, inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes prompts.

        Args:
            inputs: (n, t) int64 ids; or (n, t, d) float32 states, as the frozen layers gave them.
            mask: (n, t) int64, 1 for a token and 0 for padding.

        Returns:
            Vectors (n, d) and cosines (n, K), float32 whatever the encoder computed in.
        """
        if inputs.is_floating_point():
            states = run_layers(self.encoder, inputs, mask, self.frozen_layers)
        else:
            states = self.encoder(input_ids=inputs, attention_mask=mask).last_hidden_state
        with torch.autocast(inputs.device.type, enabled=False):
            vectors = _pool(self.pooling, states.float(), mask)
            return vectors, cosines(vectors, self.llm_embeddings)


def run_layers(
    encoder: nn.Module, states: Tensor, mask: Tensor, begin: int, end: int | None = None
) -> Tensor:
    """Runs some layers of an encoder of the BERT family.

    Args:
        encoder: With `encoder.layer`.
        states: (n, t, d) that the layer `begin` reads.
        mask: (n, t) int64, 1 for a token and 0 for padding.
        begin: The first layer, from 0.
        end: The one after the last; to the end if None.
    """
    hidden = (1 - mask[:, None, None, :]).to(states.dtype) * torch.finfo(states.dtype).min
    stack = encoder.encoder.layer  # type: ignore[union-attr]
    for layer in stack[begin:end]:  # type: ignore[index]
        output = layer(states, attention_mask=hidden)
        states = output[0] if isinstance(output, tuple) else output
    return states


def _pool(pooling: Pooling, states: Tensor, mask: Tensor) -> Tensor:
    """As `encoders.pooling.pool`, with a gradient."""
    if pooling is Pooling.CLS:
        return states[:, 0]
    weights = mask.to(states.dtype)
    totals = torch.bmm(weights.unsqueeze(1), states).squeeze(1)
    return totals / weights.sum(dim=1, keepdim=True).clamp_min(1)


def cosines(vectors: Tensor, embeddings: Tensor) -> Tensor:
    """Cosines (n, K) of (n, d) and (K, d); 0 for a zero row."""
    normalize = nn.functional.normalize
    return normalize(vectors, dim=1) @ normalize(embeddings, dim=1).T


def normal_embeddings(models: int, dimension: int, seed: int) -> NDArray[np.float32]:
    """Embeddings (K, d) at random."""
    random = np.random.default_rng(seed)
    return random.normal(0, NORMAL_DEVIATION, (models, dimension)).astype(np.float32)


def data_embeddings(
    vectors: NDArray[np.float32], scores: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Embeddings that point to the prompts on which a model does better than the others.

    Args:
        vectors: (n, d) of the prompts.
        scores: (n, K); NaN counts as the average of the prompt's models.

    Returns:
        (K, d), each as long as a normal one is on average. A model that never differs
        from the average points to the mean prompt.
    """
    advantages = np.nan_to_num(scores - np.nanmean(scores, axis=1, keepdims=True))
    directions = advantages.T @ vectors
    flat = np.linalg.norm(directions, axis=1) == 0
    directions[flat] = vectors.mean(axis=0)
    lengths = np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    length = NORMAL_DEVIATION * np.sqrt(vectors.shape[1])
    scaled: NDArray[np.float32] = (directions / lengths * length).astype(np.float32)
    return scaled
