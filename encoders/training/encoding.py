"""Prompts as tokens, and as the vectors and cosines that the network has for them now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.batches import pad
from encoders.tokeniser import Tokeniser
from encoders.training.batches import by_length
from encoders.training.errors import TrainingError
from encoders.training.network import RouterNetwork
from encoders.training.source import Source

_BATCH = 128


@dataclass(frozen=True, slots=True)
class Tokenised:
    """Prompts as the encoder reads them."""

    ids: list[NDArray[np.int64]]
    """Of each prompt, (t_i,)."""
    lengths: NDArray[np.int64]
    """(n,) the t_i."""
    pad_id: int

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Ids and mask (n, t) of some rows, padded to the longest of them."""
        ids, mask = pad([self.ids[row] for row in rows], self.pad_id)
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


class Inputs(Protocol):
    """Prompts as the network reads them: as tokens, or as states above its frozen layers."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each prompt."""

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """Inputs and mask of some rows, padded to the longest of them."""


def tokenise(prompts: Sequence[str], source: Source, max_tokens: int) -> Tokenised:
    """Tokenises prompts by the tokeniser that also serves.

    Raises:
        EncoderInvalidError: The tokenizer is damaged, or max_tokens is too small.
        TrainingError: max_tokens is more than the encoder can read.
    """
    if source.positions is not None and max_tokens > source.positions:
        message = f"max_tokens is {max_tokens}; the encoder has only {source.positions} positions"
        raise TrainingError(message)
    tokeniser = Tokeniser.load(source.tokenizer, max_tokens=max_tokens, lowercase=source.lowercase)
    ids = [tokens.ids for tokens in tokeniser.tokenise(prompts)]
    return Tokenised(ids, np.array([one.size for one in ids], dtype=np.int64), source.pad_id)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network gives for rows, in their order."""

    vectors: NDArray[np.float32]
    """(n, d)."""
    cosines: NDArray[np.float32]
    """(n, K)."""


def compute(network: nn.Module, inputs: Inputs, accelerator: Accelerator | None = None) -> Outputs:
    """Runs the network over all rows without a gradient and without dropout.

    Args:
        network: A `RouterNetwork`, wrapped or not.
        inputs: The rows.
        accelerator: Of a data-parallel training, whose processes share the rows and
            each get all results; if None, this process computes them all.

    Raises:
        TrainingError: The network gives NaN or infinity.
    """
    plain = cast(RouterNetwork, accelerator.unwrap_model(network) if accelerator else network)
    plain.eval()
    found = _share(plain, inputs, accelerator)
    plain.train()
    if not torch.isfinite(found).all():
        raise TrainingError("the network gives NaN; take lower learning rates, or fp32")
    dimension = plain.llm_embeddings.shape[1]
    values = found.cpu().numpy()
    return Outputs(values[:, :dimension].copy(), values[:, dimension:].copy())


@torch.no_grad()
def _share(network: RouterNetwork, inputs: Inputs, accelerator: Accelerator | None) -> Tensor:
    """Vectors and cosines (n, d + K): this process fills its rows, all are summed."""
    process, processes = 0, 1
    if accelerator is not None:
        process, processes = accelerator.process_index, accelerator.num_processes
    models, dimension = network.llm_embeddings.shape
    device = network.llm_embeddings.device
    total = torch.zeros(len(inputs.lengths), dimension + models, device=device)
    for number, rows in enumerate(by_length(inputs.lengths, _BATCH)):
        if number % processes == process:
            batch, mask = inputs.batch(rows, device)
            total[torch.from_numpy(rows).to(device)] = torch.cat(network(batch, mask), dim=1)
    return accelerator.reduce(total, "sum") if accelerator and processes > 1 else total
