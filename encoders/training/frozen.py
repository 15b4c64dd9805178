"""The layers that do not learn, run once for each prompt instead of once for each step.

On a CPU most of a step is the encoder's arithmetic. Where the first layers are frozen, what they
give for a prompt never changes: it is kept, and each step begins above them. Dropout does not
reach what is kept.
"""

from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.training.batches import by_length
from encoders.training.encoding import Inputs, Tokenised
from encoders.training.network import run_layers

MOST_BYTES = 4 * 1024**3
"""Of states that all processes keep together; more are computed anew in every step."""

_FAMILY = frozenset({"bert", "roberta", "xlm-roberta"})
_BATCH = 64
_BYTES = {torch.bfloat16: 2, torch.float32: 4}


@dataclass(frozen=True, slots=True)
class FrozenStates:
    """Prompts as the first layer that learns reads them."""

    states: list[Tensor]
    """Of each prompt, (t_i, d)."""
    lengths: NDArray[np.int64]
    """(n,) the t_i."""

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return sum(one.nbytes for one in self.states)

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
        """States (n, t, d) and mask (n, t) of some rows, padded with zeros."""
        chosen = [self.states[row] for row in rows]
        padded = nn.utils.rnn.pad_sequence(chosen, batch_first=True).float()
        lengths = torch.from_numpy(self.lengths[rows]).unsqueeze(1)
        mask = (torch.arange(padded.shape[1]).unsqueeze(0) < lengths).long()
        return padded.to(device), mask.to(device)


def can_keep(encoder: nn.Module) -> bool:
    """Whether the layers of an encoder can be run apart."""
    return getattr(encoder.config, "model_type", "") in _FAMILY


def keep_frozen(
    encoder: nn.Module,
    layers: int,
    tokenised: Tokenised,
    accelerator: Accelerator,
    *,
    beside: Inputs | None = None,
) -> Inputs:
    """Runs the frozen layers once over all rows.

    Args:
        encoder: Whose token embeddings and first layers do not learn.
        layers: How many.
        tokenised: The rows.
        accelerator: Says where, in which numbers, and how many processes share the memory.
        beside: What is kept already, and takes of the same memory.

    Returns:
        What the layers give; the rows as they came where it can't be kept.
    """
    bf16 = accelerator.mixed_precision == "bf16"
    kept = torch.bfloat16 if bf16 else torch.float32
    size = int(tokenised.lengths.sum()) * int(encoder.config.hidden_size) * _BYTES[kept]  # type: ignore[arg-type,union-attr]
    spent = beside.size if isinstance(beside, FrozenStates) else 0
    if not can_keep(encoder) or spent + size > MOST_BYTES // accelerator.num_processes:
        return tokenised
    states: list[Tensor] = [torch.empty(0)] * len(tokenised.lengths)
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad(), accelerator.autocast():
        for rows in by_length(tokenised.lengths, _BATCH):
            ids, mask = tokenised.batch(rows, accelerator.device)
            found = run_layers(encoder, encoder.embeddings(input_ids=ids), mask, 0, layers)  # type: ignore[operator]
            for place, row in enumerate(rows):
                own = found[place, : tokenised.lengths[row]]
                states[row] = own.to("cpu", kept, copy=True)
    encoder.train(was_training)
    return FrozenStates(states, tokenised.lengths)
